package replica

import (
	"slices"

	"tandem/internal/farm"
)

func (m *Machine) tick(full bool) {
	m.retryDue()
	m.watchBrake()
	m.endSeeding()
	m.askThoseAhead(full)
	m.relieved()
	if v := m.applied(); !m.syncing && m.now.Sub(m.lastSync) >= syncEvery && !m.meta.Durable.CoversAll(v) {
		m.syncing, m.lastSync = true, m.now
		m.emit(Sync{Upto: v})
	}
	if m.now.Sub(m.lastSweep) >= m.sweepEvery {
		m.countAway()
		m.learnForgot()
		m.lastSweep = m.now
		m.emit(Sweep{})
	}
}

// synced makes what was visible before the sync durable. An error is never passed over: nothing counts as durable until
// a later sync succeeds.
func (m *Machine) synced(in Synced) {
	m.syncing = false
	if in.Err != nil {
		if !m.badSync {
			m.raise(farm.EventFileBlocked, farm.Fault, farm.Path{}, "sync failed, nothing is acknowledged as durable: "+in.Err.Error(),
				"check the disk", nil)
		}
		m.badSync = true
		return
	}
	if m.badSync {
		m.badSync = false
		m.raise(farm.EventFileBlocked, farm.Healed, farm.Path{}, "sync works again", "", nil)
	}
	m.meta.Durable = m.meta.Durable.Join(in.Upto)
	m.putMeta()
}

// expire forgets deletions that every holder that is waited for has acknowledged as durable. A version of the path that does not descend
// from the deletion can then only be a new one.
//
// What lies below is forgotten first: as long as anything is known of it, it may live elsewhere and need its directory.
func (m *Machine) expire(paths []farm.Path) {
	if !m.aheadOfAll() {
		return
	}
	paths = slices.Clone(paths)
	sortPaths(paths)
	gone := map[farm.Path]bool{}
	for _, p := range slices.Backward(paths) {
		r, ok := m.db.Get(p)
		if !ok || m.work[p] != nil || m.below[p] > 0 || r.Disk.Type != farm.Absent || !allAbsent(r.Known) {
			continue
		}
		if m.durableEverywhere(r.Context()) && m.nothingBelow(p, gone) {
			gone[p] = true
			m.forget(p, r)
		}
	}
}

// aheadOfAll tells whether all that the other holders that are waited for have said they know is known here.
func (m *Machine) aheadOfAll() bool {
	for _, h := range m.others() {
		if p := m.peers[h]; p != nil && !m.meta.Known.CoversAll(p.state.Known) {
			return false
		}
	}
	return true
}

// nothingBelow tells whether nothing is known of any path below p, but for those that are forgotten now.
func (m *Machine) nothingBelow(p farm.Path, gone map[farm.Path]bool) bool {
	for r := range m.db.Under(p) {
		if !gone[r.Path] {
			return false
		}
	}
	return true
}

func allAbsent(known []farm.Entry) bool {
	for _, e := range known {
		if e.Type != farm.Absent {
			return false
		}
	}
	return true
}

// durableEverywhere tells whether all holders that are waited for have said that v survives a power cut there.
func (m *Machine) durableEverywhere(v farm.Vector) bool {
	if !m.meta.Durable.CoversAll(v) {
		return false
	}
	for _, h := range m.others() {
		if p := m.peers[h]; p == nil || !p.state.Durable.CoversAll(v) {
			return false
		}
	}
	return true
}
