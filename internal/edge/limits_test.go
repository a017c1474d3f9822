package edge

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// New limits are for the nodes that there are, and for requests that wait already.
func TestSetLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, release := newNetwork(), make(chan struct{})
		network.set("web1", serving(func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}))
		e := healthyEdge(network, Config{Limits: Limits{MaxPerNode: 1, MaxQueue: 2}}, "web1")
		defer closeIdle(e)
		var working []<-chan result
		for range 3 { // 1 at work and 2 waiting
			working = append(working, ask(e, visit("GET", "/", nil)))
			synctest.Wait()
		}
		inFlight := func(want int64) {
			t.Helper()
			synctest.Wait()
			if got := e.Stats()[0].InFlight; got != want {
				t.Errorf("the node works on %d, want %d", got, want)
			}
		}
		inFlight(1)
		e.SetLimits(Limits{MaxPerNode: 2, MaxQueue: 1, AnswerTime: time.Minute, HideNode: true})
		inFlight(2)
		e.SetLimits(Limits{MaxPerNode: 2, MaxQueue: 0, AnswerTime: 20 * time.Second, HideNode: true})
		if got := <-ask(e, visit("GET", "/", nil)); got.status != http.StatusServiceUnavailable {
			t.Errorf("one too many got %d", got.status)
		}
		close(release)
		for _, w := range working {
			if got := <-w; got.status != http.StatusOK {
				t.Errorf("one that waited got %d", got.status)
			}
		}
		inFlight(0)
		if h := get(e, visit("GET", "/", nil)).Header(); h.Get(NodeHeader) != "" {
			t.Errorf("the node is named: %v", h)
		}
		release = make(chan struct{}) // nobody answers any more
		if got := <-ask(e, visit("GET", "/", nil)); got.status != http.StatusGatewayTimeout || got.took != 20*time.Second {
			t.Errorf("status %d after %v", got.status, got.took)
		}
	})
}

// A gate that became smaller lets nobody in until there are fewer than it allows.
func TestGateShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gate{}
		g.resize(2, 1)
		for range 2 {
			if err := g.enter(t.Context(), time.Second); err != nil {
				t.Fatal(err)
			}
		}
		third := make(chan error, 1)
		go func() { third <- g.enter(context.Background(), time.Second) }()
		synctest.Wait()
		g.resize(1, 1)
		g.leave()
		synctest.Wait()
		select {
		case err := <-third:
			t.Fatalf("let in beside another: %v", err)
		default:
		}
		g.leave()
		if err := <-third; err != nil {
			t.Errorf("not let in: %v", err)
		}
		if n := g.inFlight(); n != 1 {
			t.Errorf("%d in flight, want 1", n)
		}
		g.leave()
	})
}
