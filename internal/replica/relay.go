package replica

import (
	"slices"

	"tandem/internal/farm"
)

// Changes travel through members where two holders are not linked: on a ring, through a hub, or while one link of the
// mesh is broken. Who gets a live change passes it on to those that its sender can't reach.
//
// Invariant: where every two holders are linked, nothing is passed on. Elsewhere each holder passes a change on at most
// once, when it is new to it, and of several holders that could tell a third the same, one does.

// relay passes a live change that is new here on. What is missed, because a link went down or a queue was full, shows as
// a gap in heartbeats and is asked for.
func (m *Machine) relay(from farm.MemberID, c farm.Change) {
	dot := c.Entry.Version.Dot
	if c.Sent.IsZero() || m.early[dot.Actor][dot.Seq] { // an answer to a question of ours, or passed on already
		return
	}
	if to := m.lacking(from, dot); to != nil {
		m.emit(Relay{To: to, Change: c})
	}
}

// lacking lists the peers that hear of the change at dot by this member first, which has it from another.
func (m *Machine) lacking(from farm.MemberID, dot farm.Position) (to []farm.MemberID) {
	for _, id := range sortedPeers(m.peers) {
		if p := m.peers[id]; p.linked && m.mayLack(id, p, from, dot.Actor.Member) && !p.state.Known.Covers(dot) {
			to = append(to, id)
		}
	}
	return to
}

// mayLack tells whether a peer hears of a change of origin's, which came here from another, by this member first.
func (m *Machine) mayLack(id farm.MemberID, p *peer, from, origin farm.MemberID) bool {
	if id == from || id == origin || p.links == nil { // who does not say whom it is linked with counts as linked with all
		return false
	}
	if slices.Contains(p.links, from) || slices.Contains(p.links, origin) {
		return false
	}
	sender := m.peers[from]
	if sender == nil {
		return true
	}
	for _, other := range p.links { // who else has it from the same sender and can tell: the first by name does
		if other < m.meta.Actor.Member && slices.Contains(sender.links, other) && slices.Contains(m.holders, other) {
			return false
		}
	}
	return true
}

// relayed takes what a holder that this member is not linked with has said of itself, as another passed it on. Expiry
// of deletions needs it: see docs/adr on relayed states.
//
// Invariant: what the holder says here itself counts more, and what it promised stays promised: durable does not shrink
// within one life of its index, and an earlier life says nothing about a later one.
func (m *Machine) relayed(in Relayed) {
	id, s := in.Peer, in.State
	p := m.peer(id)
	if p.linked || id == m.meta.Actor.Member || s.Actor.Member != id || s.Actor.Epoch < p.state.Actor.Epoch {
		return
	}
	if !s.Known.CoversAll(s.Durable) { // nobody can have on disk what it has not heard of
		return
	}
	if s.Actor == p.state.Actor {
		s.Known, s.Applied, s.Durable = s.Known.Join(p.state.Known), s.Applied.Join(p.state.Applied), s.Durable.Join(p.state.Durable)
		s.Forgot = s.Forgot.Join(p.state.Forgot)
	}
	p.links = in.Links
	p.state = s
}
