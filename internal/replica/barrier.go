package replica

import "tandem/internal/farm"

// barrier is a question: up to which position of our feed is what was written before?
type barrier struct {
	id    uint64
	left  map[farm.Path]bool // paths still being looked at
	walks map[int]bool       // walks that may still find some
}

func (m *Machine) barrier(id uint64) {
	b := &barrier{id: id, left: map[farm.Path]bool{}, walks: map[int]bool{}}
	for id, lost := range m.walks {
		if lost {
			b.walks[id] = true
		}
	}
	if m.rescan {
		b.walks[nextScan] = true
	}
	for p, w := range m.work {
		if m.looking(w) {
			b.left[p] = true
		}
	}
	m.barriers = append(m.barriers, b)
	m.answerBarriers()
}

// looking tells whether the path's disk is being looked at, or about to be.
func (m *Machine) looking(w *work) bool {
	held := w.phase == forChildren && w.found && m.holding > 0
	return w.phase == examining || w.dirty && w.phase != forCheck && (w.phase != forRetry || !w.flip.IsZero()) && !held
}

// passBarriers says that p has been looked at, or can't be for now.
func (m *Machine) passBarriers(p farm.Path) {
	if len(m.barriers) == 0 {
		return
	}
	for _, b := range m.barriers {
		delete(b.left, p)
	}
	m.answerBarriers()
}

// nextScan stands for the scan that is due when the one under way ends.
const nextScan = -1

func (m *Machine) rescanBegins(id int) {
	for _, b := range m.barriers {
		if b.walks[nextScan] {
			delete(b.walks, nextScan)
			b.walks[id] = true
		}
	}
}

// passWalk says that a walk has told what it found. What it found is still to be looked at.
func (m *Machine) passWalk(in Walked) {
	for _, b := range m.barriers {
		if !b.walks[in.ID] {
			continue
		}
		delete(b.walks, in.ID)
		for p, w := range m.work {
			if m.looking(w) && p.Under(in.Dir) {
				b.left[p] = true
			}
		}
	}
	m.answerBarriers()
}

func (m *Machine) answerBarriers() {
	kept := m.barriers[:0]
	for _, b := range m.barriers {
		if len(b.left)+len(b.walks) > 0 {
			kept = append(kept, b)
			continue
		}
		m.emit(BarrierDone{b.id, farm.Position{Actor: m.meta.Actor, Seq: m.meta.Seq}})
	}
	clear(m.barriers[len(kept):])
	m.barriers = kept
}
