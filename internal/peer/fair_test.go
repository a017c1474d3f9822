package peer_test

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/peer/peertest"
)

// TestOneWhoReadsNothing: its queue is bounded, and another member gets every change at once.
func TestOneWhoReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld{peer.NewNet()}
		var nodes []*peertest.Node
		for _, id := range []farm.MemberID{"web1", "web2", "web3"} {
			nodes = append(nodes, peertest.Start(t, w, peer.Config{Self: id}))
		}
		peertest.Meet(nodes...)
		x, y, stuck := nodes[0], nodes[1], nodes[2]
		x.UntilUp("web2", 1)
		x.UntilUp("web3", 1)
		release := stuck.Hold()
		const changes, bytesEach = 1000, 60 << 10
		for i := 1; i <= changes; i++ {
			began := time.Now()
			x.Send("web3", peertest.Changes("gallery", i, i, bytesEach))
			if !x.Send("web2", peertest.Changes("gallery", i, i, bytesEach)) {
				t.Fatalf("change %d was not taken for the member that reads", i)
			}
			y.UntilChanges("web1", i)
			between(t, "a change", began, 0, time.Millisecond) // virtual: it waited for nobody's timer
		}
		for _, st := range x.Stats() {
			if st.Member == "web3" && (st.Gaps == 0 || st.QueuedBytes > 17<<20) {
				t.Errorf("stats of the stuck link %+v", st)
			}
		}
		release()
		for _, n := range nodes {
			n.Stop()
		}
	})
}

// TestFlapping: a link that comes and goes leaves no goroutines behind, and is dialled with pauses.
func TestFlapping(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		ups := 1
		flap := func(times int) {
			for range times {
				w.Cut("web1", "web2")
				x.UntilDown("web2")
				y.UntilDown("web1")
				w.Heal("web1", "web2")
				ups++
				x.UntilUp("web2", ups)
				y.UntilUp("web1", ups)
			}
			pass(time.Minute) // what is to end has ended
			synctest.Wait()
		}
		flap(5)
		before := runtime.NumGoroutine()
		flap(100)
		if after := runtime.NumGoroutine(); after > before {
			t.Errorf("%d goroutines after 5 losses, %d after 105", before, after)
		}
		if n := x.Events(farm.EventMemberUp); n != ups {
			t.Errorf("%d sessions for %d links", n, ups)
		}
	})
}
