package edge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errBusy  = errors.New("the node has all the requests that it may have, and the queue is full or too slow")
	errMoved = errors.New("the node takes no more requests")
)

// gate bounds the requests in flight to one node. Those that find it full wait in order of arrival. It has no room before
// resize.
type gate struct {
	max   atomic.Int64 // written under mu
	busy  atomic.Int64 // written under mu; more than max only after max has become less
	mu    sync.Mutex
	queue int
	wait  []chan error
}

// resize changes how many may be in flight and how many may wait. Who has a place keeps it.
func (g *gate) resize(maxBusy, queue int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.max.Store(int64(maxBusy))
	g.queue = queue
	for len(g.wait) > 0 && g.hasRoom() {
		g.busy.Add(1)
		g.admit()
	}
}

// admit lets the first in the queue in; its place is counted. Under mu.
func (g *gate) admit() {
	g.wait[0] <- nil
	g.wait = g.wait[1:]
}

func (g *gate) inFlight() int64 { return g.busy.Load() }

func (g *gate) hasRoom() bool { return g.busy.Load() < g.max.Load() }

// enter takes a place, for which leave must be called. It waits at most for limit; errBusy says that there was none,
// errMoved that another node must be chosen.
func (g *gate) enter(ctx context.Context, limit time.Duration) error {
	g.mu.Lock()
	if g.hasRoom() {
		g.busy.Add(1)
		g.mu.Unlock()
		return nil
	}
	if len(g.wait) >= g.queue {
		g.mu.Unlock()
		return errBusy
	}
	turn := make(chan error, 1)
	g.wait = append(g.wait, turn)
	g.mu.Unlock()

	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-turn:
		return err
	case <-timer.C:
		return g.giveUp(turn, errBusy)
	case <-ctx.Done():
		return g.giveUp(turn, ctx.Err())
	}
}

// giveUp takes turn out of the queue. If its turn came meanwhile, the place goes to the next.
func (g *gate) giveUp(turn chan error, why error) error {
	g.mu.Lock()
	i := slices.Index(g.wait, turn)
	if i >= 0 {
		g.wait = slices.Delete(g.wait, i, i+1)
	}
	g.mu.Unlock()
	if i < 0 && <-turn == nil {
		g.leave()
	}
	return why
}

// leave gives the place back, to the first in the queue if there is one.
func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.wait) > 0 && g.busy.Load() <= g.max.Load() {
		g.admit()
		return
	}
	g.busy.Add(-1)
}

// turnAway makes all that wait choose again.
func (g *gate) turnAway() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, turn := range g.wait {
		turn <- errMoved
	}
	g.wait = nil
}
