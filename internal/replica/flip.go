package replica

import (
	"path"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// A symlink that is pointed somewhere else is how many a release goes live: whoever follows it must find all that was
// written before it was turned. It is the one change that waits for others than its parent: where it is made, until all
// that was noticed before has its version, and elsewhere until that is on disk.
const (
	flipRetry   = 20 * time.Millisecond
	maxFlipWait = 30 * time.Second // what does not arrive within that time holds up the symlink no longer
	stuckTries  = 5                // failures in a row after which a path is not waited for
)

// flipsEarly tells whether p is a symlink that would be turned before all is on disk that its author had written below its
// target. Of a target that is no path of the folder nobody knows where it leads: then all that the author wrote counts.
func (m *Machine) flipsEarly(p farm.Path, w *work, is farm.Disk, s reconcile.State) bool {
	return flips(is.Attr, s.Attr) && m.holdFlip(p, w, !m.meta.Known.Covers(s.Content.Dot) || m.behind(p, s))
}

// seenEarly tells whether p is a symlink that was turned by an application which may have written something below its
// target that is still being looked at, so that it has no version yet.
func (m *Machine) seenEarly(p farm.Path, w *work, is farm.Disk, seen farm.Attr) bool {
	if !flips(is.Attr, seen) {
		return false
	}
	open := m.scanning
	for _, lost := range m.walks {
		open = open || lost
	}
	target, inside := followed(p, seen.Target)
	for q, o := range m.work {
		open = open || q != p && m.looking(o) && (!inside || q == target || q.Under(target))
	}
	held := m.holdFlip(p, w, open)
	w.dirty = w.dirty || held
	return held
}

func flips(is, will farm.Attr) bool {
	return is.Type == farm.Symlink && will.Type == farm.Symlink && is.Target != will.Target
}

// holdFlip has the path looked at again soon, for a bounded time.
func (m *Machine) holdFlip(p farm.Path, w *work, early bool) bool {
	if w.flip.IsZero() {
		w.flip = m.now
	}
	if !early || m.now.Sub(w.flip) >= maxFlipWait {
		w.flip = time.Time{}
		return false
	}
	w.phase = forRetry
	m.retries[p] = m.now.Add(flipRetry)
	return true
}

// behind tells whether anything is still to be installed that was written before the symlink at p.
func (m *Machine) behind(p farm.Path, s reconcile.State) bool {
	target, inside := followed(p, s.Target)
	for q, o := range m.work {
		if q == p || o.tries >= stuckTries || inside && q != target && !q.Under(target) {
			continue
		}
		for _, low := range o.lows {
			if low.Actor == s.Content.Dot.Actor && low.Seq < s.Content.Dot.Seq {
				return true
			}
		}
	}
	return false
}

// followed is the path to which the text of a symlink at p leads, if that is in the folder.
func followed(p farm.Path, text string) (farm.Path, bool) {
	if path.IsAbs(text) {
		return farm.Path{}, false
	}
	q, err := farm.ParsePath(path.Join(p.Parent().String(), text))
	return q, err == nil
}
