package replica_test

import (
	"slices"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// gossip is what a member knows of the others' states.
type gossip struct {
	links  []farm.MemberID // as told
	heard  map[farm.MemberID]said
	passed map[[2]farm.MemberID]uint64 // number of the state of the second that was passed on to the first
}

// said is what a member has said of itself.
type said struct {
	state  farm.FolderState
	links  []farm.MemberID
	number uint64
}

// says is the member's heartbeat now.
func (n *node) says() replica.PeerState {
	n.links = n.linkedIDs()
	return replica.PeerState{Peer: n.id, State: n.machine.State(), Links: n.links}
}

func (n *node) linkedIDs() []farm.MemberID {
	ids := []farm.MemberID{}
	for _, o := range n.rig.linked(n) {
		ids = append(ids, o.id)
	}
	slices.Sort(ids)
	return ids
}

// note remembers what others said of themselves.
func (n *node) note(in replica.Input) {
	if s, ok := in.(replica.PeerState); ok {
		n.rig.said++
		n.heard[s.Peer] = said{s.State, s.Links, n.rig.said}
	}
}

// gossip passes on what was heard to those that can't hear it themselves, as member does once a second.
func (g *rig) gossip() {
	for _, n := range g.nodes {
		if n.machine == nil {
			continue
		}
		for _, to := range g.linked(n) {
			for _, about := range g.nodes {
				s, known := n.heard[about.id]
				way := [2]farm.MemberID{to.id, about.id}
				if !known || about == to || about == n || n.passed[way] == s.number || slices.Contains(to.linkedIDs(), about.id) {
					continue
				}
				n.passed[way] = s.number
				if to.heard[about.id].number < s.number {
					to.heard[about.id] = s
					to.step(replica.Relayed{Peer: about.id, State: s.state, Links: s.links})
				}
			}
		}
	}
}

// shape cuts the sessions that a ring, or a hub and its spokes, does not have.
func (g *rig) shape(kind string, ids []string) {
	for i, a := range ids {
		for j, b := range ids[:i] {
			near := j == 0
			if kind == "ring" {
				near = i-j == 1 || i-j == len(ids)-1
			}
			if !near {
				g.cut[pair(g.node(a), g.node(b))] = true
				g.unlink(g.node(a), g.node(b))
			}
		}
	}
}
