package replica

import (
	"maps"
	"slices"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// Rules say how a folder is treated. They may change at any time.
type Rules struct {
	// Excluded tells which paths are left alone here; nil: none. What others send of them is remembered, for the day when
	// they are excluded no more, but never installed.
	Excluded func(farm.Path) bool
	// LeftOut tells what is left alone at a path that is not excluded, a file that is too large say; nil: nothing.
	LeftOut func(farm.Path, farm.Attr) bool
	// ReadOnly has what applications change here undone and preserved.
	ReadOnly bool
	// Checked has all changes wait for a check, see check.go.
	Checked bool
	// BrakePercent is the share of the folder that a scan may find deleted; 0: all of it.
	BrakePercent int
	// Entries counts what is on disk; nil: nothing is.
	Entries func() int64
}

func (r Rules) complete() Rules {
	if r.Excluded == nil {
		r.Excluded = func(farm.Path) bool { return false }
	}
	if r.LeftOut == nil {
		r.LeftOut = func(farm.Path, farm.Attr) bool { return false }
	}
	if r.Entries == nil {
		r.Entries = func() int64 { return 0 }
	}
	return r
}

// The inputs that steer a folder.
type (
	// Ruled changes the rules.
	Ruled struct {
		Rules Rules
		// Refiltered says that other paths are excluded or left out than before.
		Refiltered bool
	}

	// Pause stops sending and installing, or lets it go on. What happens here is noticed and versioned all the same.
	Pause struct{ On bool }
)

func (Ruled) input() {}
func (Pause) input() {}

// ruled takes new rules. What is excluded now stays as it is; what is excluded no more is looked at.
func (m *Machine) ruled(in Ruled) {
	was := m.rules
	m.rules = in.Rules.complete()
	m.skip = m.rules.Excluded
	m.decideBrake()
	if was.Checked && !m.rules.Checked {
		m.wake(func(w *work) bool { return w.phase == forCheck })
	}
	if in.Refiltered || was.ReadOnly != m.rules.ReadOnly {
		m.recountExtras()
	}
	if !in.Refiltered {
		return
	}
	m.ruling++
	for _, p := range slices.SortedFunc(maps.Keys(m.work), farm.Path.Compare) {
		if w := m.work[p]; w != nil && w.phase != examining && w.phase != installing && m.skip(p) {
			m.close(p, w)
		}
	}
	maps.DeleteFunc(m.nameless, func(p farm.Path, _ nameless) bool { return m.skip(p) })
	m.include(was.Excluded)
	m.scan(false)
}

// include looks at what the old rules excluded and the new ones do not, and at what may have been left out until now.
//
// Nobody watched what happened there meanwhile. That a file is missing says nothing then: it may have been cleared away
// here, while another member still needs it. A fingerprint that no file has says that, so that it is known after a crash, too.
func (m *Machine) include(was func(farm.Path) bool) {
	var back []farm.Record
	for r := range m.db.Under(farm.Path{}) {
		switch {
		case m.skip(r.Path):
		case was(r.Path):
			back = append(back, r)
		case !r.Disk.Context.CoversAll(r.Context()):
			m.lookAgain(r.Path)
		}
	}
	for _, r := range back {
		if r.Disk.Type != farm.Absent {
			r.Disk.Stat = unwatchedStat
			m.db.Put(r)
		}
		m.lookAgain(r.Path)
	}
}

// lookAgain has the path examined at the next tick.
func (m *Machine) lookAgain(p farm.Path) {
	w := m.open(p)
	w.dirty = true
	if w.phase == idle {
		m.retries[p] = m.now
	}
}

// unwatchedStat is the fingerprint of what nobody has looked at since it was excluded.
var unwatchedStat = farm.Fingerprint{Racy: true}

// unwatched tells whether nobody has looked at the path since it was excluded.
func unwatched(r farm.Record) bool {
	return r.Disk.Type != farm.Absent && r.Disk.Stat == unwatchedStat
}

// restore forgets that the path was on disk, so that it comes back from whoever has it. If nobody has, it is gone.
func (m *Machine) restore(w *work, r farm.Record) {
	r.Disk = farm.Disk{}
	m.db.Put(r)
	w.restored = true
}

// lost ends a restoring that has no source anywhere: all that hold the folder were asked. Its deletion deletes nothing.
func (m *Machine) lost(w *work, p farm.Path) bool {
	if !w.restored || w.tries < lostTries {
		return false
	}
	for _, h := range m.others() {
		if q := m.peers[h]; q == nil || !q.linked || q.state.Paused {
			return false
		}
	}
	r, _ := m.db.Get(p)
	s := reconcile.Decide(r.Known, false)
	if r.Disk.Type != farm.Absent || s.Type == farm.Absent {
		return false
	}
	r.Intent, w.restored = nil, false
	r.Disk = farm.Disk{Attr: s.Attr, Content: s.Content, Meta: s.Meta, Context: s.Context, Lost: s.LostDots}
	m.write(r, farm.Observation{Path: p}, byItself)
	m.raise(farm.EventFileBlocked, farm.Warning, p, "is gone: it was to be brought back, and no member has its content", "", nil)
	return true
}

// lostTries is how often content is asked for that nobody may have any more.
const lostTries = 4

// leaveOut leaves what is on disk alone, and with it whatever others sent of the path.
func (m *Machine) leaveOut(p farm.Path, w *work) {
	if r, ok := m.db.Get(p); ok && r.Intent != nil {
		r.Intent = nil
		m.db.Put(r)
	}
	if w.dirty {
		m.settle(p, w)
		return
	}
	m.tellParent(p, w)
	m.close(p, w)
}

// undo lets what the farm knows take the place of what an application put on a node that only reads. What is found is
// of no version, so that install preserves it; and it includes nothing, so that after a crash the path is looked at.
func (m *Machine) undo(r farm.Record, seen farm.Observation) {
	r.Disk = farm.Disk{Attr: seen.Attr, Stat: seen.Stat}
	r.Intent = nil
	m.db.Put(r)
	what := "changed"
	switch {
	case seen.Attr.Type == farm.Absent:
		what = "deleted"
	case reconcile.Decide(r.Known, false).Type == farm.Absent:
		what = "made"
	}
	m.raise(farm.EventFileUndone, farm.Warning, r.Path, what+" here, where the folder is only read: it is undone", "",
		map[string]string{"change": what})
}

// pause stops or resumes.
func (m *Machine) pause(on bool) {
	if m.paused == on {
		return
	}
	m.paused = on
	if on {
		for _, p := range m.peers {
			p.asked = zeroTime // the answer will be left alone
		}
		return
	}
	for _, p := range slices.SortedFunc(maps.Keys(m.work), farm.Path.Compare) {
		if w := m.work[p]; w != nil && w.phase == forResume {
			w.phase = idle
			m.settle(p, w)
		}
	}
	for _, id := range sortedPeers(m.peers) {
		if p := m.peers[id]; p.linked {
			if m.rejoin(id, p.state) {
				return
			}
			m.ask(id, p)
			if !p.wanted.IsZero() {
				m.emit(Stream{To: id, Known: p.wants, Upto: m.meta.Known, Bare: p.bare})
			}
		}
		m.peers[id].wanted = zeroTime
	}
}

// push sends a change to all that are linked. Of what happens during a pause they are told when it is over, as they ask.
// A pause also takes in nothing, so there is nothing to pass on; contents that others were told of before are still served.
func (m *Machine) push(c farm.Change) {
	if !m.paused {
		m.emit(Push{c})
	}
}

// wanted answers a peer's question, or keeps it for the end of the pause.
func (m *Machine) wanted(in Wanted) {
	if m.lapsed(m.peer(in.From)) { // it must begin anew first
		return
	}
	if m.paused {
		p := m.peer(in.From)
		p.wants, p.bare, p.wanted = in.Known, in.Bare, m.now
		return
	}
	m.emit(Stream{To: in.From, Known: in.Known, Upto: m.meta.Known, Bare: in.Bare})
}

// Paused tells whether nothing is sent or installed.
func (m *Machine) Paused() bool { return m.paused }
