package replica

import (
	"strconv"

	"tandem/internal/farm"
)

// A member whose index was set back, by a snapshot that was restored, writes under numbers that it has used before. What
// it wrote before its index was opened is the same for all; what it wrote since then is in doubt until the others have
// told what they know of its feed.

// twice tells whether e shows that a number which we have given since the start was given before, to something else: it
// is of another version than ours, or of another path. All numbers of ours that a version has seen are of its own path,
// and what we wrote there we know, unless it was a deletion that all have forgotten.
func (m *Machine) twice(e farm.Entry) bool {
	if m.first.Actor != m.meta.Actor {
		return false
	}
	seen := e.Version.Vector.At(m.first.Actor)
	if seen <= m.first.Seq {
		return false
	}
	r, _ := m.db.Get(e.Path)
	for _, k := range r.Known {
		if k.Version.Dot == e.Version.Dot {
			return k.Version.Time != e.Version.Time
		}
	}
	if i := int(seen - m.first.Seq - 1); i < len(m.gave) {
		return m.gave[i] != e.Path
	}
	pos := farm.Position{Actor: m.first.Actor, Seq: seen}
	return seen > m.forgotten && !r.Context().Covers(pos) && !r.Disk.Context.Covers(pos)
}

// maxGave bounds the changes since the start of which it is remembered what path each number was given to.
const maxGave = 4096

// give takes the next number of ours for a change of p.
func (m *Machine) give(p farm.Path) farm.Position {
	m.meta.Seq++
	if m.meta.Actor == m.first.Actor && len(m.gave) < maxGave {
		m.gave = append(m.gave, p)
	}
	return farm.Position{Actor: m.meta.Actor, Seq: m.meta.Seq}
}

// forget drops a path whose deletion all have that are waited for.
func (m *Machine) forget(p farm.Path, r farm.Record) {
	m.meta.Forgot = m.meta.Forgot.Join(r.Context())
	m.putMeta()
	m.forgotten = max(m.forgotten, r.Context().At(m.first.Actor))
	m.db.Drop(p)
}

// newEpoch goes on as another actor, because what this one wrote is not all known any more.
func (m *Machine) newEpoch(why string) {
	old := m.meta.Actor
	m.meta.Actor.Epoch, m.meta.Seq = max(farm.Epoch(m.now.UnixMilli()), old.Epoch+1), 0
	if old == m.first.Actor {
		m.writeAgain()
	}
	m.putMeta()
	m.raise(farm.EventFolderEpoch, farm.Warning, farm.Path{}, why, "",
		map[string]string{"epoch": strconv.FormatUint(uint64(m.meta.Actor.Epoch), 36)})
}

// writeAgain gives what was written since the start other numbers: to the rest of the farm the old ones mean something
// else.
func (m *Machine) writeAgain() {
	m.meta.Known = m.sure(m.meta.Known)
	m.meta.Durable = m.sure(m.meta.Durable)
	delete(m.early, m.first.Actor)
	var doubtful []farm.Record
	for r := range m.db.Under(farm.Path{}) {
		if c := r.Context(); !m.sure(c).Equal(c) || !m.sure(r.Disk.Context).Equal(r.Disk.Context) {
			doubtful = append(doubtful, r)
		}
	}
	for _, r := range doubtful {
		m.db.Put(m.renumbered(r))
	}
}

// sure is v without what is in doubt.
func (m *Machine) sure(v farm.Vector) farm.Vector { return v.Capped(m.first.Actor, m.first.Seq) }

func (m *Machine) inDoubt(p farm.Position) bool {
	return p.Actor == m.first.Actor && p.Seq > m.first.Seq
}

// renumbered returns r with the version that is in doubt under a new number, and pushes that.
func (m *Machine) renumbered(r farm.Record) farm.Record {
	var own farm.Stamp
	known := make([]farm.Entry, 0, len(r.Known))
	for _, e := range r.Known {
		v := &e.Version
		v.Vector = m.sure(v.Vector)
		if m.inDoubt(v.Dot) {
			m.meta.Seq++
			own = farm.Stamp{Dot: farm.Position{Actor: m.meta.Actor, Seq: m.meta.Seq}, Time: m.clock.Now(m.now)}
			v.Dot, v.Time, v.Vector = own.Dot, own.Time, v.Vector.With(own.Dot)
			m.meta.Known = m.meta.Known.With(own.Dot)
		}
		known = append(known, e)
	}
	stamp := func(s *farm.Stamp) {
		if m.inDoubt(s.Dot) {
			*s = own
		}
	}
	for i := range known {
		v := &known[i].Version
		stamp(&v.Content)
		stamp(&v.Meta)
		if v.Dot == own.Dot && !own.Dot.IsZero() {
			m.push(farm.Change{Entry: known[i], Sent: m.now})
		}
	}
	r.Known = known
	disk := func(d *farm.Disk) {
		if v := m.sure(d.Context); !v.Equal(d.Context) {
			d.Context = v.With(own.Dot)
		}
		stamp(&d.Content)
		stamp(&d.Meta)
	}
	disk(&r.Disk)
	if r.Intent != nil {
		intent := *r.Intent
		disk(&intent)
		r.Intent = &intent
	}
	return r
}
