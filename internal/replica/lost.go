package replica

import (
	"slices"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// givesUpAfter is how often in a row content must be found nowhere before its author gives it up.
const givesUpAfter = 4

// giveUp ends a wait that nothing else would end. A power cut took a content from its author after the change had been
// told and before anybody had fetched it: all know the version, nobody can install it. When all who hold the folder are
// there and have nothing, the author says that what it has on disk is what counts. Should somebody have the content after
// all, it is preserved there: the version names it as lost.
func (m *Machine) giveUp(p farm.Path, w *work) {
	r, _ := m.db.Get(p)
	s := m.goal(r, w)
	author := s.Content.Dot.Actor
	if w.tries < givesUpAfter || w.dirty || author.Member != m.meta.Actor.Member || author == m.meta.Actor || !m.allLinked() {
		return
	}
	m.meta.Seq++
	dot := farm.Position{Actor: m.meta.Actor, Seq: m.meta.Seq}
	own := farm.Stamp{Dot: dot, Time: m.clock.Now(m.now)}
	a := r.Disk.Attr
	v := farm.Version{Dot: dot, Vector: s.Context.With(dot), Time: own.Time, Content: own, Meta: own}
	v.Lost = append(slices.DeleteFunc(slices.Clone(s.LostDots), func(d farm.Position) bool {
		return d.Actor.Member == author.Member
	}), s.Content.Dot)
	e := farm.Entry{Path: p, Attr: a, Version: v}
	r.Known = reconcile.Merge(r.Known, e)
	r.Disk.Content, r.Disk.Meta, r.Disk.Context, r.Disk.Lost, r.Intent = own, own, v.Vector, v.Lost, nil
	m.meta.Known = m.meta.Known.With(dot)
	m.db.Put(r)
	m.putMeta()
	m.emit(Push{farm.Change{Entry: e, Sent: m.now}})
	w.phase, w.tries = idle, 0
	m.raise(farm.EventFileBlocked, farm.Warning, p, "its last content was lost with the power before another member had it: what is on disk here counts", "",
		map[string]string{"lost": s.Content.Dot.String()})
}

// allLinked tells whether there is a session with every other holder of the folder.
func (m *Machine) allLinked() bool {
	for _, h := range m.holders {
		if p := m.peers[h]; h != m.meta.Actor.Member && (p == nil || !p.linked) {
			return false
		}
	}
	return true
}
