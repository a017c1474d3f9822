package replica

import (
	"time"

	"tandem/internal/farm"
)

// A file with several names (hard links) that is written to in place is notified of under one of them. The index finds the
// others by what it knew of that name. If the name is new, nothing was known of it: then all is looked at.

// twinsDelay is how long a scan for unknown names of a file waits for more of its kind.
const twinsDelay = 30 * time.Second

// maxLinked bounds the inodes of which it is remembered that they had several names; of others the next audit tells.
const maxLinked = 10_000

// twins has the other names of a file that was written to looked at.
func (m *Machine) twins(w *work, r farm.Record, seen farm.Observation) {
	if seen.Linked && len(m.linked) < maxLinked {
		m.linked[seen.Stat.Ino] = true
	}
	was := r.Disk.Type == farm.File && seen.Stat.Ino == r.Disk.Stat.Ino
	if was && seen.Linked || !was && r.Disk.Type == farm.File && m.linked[r.Disk.Stat.Ino] {
		m.emit(Twins{r.Path, r.Disk}) // it may have been written to before this name was taken away
	}
	if seen.Linked && !was && seen.Stat.MTime == seen.Stat.CTime && !w.found { // a scan looks at all anyway
		// It was written to after it got this name: a link alone changes the ctime. Until the scan nobody may say that all is
		// as the index has it.
		m.scanned = false
		if _, due := m.retries[farm.Path{}]; !due {
			m.retries[farm.Path{}] = m.now.Add(twinsDelay)
		}
	}
}
