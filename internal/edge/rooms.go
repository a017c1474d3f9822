package edge

import "sync"

// rooms bound the requests in flight of one site to each node. Those that work under other options of the site are not counted.
type rooms struct {
	most int // to one node

	mu sync.Mutex
	at map[*node]*gate
}

// newRooms returns nil if there is no bound.
func newRooms(most int) *rooms {
	if most == 0 {
		return nil
	}
	return &rooms{most: most, at: map[*node]*gate{}}
}

// of is the gate to a node, at which so many may wait.
func (r *rooms) of(n *node, queue int) *gate {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.at[n]
	if g == nil {
		g = &gate{}
		g.resize(r.most, queue)
		r.at[n] = g
	}
	return g
}

// turnAway makes all that wait for the node choose again, and forgets it.
func (r *rooms) turnAway(n *node) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if g := r.at[n]; g != nil {
		g.turnAway()
		delete(r.at, n)
	}
}

// turnAway makes all requests that wait for a place at the node choose again.
func (e *Edge) turnAway(n *node) {
	n.gate.turnAway()
	e.sites.all.Range(func(_, of any) bool {
		if r := of.(*site).work.Load().rooms; r != nil {
			r.turnAway(n)
		}
		return true
	})
}

// place is what a request that a node works on has taken.
type place struct {
	node *gate
	site *gate // nil: the site has no bound of its own
}

func (p place) leave() {
	p.node.leave()
	if p.site != nil {
		p.site.leave()
	}
}

// enter takes a place at the node, the site's first: who waits for that takes nothing away from other sites. It waits as
// gate.enter does.
func (x *exchange) enter(n *node) error {
	limit := min(queueTime, x.left())
	p := place{node: &n.gate, site: x.siteGate(n)}
	if p.site != nil {
		if err := p.site.enter(x.r.Context(), limit); err != nil {
			return err
		}
	}
	if err := p.node.enter(x.r.Context(), limit); err != nil {
		if p.site != nil {
			p.site.leave()
		}
		return err
	}
	x.place = p
	return nil
}

// siteGate is the site's own gate to a node; nil: there is none.
func (x *exchange) siteGate(n *node) *gate {
	if r := x.site.work.Load().rooms; r != nil {
		return r.of(n, x.edge.limits.Load().MaxQueue)
	}
	return nil
}

// hasRoom tells whether the node takes the request without letting it wait.
func (x *exchange) hasRoom(s *standing) bool {
	g := x.siteGate(s.node)
	return s.hasRoom() && (g == nil || g.hasRoom())
}
