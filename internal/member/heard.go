package member

import (
	"context"
	"slices"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/wire"
)

// passEvery is how often what others said is passed on to members that can't hear it themselves.
const passEvery = time.Second

// tellLinks says in this member's state with whom it has sessions.
func (m *Member) tellLinks() {
	m.own.change(func(s *farm.MemberState) { s.Links = m.links.live() })
}

// live are the members with a session, sorted; never nil.
func (l *links) live() []farm.MemberID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := []farm.MemberID{}
	for id, s := range l.at {
		if s.up {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// passOn tells linked members, until ctx ends, what those said whom they are not linked with. Where all are linked with
// all nothing is sent.
func (m *Member) passOn(ctx context.Context) error {
	t := time.NewTicker(passEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		for _, to := range m.links.live() {
			if !wire.Can(m.hub.Protocol(to), wire.CanRelay) {
				continue
			}
			for _, s := range m.links.newsFor(to) {
				if _, member := m.config().Member(s.Member); member && s.Member != m.self && m.hub.Send(to, wire.Heard{MemberState: s}) {
					m.links.told(to, s)
				}
			}
		}
	}
}

// newsFor is what was said by members whom another is not linked with, and that it was not told yet.
func (l *links) newsFor(to farm.MemberID) []farm.MemberState {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.at[to]
	if t == nil || t.state.Links == nil {
		return nil // it has not said whom it is linked with
	}
	var news []farm.MemberState
	for id, s := range l.at {
		if id == to || s.state.Member != id || s.via == to || s.state.Number <= t.passed[id] || slices.Contains(t.state.Links, id) {
			continue
		}
		news = append(news, s.state)
	}
	return news
}

func (l *links) told(to farm.MemberID, s farm.MemberState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.entry(to)
	if t.passed == nil {
		t.passed = map[farm.MemberID]uint64{}
	}
	t.passed[s.Member] = s.Number
}

// takeHeard takes what another member has said of itself, as from passed it on. What the member says here itself counts
// more, and of two states the later one.
func (m *Member) takeHeard(ctx context.Context, from farm.MemberID, s farm.MemberState) {
	c := m.config()
	if c == nil || s.Member == m.self {
		return
	}
	if _, known := c.Member(s.Member); !known || !m.links.heardVia(from, s) {
		return
	}
	for id, state := range s.Folders {
		m.deliver(ctx, s.Member, id, replica.Relayed{Peer: s.Member, State: state, Links: s.Links})
	}
}

// heardVia notes the state unless it is old or the member can be heard here.
func (l *links) heardVia(from farm.MemberID, s farm.MemberState) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entry(s.Member)
	if e.up || s.Number <= e.state.Number {
		return false
	}
	e.state, e.via = s, from
	if s.Version != "" {
		e.version = s.Version
	}
	l.tell()
	return true
}

// introduceHeard tells a folder of the holders that are known by hearsay only.
func (fs *folders) introduceHeard(f *folder) {
	for _, id := range fs.m.holders(f.spec.id) {
		l := fs.m.links.get(id)
		if s, ok := l.state.Folders[f.spec.id]; ok && !l.up && id != fs.m.self {
			f.deliver(fs.m.ctx, replica.Relayed{Peer: id, State: s, Links: l.state.Links})
		}
	}
}
