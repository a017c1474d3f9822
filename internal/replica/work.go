package replica

import (
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// phase is what a path is going through.
type phase uint8

const (
	idle        phase = iota // nothing is under way: settle decides
	examining                // an Examine is out
	installing               // an Install is out
	forParent                // waits until its parent is a directory on disk
	forChildren              // a directory waits until its children are settled
	forRetry                 // waits for its time in retries
	forResume                // an installation waits for the end of a pause
	forBrake                 // a deletion waits until it is believed
	forCheck                 // what was changed, here (dirty) or elsewhere, waits for the folder's check
)

// work is a path that is not, or may not be, as it should be. Paths at rest have none.
type work struct {
	phase      phase
	dirty      bool       // the disk must be looked at (again)
	full       bool       // a directory could not be removed although the index knows no child: what is in it is not replicated
	walked     bool       // ... and its children have been looked at
	gone       int        // children of a vanished directory that are still to be looked at
	tellParent bool       // this is one of those
	tries      int        // failures in a row
	blocked    bool       // people were told of them
	noRoom     bool       // it waits for space
	quarantine bool       // it is an extra file, and is to become a preserved one
	noName     bool       // the path is in nameless, and stays there until something changes
	noSource   bool       // the last of them was that nobody had the content
	why        string     // the last of them
	ruling     int        // the rules under which it was last seen not to be excluded
	found      bool       // by a scan
	from       origin     // of what it is found to be
	held       bool       // its deletion is or was held by the brake
	released   bool       // ... and is believed now
	restored   bool       // it is brought back after it had gone from this disk
	passed     bool       // what is on disk has passed the folder's check
	back       *farm.Disk // what was on disk before a trial, and is to be there again; nil: nothing is
	content    []byte     // inline content of digest
	digest     farm.Digest
	sent       time.Time // when the origin saw the change
	flip       time.Time // since when a symlink waits for what was written before it; zero: it does not
	lows       []farm.Position
}

// open returns the path's work, making it if there is none.
func (m *Machine) open(p farm.Path) *work {
	w := m.work[p]
	if w == nil {
		w = &work{}
		m.work[p] = w
		if !p.IsRoot() {
			m.below[p.Parent()]++
		}
	}
	return w
}

// close ends the path's work: it is at rest. Who waited for it goes on.
func (m *Machine) close(p farm.Path, w *work) {
	delete(m.work, p)
	delete(m.retries, p)
	m.unblock(p)
	m.unhold(w)
	if w.full {
		m.retries[p] = m.now.Add(min(maxRetry<<min(m.kept[p]-1, 16), maxKept))
	}
	m.inline -= len(w.content)
	m.leaveRoom(w)
	m.heal(p, w, "nothing stands in its way any more")
	m.release(p, w)
	m.passBarriers(p)
	if p.IsRoot() {
		return
	}
	parent := p.Parent()
	if m.below[parent]--; m.below[parent] == 0 {
		delete(m.below, parent)
	}
	m.wakeChildren(p)
	m.wakeParent(parent)
}

// wakeChildren lets the children that waited for p look at the world again.
func (m *Machine) wakeChildren(p farm.Path) {
	waiting := m.awaiting[p]
	delete(m.awaiting, p)
	for _, c := range waiting {
		if w := m.work[c]; w != nil && w.phase == forParent {
			w.phase = idle
			m.settle(c, w)
		}
	}
}

// wakeParent goes on with a directory that waited for its children, and removes one that only a child kept alive.
func (m *Machine) wakeParent(parent farm.Path) {
	if parent.IsRoot() || m.below[parent] > 0 {
		return
	}
	if w := m.work[parent]; w != nil {
		if w.phase == forChildren || w.phase == idle {
			w.phase = idle
			m.settle(parent, w)
		}
		return
	}
	if r, ok := m.db.Get(parent); ok && r.Disk.Type == farm.Dir && reconcile.Decide(r.Known, false).Type != farm.Dir {
		m.settle(parent, m.open(parent))
	}
}

// await makes p wait for its parent.
func (m *Machine) await(p farm.Path, w *work) {
	w.phase = forParent
	m.awaiting[p.Parent()] = append(m.awaiting[p.Parent()], p)
}

// later tries again after a time that doubles with each failure in a row.
func (m *Machine) later(p farm.Path, w *work, first time.Duration) {
	d := min(first<<min(w.tries, 16), maxRetry)
	w.tries++
	w.phase = forRetry
	m.retries[p] = m.now.Add(d)
}

// block tells people once that the path fails again and again.
func (m *Machine) block(p farm.Path, w *work, message string) {
	if !w.blocked {
		w.blocked = true
		m.raise(farm.EventFileBlocked, farm.Fault, p, message, "", nil)
	}
}

// heal tells them that this is over, however that came.
func (m *Machine) heal(p farm.Path, w *work, message string) {
	if w.blocked {
		w.blocked = false
		m.raise(farm.EventFileBlocked, farm.Healed, p, message, "", nil)
	}
}

// hold keeps inline content until it is installed, while there is room for it.
func (m *Machine) hold(w *work, c farm.Change) {
	m.inline -= len(w.content)
	w.content = nil
	if c.Content != nil && m.inline+len(c.Content) <= maxInlineBytes {
		w.content, w.digest = c.Content, c.Entry.Digest
		m.inline += len(c.Content)
	}
	w.sent = c.Sent
}
