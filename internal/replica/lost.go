package replica

import (
	"slices"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// givesUpAfter is how often in a row content must be found nowhere before its author gives it up.
const givesUpAfter = 4

// giveUp ends a wait that nothing else would end. All know of a content that nobody has any more: a power cut took it from
// its author before anybody had fetched it, or an application was still writing to the file when another version took its
// place. When all who hold the folder are there and have nothing, the author says what counts instead: the versions beside
// that one, or, if there are none, what it has on disk. Should somebody have the content after all, it is preserved there:
// the version names it as lost.
func (m *Machine) giveUp(p farm.Path, w *work) {
	r, _ := m.db.Get(p)
	s := m.goal(r, w)
	if w.tries < givesUpAfter || w.dirty || s.Content.Dot.Actor.Member != m.meta.Actor.Member || !m.allLinked() {
		return
	}
	own := farm.Stamp{Dot: m.give(), Time: m.clock.Now(m.now)}
	e := farm.Entry{Path: p, Attr: r.Disk.Attr}
	e.Version = farm.Version{Dot: own.Dot, Vector: s.Context.With(own.Dot), Time: own.Time, Content: own, Meta: own}
	e.Version.Lost = withLost(s.LostDots, s.Content.Dot)
	rest := slices.DeleteFunc(slices.Clone(r.Known), func(k farm.Entry) bool { return k.Version.Content == s.Content })
	if len(rest) > 0 {
		instead := reconcile.Decide(rest, false)
		e.Attr, e.Version.Content, e.Version.Meta = instead.Attr, instead.Content, instead.Meta
		e.Version.Lost = slices.DeleteFunc(e.Version.Lost, func(d farm.Position) bool { return d == instead.Content.Dot })
	} else if m.cut != 0 && r.Disk.Type != farm.Absent && r.Disk.Content.Dot.IsZero() {
		// What a power cut left is nobody's: rather than that, nothing counts. It is preserved.
		e.Attr = farm.Attr{Mode: r.Disk.Mode, Owner: r.Disk.Owner}
	} else {
		r.Disk.Content, r.Disk.Meta, r.Disk.Context, r.Disk.Lost = own, own, e.Version.Vector, e.Version.Lost
	}
	r.Intent = nil
	r.Known = reconcile.Merge(r.Known, e)
	m.meta.Known = m.meta.Known.With(own.Dot)
	m.db.Put(r)
	m.putMeta()
	m.push(farm.Change{Entry: e, Sent: m.now})
	w.phase, w.tries = idle, 0
	m.raise(farm.EventFileBlocked, farm.Warning, p, "its last content is on no member any more: the version before it counts", "",
		map[string]string{"lost": s.Content.Dot.String()})
}

// withLost adds dot to lost, which names at most one content of a member.
func withLost(lost []farm.Position, dot farm.Position) []farm.Position {
	out := slices.DeleteFunc(slices.Clone(lost), func(d farm.Position) bool { return d.Actor.Member == dot.Actor.Member })
	out = append(out, dot)
	slices.SortFunc(out, func(a, b farm.Position) int { return farm.Stamp{Dot: a}.Compare(farm.Stamp{Dot: b}) })
	return out
}

// allLinked tells whether there is a session with every other holder of the folder that is waited for.
func (m *Machine) allLinked() bool {
	for _, h := range m.others() {
		if p := m.peers[h]; p == nil || !p.linked {
			return false
		}
	}
	return true
}
