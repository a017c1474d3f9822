package acme

import (
	"context"
	"crypto/tls"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"

	"tandem/internal/certs"
	"tandem/internal/farm"
)

// LetsEncrypt is the directory that is used unless another is set.
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// Settings are what the configuration says of ACME.
type Settings struct {
	Agreed     bool // to the authority's terms; otherwise nothing is ordered
	Directory  string
	Roots      []byte // PEM, of an authority that the system does not know; empty: the system's
	Email      string
	Challenges []string // kinds, as "http-01"
	Hook       []string // command that sets and clears DNS records; empty: no dns-01
	HookWait   time.Duration
	KeyID, MAC string          // external account binding; empty: none
	Issuers    []farm.MemberID // that may order; empty: all
}

// Farm is what Issuer knows of the farm. All methods may be called at any time.
type Farm interface {
	Settings() Settings
	// Hosts are the names that want a certificate: "shop.example.com", "*.example.com".
	Hosts() []string
	// Covered tells whether the store has one for the host that did not come by ACME and is valid.
	Covered(host string) bool
	// Members are all, and those of them that are up, this one too; by name.
	Members() (all int, up []farm.MemberID)
	// Settle returns when all members that are up have what was written to the directory, or with ctx.
	Settle(ctx context.Context)
}

// quiet is the time between a change and the look at what is due.
const quiet = time.Second

// Config is what an Issuer needs.
type Config struct {
	Self  farm.MemberID
	Dir   string // see the package's comment
	Stage string // directory on the same file system, which is not replicated
	Farm  Farm
	Sink  farm.Sink
	Log   *slog.Logger
	Times Times // zero fields have their defaults
}

// Times are those that tests shorten.
type Times struct {
	Look     time.Duration // between two looks at what is due
	Calm     time.Duration // that the same members must have been up before one orders
	Alone    time.Duration // the same where they are less than half
	TakeOver time.Duration // after which the attempt of a member that is not up any more is void
	First    time.Duration // pause after the first failure
}

// Issuer orders and renews certificates, and answers challenges.
type Issuer struct {
	cfg    Config
	wake   chan struct{} // one place
	failed map[string]bool

	up    []farm.MemberID // at the last look
	since time.Time       // that they are up

	set   Settings  // at the last look
	reset time.Time // when they were seen to change; what failed before says nothing any more; zero: never
}

// New returns an Issuer that does nothing but answer challenges yet.
func New(cfg Config) *Issuer {
	t := &cfg.Times
	for at, usual := range map[*time.Duration]time.Duration{
		&t.Look: time.Minute, &t.Calm: 5 * time.Second, &t.Alone: 10 * time.Minute, &t.TakeOver: 30 * time.Second, &t.First: time.Minute,
	} {
		if *at == 0 {
			*at = usual
		}
	}
	return &Issuer{cfg: cfg, wake: make(chan struct{}, 1), failed: map[string]bool{}}
}

// Changed says that the configuration, the store or the members have changed.
func (i *Issuer) Changed() {
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Run orders what is due until ctx ends.
func (i *Issuer) Run(ctx context.Context) error {
	for {
		next := i.look(ctx)
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		case <-i.wake:
			t.Stop()
			select { // several things change together
			case <-ctx.Done():
				return nil
			case <-time.After(min(quiet, i.cfg.Times.Look)):
			}
		}
	}
}

// look makes the orders that are due and this member's to make, and says when to look again.
func (i *Issuer) look(ctx context.Context) time.Duration {
	now := time.Now()
	set := i.settings(now)
	all, up := i.cfg.Farm.Members()
	if !slices.Equal(up, i.up) {
		i.up, i.since = up, now
	}
	v := view{self: i.cfg.Self, now: now, up: up, few: 2*len(up) < all, calm: now.Sub(i.since), settings: set, times: i.cfg.Times}
	next := i.cfg.Times.Look
	hosts := i.cfg.Farm.Hosts()
	if !set.Agreed {
		hosts = nil
	}
	i.heal(hosts)
	i.sweep(now)
	for _, host := range hosts {
		if ctx.Err() != nil {
			break
		}
		if i.cfg.Farm.Covered(host) || !set.can(host) {
			continue
		}
		todo := v.decide(i.known(host))
		if todo.issue {
			i.issue(ctx, set, host)
		} else if todo.wait > 0 {
			next = min(next, todo.wait)
		}
	}
	return next
}

// settings are those of now. Whoever has changed them wants to know at once whether that helps: what failed under others is
// forgotten then, by each member once.
func (i *Issuer) settings(now time.Time) Settings {
	set := i.cfg.Farm.Settings()
	if i.set.Directory != "" && !reflect.DeepEqual(set, i.set) {
		i.reset = now
	}
	i.set = set
	return set
}

// known is what the directory says of a host.
func (i *Issuer) known(host string) known {
	k := known{host: host}
	if cert := i.current(host); cert != nil {
		k.from, k.until = cert.Leaf.NotBefore, cert.Leaf.NotAfter
	}
	if a, ok := i.attempt(host); ok && (a.Open || !a.Since.Before(i.reset)) {
		k.attempt = a
	}
	return k
}

// current is the certificate that the host has by ACME; nil: none that can be read.
func (i *Issuer) current(host string) *tls.Certificate {
	path, err := i.path(host, ".pem")
	if err != nil {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	cert, err := certs.Parse("", content)
	if err != nil {
		return nil
	}
	return cert
}

// path is the file of a host.
func (i *Issuer) path(host, ext string) (string, error) {
	name, err := certs.FileName(host)
	if err != nil {
		return "", err
	}
	return filepath.Join(i.cfg.Dir, name[:len(name)-len(".pem")]+ext), nil
}

// heal ends the faults of hosts that have a good certificate again, or need none any more.
func (i *Issuer) heal(hosts []string) {
	for _, host := range slices.Collect(maps.Keys(i.failed)) {
		if a, failed := i.attempt(host); slices.Contains(hosts, host) && failed && a.Failures > 0 && !i.cfg.Farm.Covered(host) {
			continue
		}
		delete(i.failed, host)
		i.cfg.Sink(farm.Event{ID: farm.EventACMEFailed, Severity: farm.Healed, Subject: host, Folder: farm.FolderCerts,
			Message: "there is a certificate, or none is needed any more"})
	}
}

// client is how the authority is reached.
func (s Settings) client() (*http.Client, error) {
	pool, err := s.pool()
	if err != nil {
		return nil, err
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: pool}, TLSHandshakeTimeout: 15 * time.Second, ForceAttemptHTTP2: true,
	}}, nil
}
