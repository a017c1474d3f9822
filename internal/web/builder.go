package web

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/zeebo/blake3"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// builder makes the table of a revision.
type builder struct {
	sites  *Sites
	out    *prepared
	vars   config.Vars
	node   bool             // is this member one
	live   map[string]*site // by file
	faults config.SiteFaults

	maintenance func(file string) *config.Maintenance

	// What is taken, and by which file. It does not depend on which addresses are this member's: a site is not good on
	// one member and refused on another for that.
	names   map[binding]string // without tls
	schemes map[string]scheme  // by address
}

type scheme struct {
	tls  bool
	file string
}

func newBuilder(s *Sites, next *config.Config) *builder {
	me, _ := next.Member(s.cfg.Self)
	b := &builder{
		sites: s, vars: next.Vars(s.cfg.Self, s.cfg.Here), node: me.Has(farm.RoleNode),
		out:  &prepared{sites: s, table: newTable()},
		live: map[string]*site{}, faults: config.SiteFaults{},
		names: map[binding]string{}, schemes: map[string]scheme{},
		maintenance: next.InMaintenance,
	}
	b.out.table.secure = securePortOf(next)
	b.out.table.trusted = next.Edge.TrustedProxies
	b.openSecrets(next)
	for _, st := range s.table.Load().sites {
		b.live[st.file] = st
	}
	return b
}

// openSecrets gives the placeholders of secrets their values. What can't be opened has none.
func (b *builder) openSecrets(c *config.Config) {
	if b.sites.cfg.Unseal == nil || !b.node {
		return
	}
	used := map[string]bool{}
	for _, site := range c.Sites {
		for _, name := range config.SecretsIn(site.Source) {
			used[name] = true
		}
	}
	for name, sealed := range c.Secrets {
		if !used[name] {
			continue
		}
		value, err := b.sites.cfg.Unseal(name, sealed)
		if err != nil {
			b.sites.cfg.Log.Warn("a secret can't be opened", "secret", name, "err", err)
			delete(b.vars.Secrets, name)
			b.vars.Closed[name] = causeOf(err)
			continue
		}
		b.vars.Secrets[name] = value
	}
}

// causeOf is an error without what a fault says anyway.
func causeOf(err error) string {
	if e := (*farm.Error)(nil); errors.As(err, &e) && e.Err != nil {
		err = e.Err
	}
	return err.Error()
}

// source is a site file with its placeholders filled in, but for those of secrets.
type source struct {
	file    string
	text    string
	secrets []string // that it uses
	digest  [32]byte
}

// takeOver adds the sites that did not change and returns the others. What is served keeps its names: a file that wants
// one of them is at fault, not the site that has it.
func (b *builder) takeOver(sites []config.Site) (others []source) {
	for _, site := range sites {
		text, faults := site.Expand(b.vars)
		if faults.Err() != nil {
			b.faults[site.File] = faults
			continue
		}
		src := source{file: site.File, text: text, secrets: config.SecretsIn(text)}
		src.digest = digestOf(src, b.vars, b.node)
		if old := b.live[site.File]; old != nil && old.digest == src.digest && b.claim(old) == nil {
			b.add(old)
			continue
		}
		others = append(others, src)
	}
	return others
}

// load adds a site that is new or changed. Its faults show no secret: values meet nothing but the site's modules.
func (b *builder) load(src source) config.Faults {
	var fill func([]byte) []byte
	if len(src.secrets) > 0 && b.node {
		fill = b.vars.Fill
	}
	program, faults := compile(src.file, src.text, fill)
	if faults != nil {
		return faults
	}
	st := &site{file: src.file, digest: src.digest, unload: func() {}}
	if b.node && (b.sites.cfg.Unseal != nil || len(src.secrets) == 0) { // else there are no values that its modules could look at
		faults = b.vars.Hide(b.sites.load(st, program, b.vars.Folders), src.secrets)
	} else {
		st.name(program)
	}
	if faults != nil {
		return faults
	}
	if faults := b.claim(st); faults != nil {
		st.release()
		return faults
	}
	b.out.loaded = append(b.out.loaded, st)
	b.add(st)
	return nil
}

// digestOf names all that a site is made of.
func digestOf(src source, vars config.Vars, node bool) [32]byte {
	all := fmt.Appendf(nil, "%v\x00%s", node, src.text)
	ours := strings.Contains(src.text, directive) || strings.Contains(src.text, confirmDirective)
	for _, f := range slices.Sorted(maps.Keys(vars.Folders)) {
		if path := vars.Folders[f]; ours || strings.Contains(src.text, path) { // a root may be in it
			all = fmt.Appendf(all, "\x00%s\x00%s", f, path)
		}
	}
	for _, name := range src.secrets {
		all = fmt.Appendf(all, "\x00%s\x00%s", name, vars.Secrets[name])
	}
	return blake3.Sum256(all)
}

// claim takes a site's names and addresses, all or none.
func (b *builder) claim(st *site) config.Faults {
	var faults config.Faults
	names, schemes := map[binding]string{}, map[string]scheme{}
	for _, bl := range st.blocks {
		for _, bind := range bl.bindings {
			name := binding{host: bind.host, address: bind.address}
			other, taken := b.names[name]
			if !taken {
				other, taken = names[name]
			}
			message := fmt.Sprintf("%s is served by %s already", bind, other)
			if !taken {
				other, taken = b.speaksOther(bind, schemes)
				message = fmt.Sprintf("%s can't be listened on for HTTP and HTTPS at once; see %s", bind.address, other)
			}
			if taken {
				faults = append(faults, config.Fault{File: st.file, Line: bl.line, Message: message})
				continue
			}
			names[name], schemes[bind.address] = st.file, scheme{bind.tls, st.file}
		}
	}
	if faults == nil {
		maps.Copy(b.names, names)
		maps.Copy(b.schemes, schemes)
	}
	return faults
}

// speaksOther finds who listens where the binding does, with the other of HTTP and HTTPS.
func (b *builder) speaksOther(bind binding, own map[string]scheme) (file string, found bool) {
	for _, schemes := range []map[string]scheme{b.schemes, own} {
		for address, s := range schemes {
			same := address == bind.address || address == everywhere(bind.address) || everywhere(address) == bind.address
			if same && s.tls != bind.tls {
				return s.file, true
			}
		}
	}
	return "", false
}

// addOnce appends s unless list has it.
func addOnce(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// add gives a site its place in the table and in the status.
func (b *builder) add(st *site) {
	status := SiteStatus{File: st.file}
	b.out.table.sites = append(b.out.table.sites, st)
	for _, bl := range st.blocks {
		options := b.edgeOf(st, bl)
		if options != nil {
			b.out.table.edges = append(b.out.table.edges, options)
		}
		for _, bind := range bl.bindings {
			t := target{st, bl, options, bind}
			b.out.table.all.add(t)
			status.Hosts = addOnce(status.Hosts, bind.host)
			if !b.node {
				continue
			}
			if !b.own(bind) {
				status.Skipped = addOnce(status.Skipped, bind.address)
				continue
			}
			status.Serving = addOnce(status.Serving, bind.address)
			b.out.table.add(t)
			status.Bindings = append(status.Bindings, bind.String())
		}
	}
	b.out.status = append(b.out.status, status)
}

func (b *builder) own(bind binding) bool {
	host := bind.bindHost()
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && b.sites.cfg.Own(ip)
}

// keepOld lets refused sites go on as they were, where nothing new is in their way.
func (b *builder) keepOld() {
	for _, file := range slices.Sorted(maps.Keys(b.faults)) {
		if old := b.live[file]; old != nil && b.claim(old) == nil {
			b.add(old)
		} else {
			b.out.status = append(b.out.status, SiteStatus{File: file})
		}
		b.out.status[len(b.out.status)-1].Faults = b.faults[file]
	}
}
