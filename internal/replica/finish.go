package replica

import "tandem/internal/farm"

// finish takes the plans of an earlier life that did change the disk as done. Without that, an application that then
// removed or rewrote what they had put there would seem not to have seen it, and it would come back.
func (m *Machine) finish() {
	for _, plan := range m.finished {
		r, ok := m.db.Get(plan.Path)
		if !ok || r.Intent == nil || !r.Disk.Attr.Same(plan.Expect.Attr) || !r.Intent.Attr.Same(plan.Want) {
			continue // of an older plan than the index speaks of
		}
		if m.cut != 0 && plan.Expect.Type == farm.Absent {
			continue // the log may have survived the power cut, and what was made not
		}
		r.Disk = *r.Intent
		r.Intent = nil
		m.db.Put(r)
		m.open(r.Path).dirty = true
	}
	m.finished = nil
}
