package replica

import (
	"cmp"
	"container/heap"
	"slices"
	"time"

	"tandem/internal/farm"
)

var zeroTime time.Time

// low is a position that is not visible yet, because of path.
type low struct {
	seq  farm.Seq
	path farm.Path
}

// lowHeap has the lowest position of one actor's feed first. Entries whose work has ended are dropped when they come
// up.
type lowHeap []low

func (h lowHeap) Len() int           { return len(h) }
func (h lowHeap) Less(i, j int) bool { return h[i].seq < h[j].seq }
func (h lowHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lowHeap) Push(x any)        { *h = append(*h, x.(low)) }
func (h *lowHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// lower notes that versions in v are not visible at p. Of a feed of which several changes may have been skipped only the
// last is known: the lowest that it can stand for counts, so that applied never claims too much.
func (m *Machine) lower(p farm.Path, r farm.Record, v farm.Vector) {
	w := m.work[p]
	for pos := range v.All() {
		if r.Disk.Context.Covers(pos) || slices.ContainsFunc(w.lows, func(q farm.Position) bool { return q.Actor == pos.Actor }) {
			continue
		}
		seq := max(r.Disk.Context.At(pos.Actor), m.meta.Durable.At(pos.Actor)) + 1
		if known := m.meta.Known.At(pos.Actor); pos.Seq > known {
			seq = max(seq, known+1)
		}
		w.lows = append(w.lows, farm.Position{Actor: pos.Actor, Seq: seq})
		h := m.lows[pos.Actor]
		if h == nil {
			h = &lowHeap{}
			m.lows[pos.Actor] = h
		}
		heap.Push(h, low{seq, p})
	}
	if len(w.lows) > 0 {
		m.arrivals.expect(m.now, p, v)
	}
}

// release says that all that w, of path p, kept invisible is visible. The heaps follow when applied looks at them.
func (m *Machine) release(p farm.Path, w *work) {
	if len(w.lows) > 0 {
		w.lows = nil
		m.arrivals.settle(p)
	}
}

// Reach includes all that may be visible on disk: changes are known before they are installed, and those that were heard
// of ahead of others too. It never gets less.
func (m *Machine) Reach() farm.Vector {
	m.reach = m.reach.Join(m.meta.Known)
	return m.reach
}

// applied is the vector of changes that are visible on disk.
func (m *Machine) applied() farm.Vector {
	v := m.meta.Known
	for a, h := range m.lows {
		for h.Len() > 0 && !m.holds((*h)[0], a) {
			heap.Pop(h)
		}
		if h.Len() == 0 {
			delete(m.lows, a)
			continue
		}
		v = v.Capped(a, (*h)[0].seq-1)
	}
	return v
}

func (m *Machine) holds(l low, a farm.Actor) bool {
	w := m.work[l.path]
	return w != nil && slices.Contains(w.lows, farm.Position{Actor: a, Seq: l.seq})
}

func sortPaths(ps []farm.Path) { slices.SortFunc(ps, farm.Path.Compare) }

func sortedPeers(peers map[farm.MemberID]*peer) []farm.MemberID {
	ids := make([]farm.MemberID, 0, len(peers))
	for id := range peers {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, cmp.Compare[farm.MemberID])
	return ids
}

func containsDot(dots []farm.Position, d farm.Position) bool { return slices.Contains(dots, d) }
