package edge

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Dialer is the way to the nodes.
type Dialer interface {
	// DialHTTP returns an authenticated connection to the node that speaks HTTP/1.1. Its Close must end reads and
	// writes, and deadlines must work. A read that timed out may be repeated.
	DialHTTP(ctx context.Context, node farm.MemberID) (net.Conn, error)
}

// Access is one visitor's request when it is over, for the access log.
type Access struct {
	ID       string        // of the request; also in its X-Request-Id
	Node     farm.MemberID // that answered; empty: the edge did
	Client   string        // address: the visitor's, behind trusted proxies too
	Method   string
	Host     string
	URI      string
	Proto    string // "HTTP/2.0"
	Referer  string
	Agent    string
	Position string    // what the visitor had written and seen
	Time     time.Time // at which it came
	Status   int       // 499: the visitor left first
	Bytes    int64     // of the answer's body
	Tries    int       // nodes asked, with repetitions
	Duration time.Duration
}

// Config is what an Edge needs. Only Dialer must be set.
type Config struct {
	Dialer Dialer
	Site   func(host string) *config.EdgeSite // of that name (lower case, no port), nil: there is none. Nil: every name has one
	Policy config.Policy                      // of sites that do not say; empty: RoundRobin
	Sink   farm.Sink
	Log    *slog.Logger
	Now    func() time.Time
	Access *AccessLog // may be nil; without a file requests are logged with level debug

	Digest   func([]byte) farm.Digest // of contents, as folders have it; nil: nothing is cached
	VisitKey []byte                   // proves what visitors bring, see farm.Visit; nil: that is a hint, which the nodes judge

	Limits Limits // to begin with; a field that is zero has its default
}

// Edge balances visitors' requests over the nodes. It is an http.Handler.
type Edge struct {
	cfg     Config
	life    context.Context // ends with Run; tunnels live no longer
	end     context.CancelFunc
	changed chan struct{} // the set of nodes or of sites changed; one place
	view    atomic.Pointer[view]
	limits  atomic.Pointer[Limits]
	passes  atomic.Bool  // TLS of a site passes through
	waiting atomic.Int64 // requests that wait for another view
	drains  atomic.Bool  // other edges should have the visitors
	leaving atomic.Bool  // other edges are about to have them
	sites   sites
	guard   atomic.Pointer[Guard]
	crowds  crowds
	random  func() float64 // at least 0, below 1

	mu       sync.Mutex
	nodes    []*node
	policy   picker
	sessions map[farm.MemberID]bool
	states   map[farm.MemberID]farm.MemberState
	known    farm.Session // all that any node has ever been heard to know, by folder
}

// New returns an Edge without nodes. Nothing is probed, and so no node becomes healthy, before Run.
func New(cfg Config) *Edge {
	if cfg.Sink == nil {
		cfg.Sink = func(farm.Event) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Site == nil {
		silent := &config.EdgeSite{}
		cfg.Site = func(string) *config.EdgeSite { return silent }
	}
	e := &Edge{
		cfg:      cfg,
		changed:  make(chan struct{}, 1),
		policy:   newPicker(cfg.Policy),
		sessions: map[farm.MemberID]bool{},
		states:   map[farm.MemberID]farm.MemberState{},
		random:   rand.Float64,
	}
	e.guard.Store(&Guard{})
	e.limits.Store(new(cfg.Limits.orDefault()))
	e.life, e.end = context.WithCancel(context.Background())
	first := newView(nil, e.policy, 0)
	first.lackFrom = cfg.Now()
	e.view.Store(first)
	return e
}

// SetNodes says which nodes there are. Those that are new begin Unknown; those that are missing are Removed: what
// they are working on is finished.
func (e *Edge) SetNodes(want []Node) {
	e.mu.Lock()
	old := e.nodes
	e.nodes = nil
	for _, w := range want {
		i := slices.IndexFunc(old, func(n *node) bool { return n.id == w.ID })
		if i < 0 {
			e.nodes = append(e.nodes, e.newNode(w))
			continue
		}
		old[i].take(w)
		e.nodes = append(e.nodes, old[i])
	}
	var events []farm.Event
	for _, n := range old {
		if !slices.Contains(e.nodes, n) {
			events = append(events, e.step(n, removed, "it left the farm")...)
			n.pool.close()
			e.turnAway(n)
		}
	}
	e.renew()
	e.mu.Unlock()
	e.raise(events)
	e.stir()
}

// stir lets Run look what there is to be probed.
func (e *Edge) stir() {
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

func (e *Edge) newNode(w Node) *node {
	n := &node{
		id:    w.ID,
		seed:  hashOf(string(w.ID)),
		now:   e.cfg.Now,
		pool:  newPool(e.cfg.Dialer, w.ID),
		nudge: make(chan struct{}, 1),
		since: e.cfg.Now(),
		cause: "not probed yet",
	}
	n.take(w)
	l := e.limits.Load()
	n.gate.resize(l.MaxPerNode, l.MaxQueue)
	if e.sessions[w.ID] {
		n.health = n.health.step(sessionUp)
	}
	if e.states[w.ID].Draining {
		n.health = n.health.step(drainOn)
	}
	return n
}

// SetPolicy changes how nodes are chosen for sites that do not say; requests under way are not touched.
func (e *Edge) SetPolicy(p config.Policy) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policy = newPicker(p)
	e.renew()
}

// Link says whether there is a session with the member. A node without one takes no new requests at once; requests
// that it has not begun to answer go to another node if they may. An edge that is a node too has a session with itself.
func (e *Edge) Link(m farm.MemberID, up bool) {
	e.mu.Lock()
	in, cause := sessionUp, "session established"
	if up {
		e.sessions[m] = true
	} else {
		in, cause = sessionLost, "session lost"
		delete(e.sessions, m)
		delete(e.states, m) // what it has now is not known until it says so again
	}
	e.mu.Unlock()
	e.report(m, in, cause)
}

// State takes what a member says of itself: at every heartbeat and whenever its applied vectors change.
func (e *Edge) State(s farm.MemberState) {
	e.mu.Lock()
	e.states[s.Member] = s
	e.renew()
	e.mu.Unlock()
	if s.Draining {
		e.report(s.Member, drainOn, "it drains")
	} else {
		e.report(s.Member, drainOff, "it takes visitors again")
	}
}

// report tells the member's state machine, if it is a node, what happened.
func (e *Edge) report(m farm.MemberID, in input, cause string) {
	e.mu.Lock()
	i := slices.IndexFunc(e.nodes, func(n *node) bool { return n.id == m })
	if i < 0 {
		e.mu.Unlock()
		return
	}
	n := e.nodes[i]
	events := e.step(n, in, cause)
	if len(events) > 0 {
		e.renew()
	}
	elsewhere := e.view.Load().takesNew()
	e.mu.Unlock()

	switch in {
	case sessionUp:
		n.wake()
	case sessionLost:
		n.pool.flush()
		e.turnAway(n)
		if elsewhere {
			n.pool.abandon()
		}
	case connBad:
		n.wake()
	}
	e.raise(events)
}

// step moves a node's state machine and returns the events of that. Under mu.
func (e *Edge) step(n *node, in input, cause string) []farm.Event {
	before := n.health.state
	n.health = n.health.step(in)
	n.suspect.Store(n.health.bad > 0)
	after := n.health.state
	if after == before {
		return nil
	}
	n.since, n.cause = e.cfg.Now(), cause
	if n.health.state.takesRequests() && !before.takesRequests() {
		n.rise++
		n.up = n.since
	}
	ev := farm.Event{
		ID:       farm.EventNodeDown,
		Severity: farm.Info,
		Subject:  string(n.id),
		Message:  "no visitors are sent to " + string(n.id) + ": " + cause,
		Fields:   map[string]string{"state": after.String(), "was": before.String(), "cause": cause},
	}
	switch after {
	case Healthy:
		ev.ID, ev.Message = farm.EventNodeUp, "visitors are sent to "+string(n.id)+": "+cause
		if before == Failing || before == Strained {
			ev.Severity = farm.Healed
		}
	case Strained:
		ev.Severity = farm.Fault
		ev.Message = "visitors are sent to " + string(n.id) + " only when no other node is fit: " + cause
		ev.Next = "look at `tandem status` on " + string(n.id)
	case Failing:
		ev.Severity = farm.Fault
		ev.Next = "look at `tandem status` on " + string(n.id) + "; the others carry on"
	}
	return []farm.Event{ev}
}

// raise hands events over, outside of mu.
func (e *Edge) raise(events []farm.Event) {
	for _, ev := range events {
		e.cfg.Sink(ev)
	}
}

// renew replaces the view and wakes who waits for a better one. Under mu.
func (e *Edge) renew() {
	old := e.view.Load()
	var all []*standing
	folders := map[farm.FolderID]bool{}
	for _, n := range e.nodes {
		has := e.states[n.id].Folders
		e.learn(has)
		for f := range has {
			folders[f] = true
		}
		if n.health.state.takesRequests() {
			all = append(all, n.standing(has))
		}
	}
	v := newView(all, e.policy, e.limits.Load().SlowStart)
	v.folders = folders
	v.known, v.revision = e.known, e.revision()
	if len(v.tiers) == 0 {
		v.lackFrom = old.lackFrom
		if v.lackFrom.IsZero() {
			v.lackFrom = e.cfg.Now()
		}
	}
	e.view.Store(v)
	close(old.next)
}

// learn takes note of what a node knows. It is not unlearnt when the node's session is lost. Under mu.
func (e *Edge) learn(has map[farm.FolderID]farm.FolderState) {
	for f, state := range has {
		if !e.known[f].CoversAll(state.Known) {
			e.known = e.known.Join(farm.Session{f: state.Known})
		}
	}
}

// revision is that of the configuration which all nodes run that have said so; zero: they differ, or have not. Under mu.
func (e *Edge) revision() (all farm.Digest) {
	for _, n := range e.nodes {
		s, ok := e.states[n.id]
		if !ok {
			continue
		}
		live := s.Verdict.Revision
		if live.IsZero() || !all.IsZero() && live != all {
			return farm.Digest{}
		}
		all = live
	}
	return all
}

// ServeHTTP implements http.Handler.
func (e *Edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := exchange{edge: e, w: w, r: r, begun: e.cfg.Now(), id: newRequestID()}
	defer x.log()
	if !x.admit() {
		return
	}
	left := x.enterCrowd()
	if left == nil {
		return
	}
	defer left()
	x.carry()
	x.fill.finish()
}
