package member

import (
	"context"
	"sync"
	"time"

	"tandem/internal/farm"
)

// links is what is known of the other members: whether there is a session, and what they last said of themselves.
type links struct {
	mu      sync.Mutex
	at      map[farm.MemberID]*linkState
	changed chan struct{} // closed and replaced at each change
}

type linkState struct {
	up      bool
	version string
	reason  string
	seen    time.Time
	state   farm.MemberState
	via     farm.MemberID            // who passed the state on; "": the member said it here
	passed  map[farm.MemberID]uint64 // numbers of the others' states that it was told in this session
}

func newLinks() *links {
	return &links{at: map[farm.MemberID]*linkState{}, changed: make(chan struct{})}
}

// tell wakes those that await a change. The lock is held.
func (l *links) tell() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// await returns when cond, which is called with the lock held, is true, or with ctx's error.
func (l *links) await(ctx context.Context, cond func() bool) error {
	for {
		l.mu.Lock()
		ok, changed := cond(), l.changed
		l.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *links) entry(id farm.MemberID) *linkState {
	s := l.at[id]
	if s == nil {
		s = &linkState{}
		l.at[id] = s
	}
	return s
}

func (l *links) set(id farm.MemberID, up bool, version string, reason error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.entry(id)
	s.up, s.seen, s.reason, s.passed = up, time.Now(), "", nil
	if version != "" {
		s.version = version
	}
	if reason != nil {
		s.reason = reason.Error()
	}
	l.tell()
}

func (l *links) heard(state farm.MemberState) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.entry(state.Member)
	if state.Number == 0 { // its protocol has none: when it was heard puts its states in order for others
		state.Number = uint64(time.Now().UnixNano())
	}
	s.state, s.seen, s.via = state, time.Now(), ""
	l.tell()
}

// anyHas tells whether a linked member has all up to pos on disk. The lock is held.
func (l *links) anyHas(id farm.FolderID, pos farm.Position) bool {
	for _, s := range l.at {
		if s.up && s.state.Folders[id].Applied.Covers(pos) {
			return true
		}
	}
	return false
}

// any tells whether any member is linked.
func (l *links) any() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.anyUp()
}

// anyUp is any with the lock held.
func (l *links) anyUp() bool {
	for _, s := range l.at {
		if s.up {
			return true
		}
	}
	return false
}

func (l *links) up(id farm.MemberID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[id] != nil && l.at[id].up
}

// get is a copy of what is known of the member.
func (l *links) get(id farm.MemberID) linkState {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.entry(id)
}
