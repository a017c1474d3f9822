package replica_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// TestNothingGoesTwice: what is written while a peer is caught up is pushed, and is not part of the answer as well; unless
// the push did not get through: then its entry goes along, so that the peer knows what took the place of what it asked for.
func TestNothingGoesTwice(t *testing.T) {
	for _, behind := range []bool{false, true} {
		t.Run(fmt.Sprintf("behind %v", behind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				w.behind = behind
				r, stop := w.run(t)
				write := func(name string) {
					w.noticed <- replica.Noticed{Dirty: []farm.Path{w.file(name, "some")}}
					for !slices.Contains(w.told(), "push "+name) {
						time.Sleep(time.Millisecond) // of the bubble's time
					}
				}
				write("old")
				w.mu.Lock()
				w.meanwhile = func() { write("new") }
				w.mu.Unlock()
				r.Deliver(t.Context(), replica.Wanted{From: "b"})
				time.Sleep(time.Second)
				synctest.Wait()
				if err := stop(); err != nil {
					t.Error(err)
				}
				var got []string
				for _, f := range w.frames {
					for _, c := range f {
						got = append(got, fmt.Sprintf("%s %d", c.Entry.Path, len(c.Content)))
					}
				}
				want := []string{"old 4"}
				if behind {
					want = append(want, "new 0")
				}
				if !slices.Equal(got, want) {
					t.Errorf("sent %q, want %q", got, want)
				}
				if !slices.Contains(w.told(), "had b") {
					t.Errorf("%q", w.told())
				}
			})
		})
	}
}

// TestAnAnswerEndsWithItsSession: what is under way to a peer that is gone ends, so that its end is not heard in a later
// session.
func TestAnAnswerEndsWithItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r, stop := w.run(t)
		synctest.Wait()
		w.mu.Lock()
		w.meanwhile = func() { r.Deliver(t.Context(), replica.PeerDown{Peer: "b"}) }
		w.mu.Unlock()
		r.Deliver(t.Context(), replica.Wanted{From: "b"})
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if slices.Contains(w.told(), "had b") {
			t.Errorf("%q", w.told())
		}
	})
}
