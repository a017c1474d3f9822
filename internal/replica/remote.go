package replica

import (
	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// arrived takes in a version that somebody else wrote.
func (m *Machine) arrived(from farm.MemberID, c farm.Change) {
	e := c.Entry
	dot := e.Version.Dot
	m.peer(from).aheadSince = m.now // it is telling: no need to ask
	m.compare(e.Version.Vector, from)
	if m.meta.Known.Covers(dot) || e.Path.IsRoot() || e.Path.Private() {
		return
	}
	if m.lapsed(m.peer(from)) {
		m.peer(from).refused = true
		return
	}
	if m.refuses(m.peer(from), e) {
		return
	}
	m.clock.Observe(e.Version.Time)
	m.relay(from, c)
	r, _ := m.db.Get(e.Path)
	r.Path = e.Path
	before := r.Known
	r.Known = reconcile.Merge(before, e)
	if m.skip(e.Path) {
		m.heard(dot)
		m.db.Put(r)
		m.putMeta()
		return
	}
	w := m.open(e.Path)
	w.ruling = m.ruling
	m.arrivedHeld(w, &r)
	w.dirty = w.dirty || m.looksFirst(r) && !brings(c)
	if len(before) == 0 && r.Disk.Type != farm.Absent && !m.rules.ReadOnly { // it was extra
		m.extras.Remove(r.Disk.Attr)
		m.metExtra(r)
	}
	m.lower(e.Path, r, e.Version.Vector)
	m.heard(dot)
	m.db.Put(r)
	m.putMeta()
	if !r.Disk.Context.Covers(dot) {
		m.hold(w, c)
	}
	m.tellConflicts(r.Known, dot)
	switch w.phase {
	case forRetry, forParent, forChildren: // what it waited for may not matter any more
		w.phase = idle
	}
	m.settle(e.Path, w)
}

// heard adds a position to what is known. Positions of one feed may come in any order: known grows over those that are
// next to each other.
func (m *Machine) heard(dot farm.Position) {
	m.reach = m.reach.With(dot)
	known := m.meta.Known.At(dot.Actor)
	early := m.early[dot.Actor]
	if dot.Seq > known+1 {
		if early == nil {
			early = map[farm.Seq]bool{}
			m.early[dot.Actor] = early
		}
		if len(early) < maxEarly {
			early[dot.Seq] = true
		}
		return
	}
	m.meta.Known = m.meta.Known.With(dot)
	m.absorb(dot.Actor)
}

// absorb lets known grow over positions that were heard early.
func (m *Machine) absorb(a farm.Actor) {
	early := m.early[a]
	if early == nil {
		return
	}
	at := m.meta.Known.At(a)
	for early[at+1] {
		at++
	}
	m.meta.Known = m.meta.Known.With(farm.Position{Actor: a, Seq: at})
	for s := range early {
		if s <= at {
			delete(early, s)
		}
	}
	if len(early) == 0 {
		delete(m.early, a)
	}
}

// had ends a catching up: nothing that the peer knew then is unknown now.
func (m *Machine) had(in Had) {
	p := m.peer(in.From)
	p.asked, p.vouched = zeroTime, true
	if p.missed {
		m.askFor(in.From, p, true)
		return
	}
	if p.refused {
		p.refused, p.asked = false, m.now // not all was taken in: ask again in a while
		return
	}
	m.meta.Known = m.meta.Known.Join(in.Upto)
	for pos := range in.Upto.All() {
		m.absorb(pos.Actor)
	}
	m.putMeta()
	m.toldAll(p)
}

func (m *Machine) peer(id farm.MemberID) *peer {
	p := m.peers[id]
	if p == nil {
		p = &peer{}
		m.peers[id] = p
	}
	return p
}

func (m *Machine) peerDown(id farm.MemberID) {
	p := m.peer(id)
	p.linked, p.aside, p.asked, p.links = false, false, zeroTime, nil
}

func (m *Machine) peerUp(in PeerUp) {
	id, p := in.Peer, m.peer(in.Peer)
	m.back(id)
	if in.Aside {
		m.peerDown(id)
		p.aside = true
		return
	}
	p.linked, p.aside = true, false
	m.ask(id, p)
	for path, w := range m.work { // content may be had now
		if w.phase == forRetry {
			m.retries[path] = m.now
		}
	}
}

// haveSource tries again those whose content nobody had, and of which the peer now has a version on disk that it did not
// have before.
func (m *Machine) haveSource(before, now farm.Vector) {
	if before.CoversAll(now) {
		return
	}
	for path, w := range m.work {
		if w.phase != forRetry || !w.noSource {
			continue
		}
		r, _ := m.db.Get(path)
		for _, e := range r.Known {
			if dot := e.Version.Content.Dot; now.Covers(dot) && !before.Covers(dot) {
				m.retries[path] = m.now
			}
		}
	}
}

func (m *Machine) ask(id farm.MemberID, p *peer) {
	m.askFor(id, p, m.meta.Seed.Mode == farm.SeedFull)
}

// askFor asks a peer for all that it knows and we do not; bare: without content.
func (m *Machine) askFor(id farm.MemberID, p *peer, bare bool) {
	if m.paused || m.lapsed(p) {
		return
	}
	p.asked, p.aheadSince, p.missed = m.now, zeroTime, false
	m.emit(Want{To: id, Known: m.meta.Known, Bare: bare})
}

func (m *Machine) peerState(id farm.MemberID, s farm.FolderState) {
	p := m.peer(id)
	if m.rejoin(id, s) {
		return
	}
	// It has begun (anew) to hold the folder, or was not believed: earlier questions went nowhere.
	if p.linked && (p.state.Actor != s.Actor || m.lapsed(p)) {
		defer m.ask(id, p)
	}
	m.haveSource(p.state.Applied, s.Applied)
	p.state = s
	m.compare(s.Known, id)
	if m.meta.Known.CoversAll(s.Known) {
		p.aheadSince = zeroTime
	} else if p.aheadSince.IsZero() {
		p.aheadSince = m.now
	}
}

// askThoseAhead asks peers that have known more than we do for a while without telling: after a gap in what they sent,
// or for a feed whose member we are not linked to.
// Full: what they tell waits to be taken.
func (m *Machine) askThoseAhead(full bool) {
	for _, id := range sortedPeers(m.peers) {
		p := m.peers[id]
		if (full || m.moving != nil) && !p.aheadSince.IsZero() {
			p.aheadSince = m.now
		}
		if !p.linked || p.aheadSince.IsZero() || m.now.Sub(p.aheadSince) < askAfter {
			continue
		}
		if m.meta.Known.CoversAll(p.state.Known) {
			p.aheadSince = zeroTime
			continue
		}
		if p.asked.IsZero() || m.now.Sub(p.asked) >= askAgain {
			m.ask(id, p)
		}
	}
}

// tellConflicts raises an event where the newest version made a content of ours lose: this member preserves it.
func (m *Machine) tellConflicts(known []farm.Entry, newest farm.Position) {
	if len(known) < 2 {
		return
	}
	older := make([]farm.Entry, 0, len(known))
	for _, e := range known {
		if e.Version.Dot != newest {
			older = append(older, e)
		}
	}
	told := reconcile.Decide(older, false).LostDots
	s := reconcile.Decide(known, false)
	for _, l := range s.Lost {
		dot := l.Version.Content.Dot
		if dot.Actor.Member != m.meta.Actor.Member || containsDot(told, dot) {
			continue
		}
		id := farm.PreservedID(m.folder, l.Path, dot, l.Attr)
		m.raise(farm.EventFileConflict, farm.Warning, l.Path,
			"written here and on "+string(s.Content.Dot.Actor.Member)+" at the same time: the later version stays, ours is preserved",
			"tandem conflicts diff "+id, map[string]string{"lost": dot.String(), "winner": s.Content.Dot.String(), "id": id})
	}
}
