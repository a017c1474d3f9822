package edge

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/config"
)

// site is what the edge knows of one block of a site file, or of all that have no edge directive. It lives as long as a
// block of that name does: over revisions, and over changes of its options.
type site struct {
	work atomic.Pointer[siteWork]
	conditions
}

// siteWork is made anew whenever a revision has changed the site's options.
type siteWork struct {
	options *config.EdgeSite // never nil
	picker  picker           // nil: the farm's
	rates   rates
	cache   *cache // nil: nothing is kept
	rooms   *rooms // nil: only the nodes' own bounds hold
}

// picker chooses the site's nodes.
func (s *site) picker(v *view) picker {
	if p := s.work.Load().picker; p != nil {
		return p
	}
	return v.picker
}

// rates are the site's rate limits.
func (s *site) rates() rates { return s.work.Load().rates }

// cache keeps the site's answers; nil: nothing does.
func (s *site) cache() *cache { return s.work.Load().cache }

// options are what the site file says.
func (s *site) options() *config.EdgeSite { return s.work.Load().options }

// renew takes options that may be new.
func (s *site) renew(o *config.EdgeSite) {
	old := s.work.Load()
	if old != nil && old.options == o {
		return
	}
	w := &siteWork{options: o}
	if old != nil && slices.Equal(old.options.Rates, o.Rates) {
		w.rates = old.rates
	} else {
		w.rates = newRates(o.Rates)
	}
	if old != nil && old.options.MaxPerNode == o.MaxPerNode {
		w.rooms = old.rooms
	} else {
		w.rooms = newRooms(o.MaxPerNode)
	}
	switch {
	case o.Policy == "":
	case old != nil && old.options.Policy == o.Policy:
		w.picker = old.picker
	default:
		w.picker = newPicker(o.Policy)
	}
	if o.CacheBytes > 0 { // what was kept under other options is not kept on
		w.cache = newCache(o.CacheBytes)
	}
	s.work.Store(w)
}

// sites finds sites by the name of their options.
type sites struct {
	all sync.Map   // string to *site
	mu  sync.Mutex // held by who adds, renews or drops one
}

// siteOf is the site that a host name (lower case, no port) belongs to, and its options; nil: there is none.
func (e *Edge) siteOf(host string) (*site, *config.EdgeSite) {
	o := e.cfg.Site(host)
	if o == nil {
		return nil, nil
	}
	return e.sites.of(o), o
}

// of returns the site that has the options, which it gets to know if need be.
func (s *sites) of(o *config.EdgeSite) *site {
	if found, ok := s.all.Load(o.Name); ok && found.(*site).options() == o {
		return found.(*site)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.all.Load(o.Name)
	if !ok {
		found = &site{}
	}
	found.(*site).renew(o)
	s.all.Store(o.Name, found)
	return found.(*site)
}

// SetSites says which blocks have options now. What is kept of others goes.
func (e *Edge) SetSites(all []*config.EdgeSite) {
	e.passesAny(all)
	names := map[string]bool{"": true} // of those without options
	for _, o := range all {
		e.sites.of(o)
		names[o.Name] = true
	}
	e.mu.Lock()
	nodes := e.nodes
	e.mu.Unlock()
	e.sites.mu.Lock()
	defer e.sites.mu.Unlock()
	e.sites.all.Range(func(name, s any) bool {
		if !names[name.(string)] {
			e.sites.all.Delete(name)
		} else {
			s.(*site).keep(nodes, s.(*site).options(), e.cfg.Now())
		}
		return true
	})
	e.stir()
}

// probed are the sites that are probed.
func (s *sites) probed() (all []*site) {
	s.all.Range(func(_, of any) bool {
		if of.(*site).options().Probe != nil {
			all = append(all, of.(*site))
		}
		return true
	})
	return all
}

// outOn are the sites that are out on the node, by name.
func (s *sites) outOn(n *node, now time.Time) (out []SiteOut) {
	s.all.Range(func(name, of any) bool {
		c := &of.(*site).conditions
		c.mu.Lock()
		defer c.mu.Unlock()
		if h := c.at[n]; h.out(now) {
			out = append(out, SiteOut{Site: name.(string), State: h.state, Cause: h.cause})
		}
		return true
	})
	slices.SortFunc(out, func(a, b SiteOut) int { return strings.Compare(a.Site, b.Site) })
	return out
}
