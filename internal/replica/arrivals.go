package replica

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// Arrivals are the paths of which a newer version is known than is on disk. The machine's goroutine keeps them, anybody
// may look: while nothing is on its way, that is one atomic load.
type Arrivals struct {
	n  atomic.Int64
	mu sync.Mutex
	at map[farm.Path]*arrival
}

type arrival struct {
	want  farm.Vector // includes all that is known of the path
	since time.Time
	here  chan struct{} // closed when it is on disk, or given up; nil: nobody waits
}

// Any tells whether any path is on its way.
func (a *Arrivals) Any() bool { return a.n.Load() > 0 }

// Of returns what a member must have applied to have of the path all that is known here, and since when that is on its way;
// false: it is on this disk.
func (a *Arrivals) Of(p farm.Path) (want farm.Vector, since time.Time, pending bool) {
	if !a.Any() {
		return farm.Vector{}, zeroTime, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if on := a.at[p]; on != nil {
		return on.want, on.since, true
	}
	return farm.Vector{}, zeroTime, false
}

// Wait returns when nothing of the path is on its way, or with ctx's error.
func (a *Arrivals) Wait(ctx context.Context, p farm.Path) error {
	a.mu.Lock()
	on := a.at[p]
	if on == nil {
		a.mu.Unlock()
		return nil
	}
	if on.here == nil {
		on.here = make(chan struct{})
	}
	here := on.here
	a.mu.Unlock()
	select {
	case <-here:
		return nil
	case <-ctx.Done():
		return &farm.Error{Op: "wait", Path: p.String(), Kind: farm.Unavailable, Err: ctx.Err()}
	}
}

// expect says that v is known of the path and not on disk.
func (a *Arrivals) expect(now time.Time, p farm.Path, v farm.Vector) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if on := a.at[p]; on != nil {
		on.want = on.want.Join(v)
		return
	}
	if a.at == nil {
		a.at = map[farm.Path]*arrival{}
	}
	a.at[p] = &arrival{want: v, since: now}
	a.n.Add(1)
}

// settle says that nothing of the path is on its way any more.
func (a *Arrivals) settle(p farm.Path) {
	if !a.Any() {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	on := a.at[p]
	if on == nil {
		return
	}
	delete(a.at, p)
	a.n.Add(-1)
	if on.here != nil {
		close(on.here)
	}
}
