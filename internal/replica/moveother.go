package replica

import (
	"strconv"
	"time"

	"tandem/internal/farm"
)

// arrivedMove takes in a move that happened elsewhere.
func (m *Machine) arrivedMove(in ArrivedMove) {
	v := in.Move
	m.peer(in.From).aheadSince = m.now // it is telling: no need to ask
	m.compare(farm.VectorOf(v.Last()), in.From)
	if m.meta.Known.Covers(v.Last()) {
		return
	}
	if m.lapsed(m.peer(in.From)) {
		m.peer(in.From).refused = true
		return
	}
	m.clock.Observe(v.Time)
	m.relayMove(in)
	m.moving = &moving{Move: v, from: in.From, until: m.now.Add(otherMoveWait)}
}

// relayMove passes a move on to those that may not hear of it otherwise.
func (m *Machine) relayMove(in ArrivedMove) {
	if to := m.lacking(in.From, in.Move.First); to != nil {
		m.emit(RelayMove{To: to, Move: in.Move})
	}
}

// tryOther has the directory renamed, if this member has what the writer had.
func (m *Machine) tryOther(v *moving) {
	switch {
	case m.paused || m.meta.Known.Covers(v.Last()): // all of it was told meanwhile, or will be
		m.moving = nil
		return
	case m.seeding || m.rules.Checked || !m.matches(v):
		m.abandon(v)
		return
	}
	v.out = true
	m.flying++
	m.emit(Shift{Move: v.Move, Is: v.was[0].Disk})
}

// matches tells whether the move means here what it means to its writer, and is the next of its feed.
func (m *Machine) matches(v *moving) bool {
	return m.meta.Known.At(v.First.Actor) == v.First.Seq-1 && m.movable(v) && len(v.was) == v.Count && digestOfMoved(v) == v.Digest
}

// shifted ends a move that happened elsewhere.
func (m *Machine) shifted(in Shifted) {
	v := m.moving
	if v == nil || !v.out || v.own() || v.First != in.Move.First {
		return
	}
	m.flying--
	v.out = false
	if in.Outcome != farm.Done {
		m.abandon(v)
		m.dirty(v.From)
		m.dirty(v.To)
		return
	}
	m.moving = nil
	m.relocate(v, in.Stat)
	m.walk(v.To, true, true) // what was changed in it at the last moment has come along
	fields := map[string]string{"type": farm.Dir.String(), "from": string(v.First.Actor.Member), "entries": strconv.Itoa(v.Count)}
	if !v.Sent.IsZero() {
		fields["millis"] = strconv.FormatFloat(float64(m.now.Sub(v.Sent))/float64(time.Millisecond), 'f', 1, 64)
	}
	m.raise(farm.EventFileInstalled, farm.Info, v.To, "renamed from "+v.From.String(), "", fields)
}

// finishMoves writes down the moves of an earlier life that did change the disk. Whatever an application did since then, it
// had the new names before its eyes.
func (m *Machine) finishMoves() {
	for _, mv := range m.finishedMoves {
		if v := (&moving{Move: mv}); m.matches(v) {
			m.relocate(v, farm.Fingerprint{})
		}
	}
	m.finishedMoves = nil
}
