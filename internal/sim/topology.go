package sim

import (
	"slices"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// Topology says who is linked with whom.
type Topology uint8

// The topologies.
const (
	Mesh Topology = iota // all with all
	Hub                  // all with the first
	Ring                 // each with its two neighbours
)

// near tells whether the topology has a link between the two.
func (f *sim) near(a, b *node) bool {
	i, j := slices.Index(f.nodes, a), slices.Index(f.nodes, b)
	switch d := max(i, j) - min(i, j); f.opt.Topology {
	case Hub:
		return min(i, j) == 0
	case Ring:
		return d == 1 || d == len(f.nodes)-1
	default:
		return true
	}
}

// said is what a node has said of itself; of two states the one with the higher number is the later.
type said struct {
	state  farm.FolderState
	links  []farm.MemberID
	number uint64
}

// says is the node's heartbeat now.
func (n *node) says() replica.PeerState {
	n.links = n.linkedIDs()
	return replica.PeerState{Peer: n.id, State: n.state(), Links: n.links}
}

func (n *node) linkedIDs() []farm.MemberID {
	ids := []farm.MemberID{}
	for _, o := range n.f.linked(n) {
		ids = append(ids, o.id)
	}
	slices.Sort(ids)
	return ids
}

// note remembers what others said of themselves.
func (n *node) note(in replica.Input) {
	if s, ok := in.(replica.PeerState); ok {
		n.f.states++
		n.heard[s.Peer] = said{s.State, s.Links, n.f.states}
	}
}

// gossip passes on what was heard to those that can't hear it themselves, as member does. It counts as heartbeats.
func (n *node) gossip() {
	for _, to := range n.f.linked(n) {
		for _, about := range n.f.nodes {
			s, known := n.heard[about.id]
			way := [2]farm.MemberID{to.id, about.id}
			if !known || about == to || about == n || n.passed[way] == s.number || n.f.wire(to, about).up {
				continue
			}
			n.passed[way] = s.number
			life := to.life
			n.later(50*time.Microsecond, 4*time.Millisecond, func() {
				if n.f.wire(n, to).up && to.life == life && to.heard[about.id].number < s.number {
					to.heard[about.id] = s
					to.step(replica.Relayed{Peer: about.id, State: s.state, Links: s.links})
				}
			})
		}
	}
}
