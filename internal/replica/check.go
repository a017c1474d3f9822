package replica

import (
	"maps"
	"slices"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// The check of a folder: what was changed here is kept from the others, and what others changed from the disk, until
// somebody who knows what the files are for has said that they are good. The machine only waits and does as it is told.
// What is asked of it in turn:
//
//	Pass   what was changed here is good: it is written down and sent
//	Try    what others changed is installed, so that it can be checked; and no more when the trial is over
//	Back   it is not good: what was on disk before comes back, and what others changed is known and waits
//
// What came back counts as what it was: an edit of it is one of somebody who has not seen what was refused.

// The inputs that answer for a folder that is checked.
type (
	Pass struct{}
	Try  struct{ On bool }
	Back struct{ Disks map[farm.Path]farm.Disk }
)

func (Pass) input() {}
func (Try) input()  {}
func (Back) input() {}

// Checks counts what waits; all is zero in a folder that is not checked.
func (m *Machine) Checks() farm.Checks {
	c := farm.Checks{Asked: m.asked}
	if !m.rules.Checked {
		return farm.Checks{}
	}
	c.Open = m.Waiting() - len(m.work)
	for _, w := range m.work {
		switch {
		case w.back != nil:
			c.Back++
			c.Open++
		case w.phase == forCheck && w.dirty:
			c.Own++
		case w.phase == forCheck:
			c.Others++
		default:
			c.Open++
		}
	}
	return c
}

// asks tells whether what was seen on disk must wait for its check, and makes it wait.
func (m *Machine) asks(w *work, p farm.Path) bool {
	if !m.rules.Checked || w.passed {
		return false
	}
	w.phase, w.dirty, w.back = forCheck, true, nil
	m.asked++
	m.passBarriers(p)
	return true
}

// tries tells whether others' changes may be installed.
func (m *Machine) tries(w *work) bool { return !m.rules.Checked || m.trying || w.back != nil }

// pass has what was changed here looked at once more and written.
func (m *Machine) pass() {
	for _, p := range m.inWork() {
		if w := m.work[p]; w != nil && (w.phase == forCheck && w.dirty || w.phase == forChildren) {
			w.passed = true
		}
	}
	m.wake(func(w *work) bool { return w.passed && w.phase == forCheck })
}

// trial lets what others changed be installed, or no more.
func (m *Machine) trial(on bool) {
	if m.trying = on; on {
		m.wake(func(w *work) bool { return w.phase == forCheck && !w.dirty })
	}
}

// bring puts back what was on disk.
func (m *Machine) bring(disks map[farm.Path]farm.Disk) {
	for _, p := range slices.SortedFunc(maps.Keys(disks), farm.Path.Compare) {
		d := disks[p]
		m.open(p).back = &d
	}
	m.wake(func(w *work) bool { return w.back != nil && w.phase != examining && w.phase != installing })
}

// brought ends a path's way back. A directory that was made meanwhile goes after what is in it.
func (m *Machine) brought(p farm.Path, w *work) {
	w.back = nil
	m.settle(p, w)
	parent := p.Parent()
	if d := m.work[parent]; d != nil && d.back != nil && d.phase == forChildren && !m.bringsBelow(parent) {
		d.phase = idle
		m.settle(parent, d)
	}
}

// bringsBelow tells whether something in dir is still to be put back.
func (m *Machine) bringsBelow(dir farm.Path) bool {
	for p, w := range m.work {
		if w.back != nil && p.Parent() == dir {
			return true
		}
	}
	return false
}

// stateOf is what must be installed for the disk to be as it was.
func stateOf(d farm.Disk) reconcile.State {
	return reconcile.State{Attr: d.Attr, Content: d.Content, Meta: d.Meta, Context: d.Context, LostDots: d.Lost}
}

// wake lets paths look at the world again, those of directories first.
func (m *Machine) wake(which func(*work) bool) {
	for _, p := range m.inWork() {
		if w := m.work[p]; w != nil && which(w) {
			w.phase = idle
			m.settle(p, w)
		}
	}
}

func (m *Machine) inWork() []farm.Path {
	return slices.SortedFunc(maps.Keys(m.work), farm.Path.Compare)
}
