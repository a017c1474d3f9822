package peertest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// Patience is how long a test waits for what must happen.
const Patience = 20 * time.Second

// Recorder is a peer.Handler and a farm.Sink that remembers.
type Recorder struct {
	t       testing.TB
	mu      sync.Mutex
	change  chan struct{} // closed and replaced when anything happens
	up      map[farm.MemberID]bool
	ups     map[farm.MemberID]int
	hellos  map[farm.MemberID]wire.Hello
	reasons map[farm.MemberID]error
	got     map[farm.MemberID][]wire.Message // State left out
	states  map[farm.MemberID][]farm.MemberState
	events  []farm.Event
	gate    chan struct{} // Receive of anything but a State waits until it is closed
}

// NewRecorder returns a Recorder that lets everything through.
func NewRecorder(t testing.TB) *Recorder {
	return &Recorder{t: t, change: make(chan struct{}), up: map[farm.MemberID]bool{}, ups: map[farm.MemberID]int{},
		hellos: map[farm.MemberID]wire.Hello{}, reasons: map[farm.MemberID]error{},
		got: map[farm.MemberID][]wire.Message{}, states: map[farm.MemberID][]farm.MemberState{}}
}

// Hold makes Receive block until the function that it returns is called.
func (r *Recorder) Hold() (release func()) {
	gate := make(chan struct{})
	r.locked(func() { r.gate = gate })
	return func() {
		r.locked(func() { r.gate = nil })
		close(gate)
	}
}

func (r *Recorder) locked(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
	close(r.change)
	r.change = make(chan struct{})
}

// Up records the start of a session.
func (r *Recorder) Up(m farm.MemberID, h wire.Hello) {
	r.locked(func() {
		if r.up[m] {
			r.t.Errorf("%s is up twice", m)
		}
		r.up[m] = true
		r.ups[m]++
		r.hellos[m] = h
	})
}

// Down records the end of a session.
func (r *Recorder) Down(m farm.MemberID, reason error) {
	r.locked(func() {
		if !r.up[m] || reason == nil {
			r.t.Errorf("%s is down, reason %v, without having been up", m, reason)
		}
		r.up[m] = false
		r.reasons[m] = reason
	})
}

// Receive records a message.
func (r *Recorder) Receive(ctx context.Context, from farm.MemberID, m wire.Message) {
	st, isState := m.(wire.State)
	r.mu.Lock()
	gate := r.gate
	r.mu.Unlock()
	if gate != nil && !isState {
		select {
		case <-gate:
		case <-ctx.Done():
		}
	}
	r.locked(func() {
		if !r.up[from] {
			r.t.Errorf("%T from %s, which is not up", m, from)
		}
		if isState {
			r.states[from] = append(r.states[from], st.MemberState)
			return
		}
		r.got[from] = append(r.got[from], m)
	})
}

// Sink records an event.
func (r *Recorder) Sink(e farm.Event) { r.locked(func() { r.events = append(r.events, e) }) }

// Until waits until the condition holds; it is called with the recorder locked.
func (r *Recorder) Until(what string, holds func() bool) {
	r.t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		ok, change := holds(), r.change
		r.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-change:
		case <-deadline.C:
			r.t.Fatalf("waited in vain until %s; %s", what, r)
		}
	}
}

// UntilUp waits until m is up for the nth time.
func (r *Recorder) UntilUp(m farm.MemberID, n int) {
	r.t.Helper()
	r.Until(fmt.Sprintf("%s is up for the %d. time", m, n), func() bool { return r.up[m] && r.ups[m] >= n })
}

// UntilDown waits until m is not up, and returns why.
func (r *Recorder) UntilDown(m farm.MemberID) (reason error) {
	r.t.Helper()
	r.Until(string(m)+" is down", func() bool { reason = r.reasons[m]; return !r.up[m] && r.ups[m] > 0 })
	return reason
}

// UntilEvent waits for an event of the kind about the subject.
func (r *Recorder) UntilEvent(id farm.EventID, subject string) (e farm.Event) {
	r.t.Helper()
	r.Until(fmt.Sprintf("event %s about %s", id, subject), func() bool {
		for _, e = range r.events {
			if e.ID == id && e.Subject == subject {
				return true
			}
		}
		return false
	})
	return e
}

// UntilHealed waits for the event that the fault of the kind about the subject is over.
func (r *Recorder) UntilHealed(id farm.EventID, subject string) {
	r.t.Helper()
	r.Until(fmt.Sprintf("%s about %s is healed", id, subject), func() bool {
		return slices.ContainsFunc(r.events, func(e farm.Event) bool {
			return e.ID == id && e.Subject == subject && e.Severity == farm.Healed
		})
	})
}

// Events counts the events of the kind so far.
func (r *Recorder) Events(id farm.EventID) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e.ID == id {
			n++
		}
	}
	return n
}

// UntilChanges waits until n changes have come from m.
func (r *Recorder) UntilChanges(m farm.MemberID, n int) {
	r.t.Helper()
	r.Until(fmt.Sprintf("%d changes of %s have come", n, m), func() bool { return len(r.changes(m)) >= n })
}

// Changes are all changes from m so far, in order of arrival, frames put together.
func (r *Recorder) changes(m farm.MemberID) (list []farm.Change) {
	for _, x := range r.got[m] {
		if c, ok := x.(wire.Changes); ok {
			list = append(list, c.List...)
		}
	}
	return list
}

func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := fmt.Sprintf("up %v, ups %v, reasons %v", r.up, r.ups, r.reasons)
	for _, e := range r.events {
		s += fmt.Sprintf("\n  %s %s: %s", e.ID, e.Subject, e.Message)
	}
	return s
}
