package replica

import (
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
)

// A holder that has not been heard of for as long as farm.toml allows is evicted: nobody waits for it any more, and
// deletions that it has not acknowledged are forgotten. What says so is Forgot, which every member tells: it covers all
// deletions that anybody has forgotten. Who comes back and knows less has lapsed: it may have what was deleted. It begins
// anew with what is on its disk, like a member that joins, and until then nothing of it is believed. See docs/adr on
// eviction.
//
// Invariant: a deletion is forgotten only when more than half of the holders have it for good (or half of them, the first
// by name among these), so that two parts of a farm that can't hear each other don't evict one another. All that
// are waited for know all that Forgot covers.

// rejoinAgain is the shortest time between a seeding and the next because the index lapsed: no member's word makes this one
// begin anew all the time. It is shorter where members are evicted after less.
const rejoinAgain = time.Hour

// held takes who holds the folder, and for how long one may be away.
func (m *Machine) held(in Holders) {
	m.holders, m.evictAfter = in.Members, in.EvictAfter
	m.overdue = m.awayTooLong() // who was evicted before the start has been told of
}

// countAway adds what has passed since the last sweep to the time that holders are away: little, if this member stood still
// or its clock jumped, because nobody listened then.
func (m *Machine) countAway() {
	if m.holders == nil {
		return
	}
	passed := time.Duration(0)
	if !m.lastSweep.IsZero() {
		passed = min(m.now.Sub(m.lastSweep), 2*m.sweepEvery)
	}
	present := m.present()
	var away []farm.Away
	for _, h := range slices.Sorted(slices.Values(m.holders)) {
		if !present[h] {
			away = append(away, farm.Away{Member: h, For: m.awayFor(h) + passed})
		}
	}
	m.noteAway(away)
}

// back ends the absence of a holder that is heard of.
func (m *Machine) back(id farm.MemberID) {
	if m.awayFor(id) > 0 {
		m.noteAway(slices.DeleteFunc(slices.Clone(m.meta.Away), func(a farm.Away) bool { return a.Member == id }))
	}
}

func (m *Machine) noteAway(away []farm.Away) {
	if slices.Equal(away, m.meta.Away) {
		return
	}
	m.meta.Away = away
	m.putMeta()
	was := m.overdue
	m.overdue = m.awayTooLong()
	for _, id := range m.overdue {
		if !slices.Contains(was, id) {
			m.tellOverdue(id)
		}
	}
	for _, id := range was {
		if !slices.Contains(m.overdue, id) {
			m.raiseEvicted(farm.Info, id, "it is heard of again", "")
		}
	}
}

func (m *Machine) tellOverdue(id farm.MemberID) {
	text := "it has not been heard of for " + m.awayFor(id).Round(time.Minute).String()
	gone := "if it is gone for good: tandem member remove " + string(id)
	if !m.enough() {
		m.raiseEvicted(farm.Warning, id, text+", but too few members are left to go on without it: deletions are remembered for it", gone)
		return
	}
	m.raiseEvicted(farm.Warning, id, text+": it is not waited for any more, and is seeded anew should it come back", gone)
}

func (m *Machine) raiseEvicted(sev farm.Severity, id farm.MemberID, text, next string) {
	m.emit(Raise{farm.Event{ID: farm.EventFolderEvicted, Severity: sev, Subject: string(id), Folder: m.folder, Message: text, Next: next}})
}

func (m *Machine) awayFor(id farm.MemberID) time.Duration {
	for _, a := range m.meta.Away {
		if a.Member == id {
			return a.For
		}
	}
	return 0
}

// awayTooLong are the holders that have been away for longer than is allowed.
func (m *Machine) awayTooLong() (ids []farm.MemberID) {
	for _, a := range m.meta.Away {
		if m.evictAfter > 0 && a.For >= m.evictAfter && slices.Contains(m.holders, a.Member) {
			ids = append(ids, a.Member)
		}
	}
	return ids
}

// enough tells whether the holders that are not overdue may go on without those that are.
func (m *Machine) enough() bool {
	left := len(m.holders) - len(m.overdue)
	return 2*left > len(m.holders) || 2*left == len(m.holders) && !slices.Contains(m.overdue, slices.Min(m.holders))
}

// evicted tells whether nobody waits for the holder.
func (m *Machine) evicted(id farm.MemberID) bool { return slices.Contains(m.overdue, id) && m.enough() }

// evictedNames are the evicted holders, separated by spaces.
func (m *Machine) evictedNames() string {
	if len(m.overdue) == 0 || !m.enough() {
		return ""
	}
	var names []string
	for _, id := range m.overdue {
		names = append(names, string(id))
	}
	return strings.Join(names, " ")
}

// others are the holders that are waited for, but for this one.
func (m *Machine) others() []farm.MemberID {
	return slices.DeleteFunc(slices.Clone(m.holders), func(h farm.MemberID) bool { return h == m.meta.Actor.Member || m.evicted(h) })
}

// present are the members with which there is a way of sessions.
func (m *Machine) present() map[farm.MemberID]bool {
	found := map[farm.MemberID]bool{m.meta.Actor.Member: true}
	var reach func(ids []farm.MemberID)
	reach = func(ids []farm.MemberID) {
		for _, id := range ids {
			if found[id] {
				continue
			}
			found[id] = true
			if p := m.peers[id]; p != nil {
				reach(p.links)
			}
		}
	}
	for id, p := range m.peers {
		if p.linked || p.aside {
			reach([]farm.MemberID{id})
		}
	}
	return found
}

// lapses tells whether a state is of one that lacks deletions which forgot covers.
func lapses(s farm.FolderState, forgot farm.Vector) bool {
	return s.Actor.Epoch != 0 && s.Seeding == farm.NotSeeding && !s.Known.CoversAll(forgot)
}

func (m *Machine) lapsed(p *peer) bool { return lapses(p.state, m.meta.Forgot) }

// rejoin ends this life of the index if it lacks deletions that a peer says are forgotten. Nothing follows then.
func (m *Machine) rejoin(id farm.MemberID, s farm.FolderState) bool {
	if m.paused || !s.Known.CoversAll(s.Forgot) { // nobody can forget what it has not heard of
		return false
	}
	own := farm.FolderState{Actor: m.meta.Actor, Known: m.meta.Known, Seeding: m.meta.Seed.Mode}
	since, again := time.Unix(0, m.meta.Seed.Since), rejoinAgain
	if m.evictAfter > 0 {
		again = min(again, m.evictAfter)
	}
	if m.evictAfter > 0 && m.began.Sub(since) >= m.evictAfter { // it was evicted before its seeding had come to an end
		own.Seeding = farm.NotSeeding
	}
	if !lapses(own, s.Forgot) || m.meta.Seed.Since != 0 && m.now.Sub(since).Abs() < again {
		return false
	}
	m.raiseEvicted(farm.Warning, m.meta.Actor.Member, "the others have forgotten deletions that this member has not heard of, as "+string(id)+
		" says: it was away for too long, or set back. The folder is seeded anew; what differs here is preserved", "tandem folder seed "+string(m.folder)+" --dry-run")
	m.ended = true
	m.emit(Rejoin{})
	return true
}

// learnForgot takes over what peers say is forgotten, once nobody who is waited for is known to know less.
func (m *Machine) learnForgot() {
	if m.meta.Seed.Mode != farm.NotSeeding {
		return
	}
	for _, id := range sortedPeers(m.peers) {
		p := m.peers[id]
		if f := p.state.Forgot; p.linked && !m.meta.Forgot.CoversAll(f) && m.meta.Known.CoversAll(f) && !m.anyLapses(f) {
			m.meta.Forgot = m.meta.Forgot.Join(f)
			m.putMeta()
		}
	}
}

// anyLapses tells whether a holder that is waited for is known to know less than v. It may be a moment behind.
func (m *Machine) anyLapses(v farm.Vector) bool {
	return slices.ContainsFunc(m.others(), func(h farm.MemberID) bool { return m.peers[h] != nil && lapses(m.peers[h].state, v) })
}
