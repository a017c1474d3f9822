package replica

import (
	"slices"
	"strconv"

	"tandem/internal/farm"
)

// A member whose index was set back, by a snapshot or a backup that was restored, has forgotten which numbers it gave to
// what. It can't know that it has; the others can. So it goes on counting where its index ends only when all holders have
// said, since the start, what they know of its feed, and none knew more. Must it write before that, for an application does
// not wait, it begins a new epoch, which is right in any case.
//
// Invariant: no number of ours is given twice. What somebody knows of our feed shows in its answer to our first question: a
// version stays in its index until one takes its place that has seen it, and a deletion that was forgotten is in Forgot.

// give takes the next number of ours.
func (m *Machine) give() farm.Position {
	if !m.counts && !m.vouched() {
		m.newEpoch(farm.Info, "written to before all members had said what they know of the changes made here")
	}
	m.counts = true
	m.meta.Seq++
	return farm.Position{Actor: m.meta.Actor, Seq: m.meta.Seq}
}

// vouched tells whether all that hold the folder have said what they know of our feed.
func (m *Machine) vouched() bool {
	return m.holders != nil && !slices.ContainsFunc(m.others(), func(h farm.MemberID) bool {
		return m.peers[h] == nil || !m.peers[h].vouched
	})
}

// compare begins a new epoch if v, which a peer knows of, has more of ours than we do: then our index was set back.
func (m *Machine) compare(v farm.Vector, by farm.MemberID) {
	last := m.meta.Actor.Epoch
	for pos := range v.All() {
		if pos.Actor.Member == m.meta.Actor.Member {
			last = max(last, pos.Actor.Epoch)
		}
	}
	if last > m.meta.Actor.Epoch || v.At(m.meta.Actor) > m.meta.Seq {
		m.meta.Actor.Epoch = last
		m.newEpoch(farm.Warning, "member "+string(by)+" knows changes of this member's that it does not know itself: the index was set back")
	}
}

// newEpoch goes on as another actor.
func (m *Machine) newEpoch(sev farm.Severity, why string) {
	m.meta.Actor.Epoch, m.meta.Seq = m.meta.Actor.Epoch.Next(m.now, m.draw), 0
	m.counts = true
	m.putMeta()
	m.raise(farm.EventFolderEpoch, sev, farm.Path{}, why, "",
		map[string]string{"epoch": strconv.FormatUint(uint64(m.meta.Actor.Epoch), 36)})
}

// forget drops a path whose deletion all have that are waited for.
func (m *Machine) forget(p farm.Path, r farm.Record) {
	m.meta.Forgot = m.meta.Forgot.Join(r.Context())
	m.putMeta()
	m.db.Drop(p)
}
