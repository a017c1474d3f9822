package sim

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// world is virtual time: events in the order of their moments, then of their making.
type world struct {
	rng   *rand.Rand
	now   time.Time
	next  int
	queue eventHeap
	trace strings.Builder
}

type event struct {
	at  time.Time
	nr  int
	run func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].nr < h[j].nr
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

func newWorld(seed uint64) *world {
	return &world{rng: rand.New(rand.NewPCG(seed, 0x7461_6e64_656d)), now: time.UnixMilli(1_800_000_000_000)}
}

// after runs f when d has passed.
func (w *world) after(d time.Duration, f func()) {
	w.next++
	heap.Push(&w.queue, event{w.now.Add(d), w.next, f})
}

// run lets events happen until none is left or the time has come.
func (w *world) run(until time.Time) {
	for w.queue.Len() > 0 && !w.queue[0].at.After(until) {
		e := heap.Pop(&w.queue).(event)
		w.now = e.at
		e.run()
	}
	w.now = until
}

// between is a random duration.
func (w *world) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(w.rng.Int64N(int64(hi-lo)+1))
}

func (w *world) draw() uint16 { return uint16(w.rng.Uint32()) }

func (w *world) chance(percent float64) bool { return w.rng.Float64()*100 < percent }

func pick[T any](w *world, of []T) T { return of[w.rng.IntN(len(of))] }

// logf adds a line to the trace.
func (w *world) logf(format string, args ...any) {
	fmt.Fprintf(&w.trace, "%8.3f ", w.now.Sub(time.UnixMilli(1_800_000_000_000)).Seconds())
	fmt.Fprintf(&w.trace, format, args...)
	w.trace.WriteByte('\n')
}
