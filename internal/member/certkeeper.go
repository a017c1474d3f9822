package member

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/internal/certs"
	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/web"
)

// Times of the look at all certificates.
const (
	surveyTime  = time.Hour
	stapleEvery = 10 * time.Minute       // an answer that is half through, or an authority that was down
	surveyQuiet = 200 * time.Millisecond // after a change: several files are put together
)

// changed says that the store or the sites may have changed.
func (c *certificates) changed() {
	c.store.Changed()
	nudge(c.altered)
	c.m.acme.Changed()
}

// nudge says to whoever waits, or will, that there is something to look at.
func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// watch looks at all certificates after each change and every hour, so that what is wrong with one, or that it ends, is
// told before a visitor meets it.
func (c *certificates) watch(ctx context.Context) error {
	ends := &certs.Expiry{Path: c.m.paths.ends(), Sink: c.m.sink, Now: time.Now}
	tick := time.NewTicker(surveyTime)
	defer tick.Stop()
	c.m.secrets.await(ctx)
	for {
		c.store.Survey()
		if err := ends.Check(c.store.InUse(hostsOf(c.m.web.SecureHosts())), c.m.speaks()); err != nil {
			c.m.log.Warn("that a certificate ends may be told again", "err", err)
		}
		nudge(c.surveyed)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.altered:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(surveyQuiet):
			}
		}
	}
}

// staple has the authorities of the certificates that are served asked whether these are good, where they want that, as soon
// as one is served and then from time to time, until ctx ends.
func (c *certificates) staple(ctx context.Context) error {
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}}
	tick := time.NewTicker(stapleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-c.surveyed:
		}
		if err := c.store.Staple(ctx, client, hostsOf(c.m.web.SecureHosts())); err != nil && ctx.Err() == nil {
			c.m.log.Warn("an authority did not say whether a certificate is good; it is asked again", "err", err)
		}
	}
}

// speaks tells whether this member tells of what all members see: the first of those that are up does.
func (m *Member) speaks() bool {
	live := m.config()
	if live == nil {
		return false
	}
	return m.up(live)[0] == m.self
}

// up are the members that run as far as this one knows, itself too, by name: those that it has sessions with, those
// with which these have, and so on.
func (m *Member) up(c *config.Config) []farm.MemberID {
	links := map[farm.MemberID][]farm.MemberID{m.self: m.links.live()}
	found := []farm.MemberID{m.self}
	for i := 0; i < len(found); i++ {
		next, ok := links[found[i]]
		if !ok {
			next = m.links.get(found[i]).state.Links
		}
		for _, id := range next {
			if _, member := c.Member(id); member && !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	}
	slices.Sort(found)
	return found
}

func hostsOf(all []web.SecureHost) []string {
	var hosts []string
	for _, h := range all {
		if h.Host != "" && !h.Internal {
			hosts = append(hosts, h.Host)
		}
	}
	return hosts
}

// Certificates implements control.CertKeeper.
func (m *Member) Certificates(context.Context) (control.Certificates, error) {
	all := control.Certificates{Certificates: []control.Certificate{}, Bare: []control.SiteHost{}}
	at := map[string]int{}
	for i, info := range m.certs.store.Survey() {
		all.Certificates = append(all.Certificates, certificate(info))
		at[info.File] = i
	}
	for _, h := range m.web.SecureHosts() {
		host := control.SiteHost{Host: h.Host, Site: h.File}
		if h.Internal || h.Host == "" {
			continue
		}
		v := m.certs.store.Explain(h.Host)
		if v.Served == nil {
			all.Bare = append(all.Bare, host)
		} else if i, ok := at[v.Served.File]; ok {
			all.Certificates[i].Hosts = append(all.Certificates[i].Hosts, host)
		}
	}
	return all, nil
}

func certificate(i certs.Info) control.Certificate {
	c := control.Certificate{File: i.File, Origin: string(i.Origin), Names: i.Names, Issuer: i.Issuer, Key: i.Key,
		Fingerprint: i.Fingerprint, Faults: i.Faults, Hosts: []control.SiteHost{}}
	if !i.NotAfter.IsZero() {
		c.From, c.Until = &i.NotBefore, &i.NotAfter
	}
	return c
}

// CheckHost implements control.CertKeeper.
func (m *Member) CheckHost(_ context.Context, host string) (control.HostCheck, error) {
	m.certs.store.Changed()
	site, answers := m.web.Secure(host)
	if site.Internal {
		return control.HostCheck{Host: host, Site: site.File, Why: "the site says: tls internal", Passed: []string{},
			Trust: "the farm's own certificate is known to no browser"}, nil
	}
	v := m.certs.store.Explain(host)
	check := control.HostCheck{Host: v.Host, Why: v.Why, Passed: v.Passed, Trust: v.Trust}
	if v.Served != nil {
		c := certificate(*v.Served)
		check.Certificate = &c
	}
	if answers {
		check.Site = site.File
	}
	return check, nil
}

// ImportCertificate implements control.CertKeeper.
func (m *Member) ImportCertificate(_ context.Context, req control.ImportRequest) (done control.Imported, err error) {
	fail := func(format string, args ...any) (control.Imported, error) {
		return done, farm.Errorf("import certificate", req.Name, farm.Invalid, format, args...)
	}
	var contents [][]byte
	for _, f := range req.Files {
		contents = append(contents, f.Content)
	}
	cert, err := certs.Parse(req.Password, contents...)
	if errors.Is(err, certs.ErrPassword) {
		return done, &farm.Error{Op: "import certificate", Kind: farm.Denied, Err: err, Next: "give the right one with --password"}
	} else if err != nil {
		return fail("%w", err)
	}
	if req.Name == "" && len(cert.Leaf.DNSNames) > 0 {
		req.Name = cert.Leaf.DNSNames[0]
	}
	base, err := certs.FileName(req.Name)
	if err != nil {
		return done, err
	}
	if probe := strings.Replace(req.Name, "*", "any", 1); cert.Leaf.VerifyHostname(probe) != nil {
		return fail("the certificate is for %s and not for that name", strings.Join(cert.Leaf.DNSNames, ", "))
	}
	dir, stage := m.paths.certs(), m.paths.certStage()
	if req.Local {
		if dir, stage = m.file.Certs, m.file.Certs; dir == "" {
			return fail("this member has no directory of its own: member.toml has no key \"certificates\"")
		}
	}
	done.Path = filepath.Join(dir, base)
	if why := m.certs.store.Unwise(cert.Leaf, done.Path); why != nil && !req.Force {
		return done, &farm.Error{Op: "import certificate", Path: req.Name, Kind: farm.Conflict, Err: why, Next: "if that is what you want, add --force"}
	}
	if done.Replaced, err = certs.Save(stage, done.Path, cert); err != nil {
		return done, err
	}
	m.certs.changed()
	return m.imported(done, req.Name), nil
}

// imported completes the answer by what the store makes of it.
func (m *Member) imported(done control.Imported, name string) control.Imported {
	done.Notes = []string{}
	for _, i := range m.certs.store.Survey() {
		if i.Path == done.Path {
			done.Certificate = certificate(i)
		}
	}
	v := m.certs.store.Explain(name)
	if v.Served != nil && v.Served.Path != done.Path {
		done.Notes = append(done.Notes, fmt.Sprintf("another one is served for %s: %s (%s)", name, v.Served.File, v.Why))
	} else if v.Trust != "" {
		done.Notes = append(done.Notes, "browsers will not trust it: "+v.Trust)
	}
	if _, ok := m.web.Secure(strings.Replace(name, "*", "any", 1)); !ok {
		done.Notes = append(done.Notes, "no site answers to "+name+" with HTTPS")
	}
	return done
}
