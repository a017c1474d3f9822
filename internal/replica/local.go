package replica

import (
	"errors"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// dirty has the disk looked at, now or as soon as what is under way has ended.
func (m *Machine) dirty(p farm.Path) {
	if p.IsRoot() || p.Private() {
		return
	}
	w := m.open(p)
	w.dirty, w.passed = true, false
	switch w.phase {
	case examining, installing:
	default:
		m.unhold(w)
		w.phase = idle
		m.settle(p, w)
	}
}

func (m *Machine) examine(p farm.Path, w *work) {
	w.phase, w.dirty = examining, false
	delete(m.retries, p)
	m.flying++
	r, _ := m.db.Get(p)
	r.Path = p
	m.emit(Examine{Path: p, Prior: m.prior(r)})
}

func (m *Machine) observed(in Observed) {
	w := m.work[in.Path]
	if w == nil || w.phase != examining {
		return
	}
	w.phase = idle
	m.flying--
	seen := in.Seen
	w.why = ""
	if in.Err != nil {
		w.why = in.Err.Error()
		switch farm.KindOf(in.Err) {
		case farm.Unstable:
			w.dirty, w.tries = true, 0
			m.later(in.Path, w, unstableRetry)
			var hint interface{ RetryAt() time.Time }
			if errors.As(in.Err, &hint) { // whoever looked knows when it may be quiet
				m.retries[in.Path] = hint.RetryAt()
			}
			m.passBarriers(in.Path)
			return
		case farm.Unsupported: // neither file, directory nor symlink: for the farm, nothing is there
			m.tellSpecial(in.Path, specialKind(in.Err), in.Err)
			seen = farm.Observation{Path: in.Path}
		default:
			if kind := specialKind(in.Err); kind != "" { // a mount hides what is there, and changes nothing of it
				m.tellSpecial(in.Path, kind, in.Err)
				r, _ := m.db.Get(in.Path)
				seen = farm.Observation{Path: in.Path, Attr: r.Disk.Attr, Stat: r.Disk.Stat, Unchanged: true}
				break
			}
			if w.tries >= 2 {
				m.block(in.Path, w, "can't be read: "+in.Err.Error())
			}
			w.dirty = true
			m.later(in.Path, w, firstRetry)
			m.passBarriers(in.Path)
			return
		}
	}
	if !seen.Twin.IsRoot() && !m.skip(seen.Twin) {
		m.dirty(seen.Twin) // who used this name changed that
	}
	if seen.LeftOut || m.ruling != w.ruling && m.skip(in.Path) {
		m.leaveOut(in.Path, w)
		return
	}
	r, _ := m.db.Get(in.Path)
	r.Path = in.Path
	if m.take(w, r, seen) {
		if !w.dirty {
			m.passBarriers(in.Path)
		}
		m.settle(in.Path, w)
		m.tellParent(in.Path, w)
	}
}

// take compares what was seen with the index and writes down what differs. False: the path waits for another first.
func (m *Machine) take(w *work, r farm.Record, seen farm.Observation) bool {
	if r.Intent != nil {
		// An intent explains the first look after it and no later one: what is found there then is an application's.
		if !seen.Attr.Same(r.Disk.Attr) && seen.Attr.SameContent(r.Intent.Attr) && !m.tookAll(r, seen.Attr) {
			r.Disk = *r.Intent // we died, or failed, after the installation and before its answer
		}
		r.Intent = nil
		m.db.Put(r)
	}
	if seen.Attr.Same(r.Disk.Attr) {
		delete(m.doubtful, r.Path)
		if m.braked && w.held { // one is back: the others may be
			w.held = false
			m.lookAtHeld()
		}
		if seen.Attr.Type == farm.Dir && seen.Stat.Ino != r.Disk.Stat.Ino && !unwatched(r) {
			m.walkFor(r.Path) // another directory has taken its place
		}
		if r.Disk.Stat != seen.Stat {
			r.Disk.Stat = seen.Stat
			m.db.Put(r)
		}
		return true
	}
	if m.untrusted(r) {
		m.distrust(r, seen)
		return true
	}
	if m.cut != 0 && m.torn(w, r, seen) {
		return true
	}
	if m.isExtra(r) && !m.leftover(r, seen) && m.touchedExtra(&r, seen) {
		return true
	}
	if seen.Attr.Type != farm.Absent && !m.parentOnDisk(r.Path) {
		w.dirty = true // the event of the parent is still to come, or was overtaken
		m.await(r.Path, w)
		m.dirty(r.Path.Parent())
		return false
	}
	if r.Disk.Type == farm.Dir && seen.Attr.Type != farm.Dir && m.childrenFirst(r.Path, w) {
		return false
	}
	if m.leftover(r, seen) {
		m.keepExtra(r, seen)
		return true
	}
	if seen.Attr.Type == farm.Absent && unwatched(r) {
		m.restore(w, r)
		return true
	}
	if m.brakes(w, seen) || m.seenEarly(r.Path, w, r.Disk, seen.Attr) || m.asks(w, r.Path) {
		return false
	}
	other := seen.Stat.Ino != r.Disk.Stat.Ino || r.Disk.Type != farm.Dir
	m.twins(w, r, seen)
	if m.rules.ReadOnly {
		m.undo(r, seen)
	} else {
		m.adoptParents(r.Path)
		m.write(r, seen, w.from)
	}
	if seen.Attr.Type == farm.Dir && other {
		m.walkFor(r.Path)
	}
	return true
}

// tookAll tells whether a directory is gone that had something in it: then an application took it. An installation
// removes what is empty.
func (m *Machine) tookAll(r farm.Record, seen farm.Attr) bool {
	if r.Disk.Type != farm.Dir || seen.Type == farm.Dir {
		return false
	}
	for c := range m.db.Under(r.Path) {
		if c.Disk.Type != farm.Absent {
			return true
		}
	}
	return false
}

// walkFor looks what is in a directory that is new. The directories in it are new, too, and have their turn when they
// have been observed. Barriers that wait for its own observation wait for what is in it.
func (m *Machine) walkFor(dir farm.Path) {
	id := m.walk(dir, false, true)
	for _, b := range m.barriers {
		if b.left[dir] {
			b.walks[id] = true
		}
	}
}

// parentOnDisk tells whether the parent is known to be a directory on disk.
func (m *Machine) parentOnDisk(p farm.Path) bool {
	parent := p.Parent()
	if parent.IsRoot() {
		return true
	}
	r, _ := m.db.Get(parent)
	return r.Disk.Type == farm.Dir
}

// childrenFirst has all below a vanished directory looked at before the directory's own deletion is written, so that
// the feed never deletes a directory that holds something. False: nothing is left there. A child that is only to be
// installed does not count: it waits for the directory itself.
func (m *Machine) childrenFirst(dir farm.Path, w *work) bool {
	var below []farm.Path
	w.gone = 0
	for r := range m.db.Under(dir) {
		if r.Disk.Type == farm.Absent || m.skip(r.Path) {
			continue
		}
		below = append(below, r.Path)
		if m.work[r.Path] == nil {
			m.open(r.Path).found = w.found
		}
		if r.Path.Parent() == dir {
			m.open(r.Path).tellParent = true
			w.gone++
		}
	}
	if w.gone == 0 {
		return false
	}
	w.phase, w.dirty = forChildren, true
	if w.found { // they may be held
		m.passBarriers(dir)
	}
	for i := len(below) - 1; i >= 0; i-- {
		m.dirty(below[i])
	}
	return true
}

// tellParent lets a vanished directory go on when the last of its children has been looked at.
func (m *Machine) tellParent(p farm.Path, w *work) {
	if !w.tellParent {
		return
	}
	w.tellParent = false
	pw := m.work[p.Parent()]
	if pw == nil {
		return
	}
	if pw.gone--; pw.gone == 0 && pw.phase == forChildren {
		pw.phase = idle
		m.settle(p.Parent(), pw)
	}
}

// write makes a version of what an application did, and tells the others.
//
// Invariant: its vector is the context of what was on disk, so of what the application could see, not of what has been
// heard of since.
func (m *Machine) write(r farm.Record, seen farm.Observation, from origin) {
	dot := m.give()
	when := m.when(r, seen, from)
	own := farm.Stamp{Dot: dot, Time: when}
	d, a := r.Disk, seen.Attr
	v := farm.Version{Dot: dot, Vector: d.Context.With(dot), Time: when, Content: own, Meta: own, Lost: d.Lost}
	switch {
	case d.Content.Dot.IsZero(): // nothing, or a leftover, was there
	case a.SameContent(d.Attr):
		v.Content = d.Content
	case a.Type == d.Type && a.SameMeta(d.Attr):
		v.Meta = d.Meta
	}
	if a.Type == farm.Absent {
		a.Mode, a.Owner = d.Mode, d.Owner
		if d.Type == farm.Dir {
			a.XAttrs = d.XAttrs // with the mode, its access control list
		}
	}
	e := farm.Entry{Path: r.Path, Attr: asKnown(a, r, v), Version: v}
	r.Known = reconcile.Merge(r.Known, e)
	r.Disk = farm.Disk{Attr: seen.Attr, Content: v.Content, Meta: v.Meta, Context: v.Vector, Lost: v.Lost, Stat: seen.Stat}
	m.meta.Known = m.meta.Known.With(dot)
	m.db.Put(r)
	m.putMeta()
	if a.Type == farm.Absent {
		m.freed(r.Path)
	}
	if d.Type == farm.File && a.Type == farm.Absent {
		m.gone.add(d.Digest, d.Content.Dot)
	}
	m.push(farm.Change{Entry: e, Content: m.toSend(a, seen.Content), Sent: m.now})
	m.tellConflicts(r.Known, dot)
}

// asKnown replaces mode, owner and extended attributes that the writer did not touch by those that the farm knows: this file system may be
// unable to represent them, which is no change.
func asKnown(a farm.Attr, r farm.Record, v farm.Version) farm.Attr {
	for _, k := range r.Known {
		if v.Meta == k.Version.Meta && k.Type == a.Type {
			a.Mode, a.Owner, a.XAttrs = k.Mode, k.Owner, k.XAttrs
		}
	}
	return a
}

// distrust takes what lies on the disk of a folder that is being seeded as a leftover: it is replaced by what the farm
// knows of the path, and preserved.
func (m *Machine) distrust(r farm.Record, seen farm.Observation) {
	s := reconcile.Decide(r.Known, false)
	if seen.Attr.SameContent(s.Attr) {
		m.count(&m.meta.Seed.Equal, s.Attr)
	} else if seen.Attr.Type != farm.Absent {
		m.count(&m.meta.Seed.Different, seen.Attr)
	}
	r.Disk = farm.Disk{Attr: seen.Attr, Stat: seen.Stat} // who edits a leftover has not seen what is to replace it
	m.db.Put(r)
	if seen.Attr.Type == farm.Dir {
		m.wakeChildren(r.Path) // it waits for them, so they must not wait for it
	}
}

// retryDue goes on with the paths whose time has come, in the order of their paths.
func (m *Machine) retryDue() {
	tries := 0
	for _, p := range due(m.retries, m.now) {
		if w := m.work[p]; w != nil && w.noRoom {
			if tries++; tries > m.cramped.pace {
				continue // its turn comes with a later tick
			}
		}
		delete(m.retries, p)
		if p.IsRoot() {
			m.scan(true)
			continue
		}
		w := m.work[p]
		if w == nil && m.kept[p] > 0 {
			m.removeKept(p)
		}
		if w != nil && (w.phase == forRetry || w.phase == idle) {
			w.phase = idle
			m.settle(p, w)
		}
	}
}

// removeKept tries again to remove a directory that should be gone.
func (m *Machine) removeKept(p farm.Path) {
	r, _ := m.db.Get(p)
	if r.Disk.Type != farm.Dir || m.goal(r, &work{}).Type == farm.Dir {
		delete(m.kept, p)
		return
	}
	w := m.open(p)
	w.walked = true
	m.settle(p, w)
}

func due(at map[farm.Path]time.Time, now time.Time) []farm.Path {
	var ps []farm.Path
	for p, t := range at {
		if !t.After(now) {
			ps = append(ps, p)
		}
	}
	sortPaths(ps)
	return ps
}
