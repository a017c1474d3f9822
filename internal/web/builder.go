package web

import (
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
	}
	b.out.table.secure = securePortOf(next)
	b.openSecrets(next.Secrets)
	for _, st := range s.table.Load().sites {
		b.live[st.file] = st
	}
	return b
}

// openSecrets gives the placeholders of secrets their values. What can't be opened has none.
func (b *builder) openSecrets(sealed map[string]string) {
	if b.sites.cfg.Unseal == nil || !b.node {
		return
	}
	for name, s := range sealed {
		value, err := b.sites.cfg.Unseal(name, s)
		if err != nil {
			b.sites.cfg.Log.Error("a secret can't be opened", "secret", name, "err", err)
			delete(b.vars.Secrets, name)
			continue
		}
		b.vars.Secrets[name] = value
	}
}

// source is a site file with its placeholders filled in.
type source struct {
	file   string
	text   string
	digest [32]byte
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
		src := source{site.File, text, digestOf(text, b.vars, b.node)}
		if old := b.live[site.File]; old != nil && old.digest == src.digest && b.claim(old) == nil {
			b.add(old)
			continue
		}
		others = append(others, src)
	}
	return others
}

// load adds a site that is new or changed.
func (b *builder) load(src source) config.Faults { return b.vars.Mask(b.loadClear(src)) }

func (b *builder) loadClear(src source) config.Faults {
	program, faults := compile(src.file, src.text)
	if faults != nil {
		return faults
	}
	st := &site{file: src.file, digest: src.digest, unload: func() {}}
	if b.node {
		faults = b.sites.load(st, program, b.vars.Folders)
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
func digestOf(text string, vars config.Vars, node bool) [32]byte {
	all := fmt.Appendf(nil, "%v\x00%s", node, text)
	if strings.Contains(text, directive) {
		for _, f := range slices.Sorted(maps.Keys(vars.Folders)) {
			all = fmt.Appendf(all, "\x00%s\x00%s", f, vars.Folders[f])
		}
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
		for _, bind := range bl.bindings {
			t := target{st, bl, bind}
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
