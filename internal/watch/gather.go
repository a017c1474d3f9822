package watch

import (
	"container/heap"
	"sync"
	"time"

	"tandem/internal/farm"
)

// gather holds what sources noticed until it is taken. It has all limits and all timers.
type gather struct {
	wake chan struct{} // has a token after something became ready to be taken, or a first timer started
	max  int           // paths held, of all kinds together

	mu      sync.Mutex
	ready   Batch
	dirty   map[farm.Path]struct{} // ready.Dirty as a set
	trees   map[farm.Path]struct{} // ready.Trees as a set
	writing map[farm.Path]*writing // open files, and new ones that a close may follow
	due     dueHeap                // of writing, by the time to look at each
	offered int                    // paths in the batch that is waiting to be taken
	issued  uint64                 // youngest barrier
	passed  uint64                 // youngest barrier that is or was in a batch
	losses  uint64
	why     string // of the latest loss
}

// writing is a file with writes and no close.
type writing struct {
	path        farm.Path
	first, last time.Time // writes
	due         time.Time // when to look at it; writes since then move it only when that time has come
	at          int       // its place in the heap
}

// dueHeap orders files being written by due, earliest first.
type dueHeap []*writing

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push implements heap.Interface.
func (h *dueHeap) Push(x any) {
	w := x.(*writing)
	w.at = len(*h)
	*h = append(*h, w)
}

// Pop implements heap.Interface.
func (h *dueHeap) Pop() any {
	old := *h
	w := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return w
}

func newGather(max int) *gather {
	return &gather{
		wake:    make(chan struct{}, 1),
		max:     max,
		dirty:   make(map[farm.Path]struct{}),
		trees:   make(map[farm.Path]struct{}),
		writing: make(map[farm.Path]*writing),
	}
}

// changed reports a path at once.
func (g *gather) changed(p farm.Path) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w, ok := g.writing[p]; ok {
		g.forget(w)
	}
	g.add(p)
}

// tree reports a directory and that anything below it may have changed.
func (g *gather) tree(p farm.Path) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.add(p)
	if _, ok := g.trees[p]; ok || !g.room() {
		return
	}
	g.trees[p] = struct{}{}
	g.ready.Trees = append(g.ready.Trees, p)
	g.signal()
}

// moved reports that a directory was renamed.
func (g *gather) moved(from, to farm.Path) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.room() {
		return
	}
	g.ready.Moves = append(g.ready.Moves, Move{from, to})
	g.signal()
}

// modified reports a path when it has been quiet, unless changed comes first.
func (g *gather) modified(p farm.Path, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if w, ok := g.writing[p]; ok {
		w.last = now
		return
	}
	if p.IsRoot() || !g.room() {
		return
	}
	w := &writing{path: p, first: now, last: now, due: now.Add(QuietTime)}
	g.writing[p] = w
	heap.Push(&g.due, w)
	if len(g.due) == 1 { // an older entry is due earlier, so the timer is already right
		g.signal()
	}
}

// lost reports that notifications are missing. Barriers whose own notification may be among them pass now, with the
// rescan that covers them.
func (g *gather) lost(why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.losses++
	g.why = why
	g.ready.Rescan = true
	g.pass(g.issued)
	g.signal()
}

// barrier reports that all that happened before barrier id has been noticed. That includes files being written.
func (g *gather) barrier(id uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id <= g.passed || id > g.issued {
		return
	}
	open := g.due
	g.writing, g.due = emptied(g.writing), nil
	for _, w := range open {
		g.add(w.path)
	}
	g.pass(id)
	g.signal()
}

// issue announces a barrier; false if too many have not passed.
func (g *gather) issue(id uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id-g.passed > MaxOpenBarriers {
		return false
	}
	g.issued = id
	return true
}

// pass lists all barriers up to id. The caller holds mu.
func (g *gather) pass(id uint64) {
	for g.passed < id {
		g.passed++
		g.ready.Barriers = append(g.ready.Barriers, g.passed)
	}
}

// add puts a path into the next batch. The caller holds mu.
func (g *gather) add(p farm.Path) {
	if _, ok := g.dirty[p]; ok || p.IsRoot() || !g.room() {
		return
	}
	g.dirty[p] = struct{}{}
	g.ready.Dirty = append(g.ready.Dirty, p)
	g.signal()
}

// room makes sure that one more path can be held. If not, all paths become a rescan, and there is no need to hold the
// one at hand: false. The caller holds mu.
func (g *gather) room() bool {
	if len(g.dirty)+len(g.trees)+len(g.ready.Moves)+len(g.writing)+g.offered < g.max {
		return true
	}
	g.losses++
	g.why = "too many paths are waiting to be looked at"
	g.dirty, g.trees, g.writing = emptied(g.dirty), emptied(g.trees), emptied(g.writing)
	g.due = nil
	g.ready.Dirty, g.ready.Trees, g.ready.Moves, g.ready.Rescan = nil, nil, nil, true
	g.signal()
	return false
}

// ripen reports the files that have been quiet long enough and tells when to come again, if any are waiting.
func (g *gather) ripen(now time.Time) (next time.Time, waiting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.due) > 0 {
		w := g.due[0]
		if w.due.After(now) {
			return w.due, true
		}
		w.due = w.last.Add(QuietTime)
		if limit := w.first.Add(MaxQuietTime); limit.Before(w.due) {
			w.due = limit
		}
		if w.due.After(now) {
			heap.Fix(&g.due, 0)
			continue
		}
		g.forget(w)
		g.add(w.path)
	}
	return time.Time{}, false
}

// forget ends the wait for a file. The caller holds mu.
func (g *gather) forget(w *writing) {
	delete(g.writing, w.path)
	heap.Remove(&g.due, w.at)
}

// take hands out what is ready. The caller says taken when the batch has gone.
func (g *gather) take() (Batch, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	b := g.ready
	if len(b.Dirty) == 0 && len(b.Trees) == 0 && len(b.Moves) == 0 && !b.Rescan && len(b.Barriers) == 0 {
		return Batch{}, false
	}
	g.offered = len(b.Dirty) + len(b.Trees) + len(b.Moves)
	g.ready = Batch{}
	g.dirty, g.trees = emptied(g.dirty), emptied(g.trees)
	return b, true
}

// emptied returns an empty map: m itself, unless it has grown so that to clear it over and over would cost.
func emptied[V any](m map[farm.Path]V) map[farm.Path]V {
	if len(m) > 1024 {
		return make(map[farm.Path]V)
	}
	clear(m)
	return m
}

func (g *gather) taken() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.offered = 0
}

func (g *gather) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *gather) stats(s *Stats) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Quiet = len(g.writing)
	s.Held = len(g.dirty) + len(g.trees) + len(g.ready.Moves) + s.Quiet + g.offered
	s.Losses, s.LastLoss = g.losses, g.why
	s.BarriersDue = g.issued - g.passed
}

// hasPassed tells whether barrier id is or was in a batch.
func (g *gather) hasPassed(id uint64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.passed >= id
}

// reset forgets all that is held.
func (g *gather) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.dirty, g.trees, g.writing = emptied(g.dirty), emptied(g.trees), emptied(g.writing)
	g.ready, g.due, g.losses = Batch{}, nil, 0
}
