package replica

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// The brake: what a scan finds missing was deleted by an application while nobody watched, or is not there for a reason
// that is no deletion, such as a file system that is not mounted. So deletions that a scan finds are held until it has
// ended. If they are too many for a day's work they stay held, until a person says what they are or the files are back.
//
// Deletions that were notified are an application's and are never held; nor are those found by a scan that stands for
// notifications that were lost.

// Pace of the brake.
const (
	brakeLeast = 100              // deletions found by a scan that are always believed
	brakeProbe = 10 * time.Second // between looks whether what is held is back
)

// The inputs that answer the brake.
type (
	// Release lets the held deletions go on to the others.
	Release struct{}

	// Refuse has what is missing brought back from the others.
	Refuse struct{}
)

func (Release) input() {}
func (Refuse) input()  {}

// Braked is the number of deletions that are held for a decision, and of those that would have been believed; 0, 0: the
// brake is off.
func (m *Machine) Braked() (held, limit int) {
	if !m.braked {
		return 0, 0
	}
	return m.holding, m.limit
}

// found opens works for what a walk or a notification tells of.
func (m *Machine) found(in Dirty) {
	for _, p := range in.Paths {
		if p.IsRoot() || p.Private() {
			continue
		}
		w := m.work[p]
		if w == nil {
			w = m.open(p)
			w.found = in.Scan
		} else if !in.Scan {
			w.found = false
		}
		if in.Along {
			w.from = along
		}
		m.dirty(p)
	}
}

// brakes tells whether the deletion must wait, and makes it wait.
func (m *Machine) brakes(w *work, seen farm.Observation) bool {
	if seen.Attr.Type != farm.Absent || m.rules.BrakePercent == 0 || m.rules.ReadOnly || w.released || m.seeding {
		return false
	}
	if !w.found && !(w.held && m.braked) {
		return false
	}
	w.phase, w.held = forBrake, true
	m.holding++
	m.passBarriers(seen.Path)
	return true
}

// arrivedHeld lets a version that came for a held path decide: it is newer than what is missing.
func (m *Machine) arrivedHeld(w *work, r *farm.Record) {
	if w.phase == forBrake {
		m.unhold(w)
		w.phase, w.held = idle, false
		r.Disk = farm.Disk{}
	}
}

// unhold says that the work is not held any more.
func (m *Machine) unhold(w *work) {
	if w.phase == forBrake {
		m.holding--
	}
}

// watchBrake decides when a scan has ended, and looks from time to time whether what is held is back.
func (m *Machine) watchBrake() {
	if m.holding == 0 && !m.braked {
		return
	}
	m.decideBrake()
	if m.braked && m.now.Sub(m.probed) >= brakeProbe {
		m.probed = m.now
		if held := m.heldPaths(); len(held) > 0 {
			m.dirty(held[0])
		}
	}
}

// heldPaths are the paths that are held, in their order.
func (m *Machine) heldPaths() (held []farm.Path) {
	for p, w := range m.work {
		if w.phase == forBrake {
			held = append(held, p)
		}
	}
	sortPaths(held)
	return held
}

// decideBrake holds on to what a scan found missing, or believes it.
func (m *Machine) decideBrake() {
	if m.scanning || m.holding == 0 && !m.braked {
		return
	}
	for _, w := range m.work {
		if w.found && (w.phase == examining || w.phase == idle) || w.held && w.phase == examining {
			return // not all has been looked at
		}
	}
	off := m.rules.BrakePercent == 0
	limit := max(brakeLeast, int(m.rules.Entries()*int64(m.rules.BrakePercent)/100))
	switch {
	case m.braked && (off || m.holding == 0):
		m.braked = false
		m.raise(farm.EventFolderBraked, farm.Healed, farm.Path{}, "the brake is off: what was missing is back, or may be deleted", "", nil)
		m.believe()
	case m.braked:
	case m.holding > limit && !off:
		m.braked, m.limit, m.probed = true, limit, m.now
		n := strconv.Itoa(m.holding)
		m.raise(farm.EventFolderBraked, farm.Fault, farm.Path{},
			fmt.Sprintf("a scan finds %s paths deleted, more than %d: nothing of it is deleted elsewhere", n, limit),
			fmt.Sprintf("see that all is mounted: it goes on by itself when the files are back. If they were to be deleted: tandem folder release %s. To get them back from the others: tandem folder refuse %s", m.folder, m.folder),
			map[string]string{"missing": n, "limit": strconv.Itoa(limit)})
	default:
		m.believe()
	}
}

// believe writes the deletions that are held, after one more look.
func (m *Machine) believe() {
	for _, w := range m.work { // directories wait for their children
		w.released = w.found || w.held
	}
	m.lookAtHeld()
}

// lookAtHeld looks again at all that is held.
func (m *Machine) lookAtHeld() {
	for _, p := range m.heldPaths() {
		m.dirty(p)
	}
}

// letGo takes the held deletions for what an application did.
func (m *Machine) letGo() {
	if !m.braked {
		return
	}
	m.braked = false
	m.raise(farm.EventFolderBraked, farm.Healed, farm.Path{}, "released: what is missing here is deleted on the others", "", nil)
	m.believe()
}

// refuse brings what is missing back from the others. What nobody has is gone.
func (m *Machine) refuse() {
	if !m.braked {
		return
	}
	m.braked = false
	m.raise(farm.EventFolderBraked, farm.Healed, farm.Path{}, "refused: what is missing here comes back from the others", "", nil)
	for _, p := range slices.SortedFunc(maps.Keys(m.work), farm.Path.Compare) {
		w := m.work[p]
		if w == nil || !w.held && !(w.found && w.phase == forChildren) {
			continue
		}
		m.unhold(w)
		r, _ := m.db.Get(p)
		if r.Disk.Type == farm.Absent || reconcile.Decide(r.Known, false).Type == farm.Absent {
			continue
		}
		w.held, w.found, w.tellParent, w.gone, w.dirty, w.phase = false, false, false, 0, false, idle
		m.restore(w, r)
	}
	for _, p := range slices.SortedFunc(maps.Keys(m.work), farm.Path.Compare) {
		if w := m.work[p]; w != nil && w.restored && w.phase == idle {
			m.settle(p, w)
		}
	}
}
