package replica

import (
	"tandem/internal/farm"
)

// moved takes a hint: an application has renamed a directory, it seems.
func (m *Machine) moved(in Moved) {
	v := &moving{Move: farm.Move{From: in.From, To: in.To}, until: m.now.Add(ownMoveWait)}
	if in.From.IsRoot() || in.To.IsRoot() || in.From == in.To || in.From.Under(in.To) || in.To.Under(in.From) ||
		in.From.Private() || in.To.Private() || m.skip(in.From) || m.skip(in.To) {
		m.lookAtMoved(v)
		return
	}
	m.moving = v
}

// lookAtMoved has both trees compared with the index.
func (m *Machine) lookAtMoved(v *moving) {
	for _, dir := range []farm.Path{v.From, v.To} {
		if m.skip(dir) {
			continue
		}
		m.dirty(dir)
		m.walk(dir, true, true)
	}
}

// tryOwn has the disk looked at, if the index leaves open that all of the directory is as it was.
func (m *Machine) tryOwn(v *moving) {
	if m.rules.ReadOnly || m.rules.Checked || m.seeding || m.meta.Seed.Mode != farm.NotSeeding || !m.movable(v) || len(v.was) < m.minMoved {
		m.abandon(v)
		return
	}
	v.out = true
	m.flying++
	m.emit(Compare{From: v.From, To: v.To, Is: v.was[0].Disk})
}

// compared writes the move down, if what is at the new name is what was at the old one.
func (m *Machine) compared(in Compared) {
	v := m.moving
	if v == nil || !v.out || !v.own() || v.From != in.From || v.To != in.To {
		return
	}
	m.flying--
	if in.Err != nil || !in.Same {
		m.abandon(v)
		return
	}
	m.moving = nil
	v.Count, v.Time, v.Sent = len(v.was), m.clock.Now(m.now), m.now
	v.First = m.give()
	v.Digest = digestOfMoved(v)
	m.meta.Seq = v.Last().Seq
	list := m.relocate(v, in.Stat)
	if !m.paused {
		m.emit(PushMove{Move: v.Move, Changes: list})
	}
	for _, p := range in.New {
		m.dirty(p)
	}
}
