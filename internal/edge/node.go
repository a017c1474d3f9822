package edge

import (
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// Node is a member that serves the sites.
type Node struct {
	ID     farm.MemberID
	Key    string // the fingerprint of its key, which visitors don't know
	Weight int    // share of the visitors, against the other nodes' weights; below 1 counts as 1
	Host   string // where it is reached, for probes of its ports
	Spare  bool   // it gets visitors only when no other node is fit
}

// node is what the edge has for one Node as long as it is of the farm. Fields without a note are immutable.
type node struct {
	id    farm.MemberID
	seed  uint64 // of its hashes
	now   func() time.Time
	pool  *pool
	gate  gate
	nudge chan struct{} // wakes the prober; one place

	answers answerTimes

	health health // under Edge.mu
	since  time.Time
	cause  string
	weight int
	spare  bool
	where  atomic.Pointer[string] // Node.Host
	mark   string                 // in affinity cookies
	rise   int                    // how often it has come up
	up     time.Time              // when it has come up

	suspect  atomic.Bool // health.bad > 0: an answer is worth reporting
	requests atomic.Int64
	failures atomic.Int64
	retries  atomic.Int64
}

// take takes what the configuration says of the node. Under Edge.mu.
func (n *node) take(w Node) {
	n.weight, n.spare, n.mark = max(1, w.Weight), w.Spare, markOf(w)
	n.where.Store(&w.Host)
}

func (n *node) host() string { return *n.where.Load() }

// standing is the node as it stands now. Under Edge.mu.
func (n *node) standing(has map[farm.FolderID]farm.FolderState) *standing {
	return &standing{
		node: n, rank: rankOf(n.health.state, n.spare), weight: n.weight, spare: n.spare, mark: n.mark,
		rise: n.rise, up: n.up, since: n.since, has: has,
	}
}

// wake makes the prober probe now.
func (n *node) wake() {
	select {
	case n.nudge <- struct{}{}:
	default:
	}
}

// Stats is what status shows of a node.
type Stats struct {
	Node     farm.MemberID `json:"node"`
	State    string        `json:"state"`
	Since    time.Time     `json:"since"`     // of the state
	Cause    string        `json:"cause"`     // of the state
	InFlight int64         `json:"in_flight"` // requests that it is working on
	Requests int64         `json:"requests"`  // attempts to send it a request
	Failures int64         `json:"failures"`  // of these: without a whole answer, through the node's fault
	Retries  int64         `json:"retries"`   // of these: after another attempt had failed
	Answer   time.Duration `json:"answer"`    // that it is expected to take to begin an answer; 0: not known
	Out      []SiteOut     `json:"out"`       // sites of which it gets no visitors
}

// SiteOut is a site that a node gets no visitors of.
type SiteOut struct {
	Site  string    `json:"site"` // name of its options
	State SiteState `json:"state"`
	Cause string    `json:"cause"`
}

func (n *node) expectedAnswer() time.Duration {
	d, _ := n.answers.expected(n.now())
	return d
}

// Stats returns one row per node, in the order of SetNodes.
func (e *Edge) Stats() []Stats {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]Stats, 0, len(e.nodes))
	for _, n := range e.nodes {
		all = append(all, Stats{
			Node:     n.id,
			State:    n.health.state.String(),
			Since:    n.since,
			Cause:    n.cause,
			InFlight: n.gate.inFlight(),
			Requests: n.requests.Load(),
			Failures: n.failures.Load(),
			Retries:  n.retries.Load(),
			Answer:   n.expectedAnswer(),
			Out:      e.sites.outOn(n, e.cfg.Now()),
		})
	}
	return all
}
