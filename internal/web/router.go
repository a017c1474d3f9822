package web

import (
	"cmp"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"tandem/internal/config"
	"tandem/internal/shell"
)

// table says which block of which site answers to what. It is immutable; a revision makes a new one.
type table struct {
	sites  []*site
	fronts map[string]*hosts  // by address that is listened on
	narrow map[string]bool    // of these addresses (of all interfaces), single interfaces have sites of their own
	all    *hosts             // whatever the address: for requests from edges
	edges  []*config.EdgeSite // of the blocks that have options
	secure string             // port of HTTPS on the edges; empty: none

	trusted []netip.Prefix // proxies before the sites' own addresses
}

// target is a block as the answer to one of its bindings.
type target struct {
	site  *site
	block *block
	edge  *config.EdgeSite // nil: as for any
	binding
}

// hosts finds targets by host name. In a front each name has one target, in table.all it may have several.
type hosts struct {
	exact map[string][]target
	wild  map[string][]target // "example.com" for *.example.com
	any   []target
	tls   bool // of a front
}

func newHosts() *hosts { return &hosts{exact: map[string][]target{}, wild: map[string][]target{}} }

func (h *hosts) add(t target) {
	if parent, ok := strings.CutPrefix(t.host, "*."); ok {
		h.wild[parent] = append(h.wild[parent], t)
	} else if t.host != "" {
		h.exact[t.host] = append(h.exact[t.host], t)
	} else {
		h.any = append(h.any, t)
	}
}

// find returns the targets for a host name in lower case: those of the name, else of its wildcard, else of any name.
func (h *hosts) find(host string) []target {
	if ts, ok := h.exact[host]; ok {
		return ts
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		if ts, ok := h.wild[parent]; ok {
			return ts
		}
	}
	return h.any
}

// add enters a target for an address of this member.
func (t *table) add(to target) {
	h, ok := t.fronts[to.address]
	if !ok {
		h = newHosts()
		h.tls = to.tls
		t.fronts[to.address] = h
	}
	h.add(to)
	if every := everywhere(to.address); every != to.address {
		t.narrow[every] = true
	}
}

// normalHost is the name in a Host header, in lower case, without port and dot at its end.
func normalHost(host string) string {
	return strings.ToLower(strings.TrimSuffix(hostOnly(host), "."))
}

// Serves tells whether the live revision has a site for the host name.
func (s *Sites) Serves(host string) bool { return len(s.table.Load().all.find(normalHost(host))) > 0 }

// first is the target in a front.
func (t *table) first(address, host string) *target {
	h, ok := t.fronts[address]
	if !ok {
		return nil
	}
	if ts := h.find(host); len(ts) > 0 {
		return &ts[0]
	}
	return nil
}

// best is the target for a request that came by an edge: where a name has several, that with the scheme and port which
// the visitor used.
func (t *table) best(r *http.Request) *target {
	ts := t.all.find(normalHost(r.Host))
	if len(ts) == 0 {
		return nil
	}
	https := r.TLS != nil
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		port = portHTTP
		if https {
			port = portHTTPS
		}
	}
	fit := func(t *target) (n int) {
		if t.tls == https {
			n += 2
		}
		if t.port() == port {
			n++
		}
		return n
	}
	best := &ts[0]
	for i := range ts[1:] {
		if fit(&ts[i+1]) > fit(best) {
			best = &ts[i+1]
		}
	}
	return best
}

// acquire finds a target and keeps its site loaded; whoever gets one releases its site.
func (s *Sites) acquire(find func(*table) *target) *target {
	for {
		t := find(s.table.Load())
		if t == nil || t.site.acquire() {
			return t
		}
		// Replaced and unloaded since: the table that is live now has another.
	}
}

func (s *Sites) serve(w http.ResponseWriter, r *http.Request, find func(*table) *target) {
	if private(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	t := s.acquire(find)
	if t != nil {
		defer t.site.release()
	}
	if t == nil || t.block.routes == nil {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "No site here answers to this name.\n")
		return
	}
	c := newOutcome(w)
	defer s.tally(c)
	t.block.ServeHTTP(c, r)
}

// Trusted serves requests that an edge or another node passes on: who mounts it has made sure of that by the farm's
// mTLS. The Host header decides on the site, whatever its addresses.
func (s *Sites) Trusted() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = fromMember(r)
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			_ = http.NewResponseController(w).EnableFullDuplex() // else the answer would wait for the end of the request
		}
		if t := s.table.Load(); s.redirect(w, r, t.secure, t.best(r)) {
			return
		}
		s.serve(w, r, func(t *table) *target { return t.best(r) })
	})
}

// Passed serves the requests of visitors whose connections an edge has passed on with their TLS. The Host header decides on
// the site, whatever its addresses; but only such sites are served so, or a visitor could get round what the edge does for
// the others.
func (s *Sites) Passed() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o := s.Edge(r.Host); o == nil || !o.Passes() {
			http.Error(w, "this host is not served on this connection", http.StatusMisdirectedRequest)
			return
		}
		fromVisitor(r)
		s.serve(w, r, func(t *table) *target { return t.best(r) })
	})
}

// Fronts are the addresses that the live revision's sites want to listen on here. Their handlers stay right when the
// revision changes. An address of one interface has no front where the port is listened on at all addresses; its
// requests find their sites all the same.
func (s *Sites) Fronts() []shell.Front {
	var fronts []shell.Front
	t := s.table.Load()
	for address, h := range t.fronts {
		if every := everywhere(address); address == every || t.fronts[every] == nil {
			fronts = append(fronts, shell.Front{Name: "sites", Address: address, TLS: h.tls, Handler: s.front(address)})
		}
	}
	wanted := t.redirects()
	for _, address := range wanted {
		if every := everywhere(address); address == every || !slices.Contains(wanted, every) {
			fronts = append(fronts, shell.Front{Name: "redirects", Address: address, Handler: s.front(address)})
		}
	}
	slices.SortFunc(fronts, func(a, b shell.Front) int { return cmp.Compare(a.Address, b.Address) })
	return fronts
}

// everywhere is the address that listens on the same port of all interfaces.
func everywhere(address string) string { return address[strings.LastIndexByte(address, ':'):] }

// front serves what comes in by one address.
func (s *Sites) front(address string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = fromFront(r, s.table.Load().trusted)
		host := normalHost(r.Host)
		if s.redirect(w, r, portHTTPS, s.table.Load().securelyHere(address, host, r)) {
			return
		}
		s.serve(w, r, func(t *table) *target {
			if t.narrow[address] {
				if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
					if found := t.first(local.String(), host); found != nil {
						return found
					}
				}
			}
			return t.first(address, host)
		})
	})
}
