package replica

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// A directory that was renamed is one step here and one message on the wire, however much is in it. What it stands for is
// written down as what it is: a creation and a deletion of each entry, with versions as any others. Whoever can't do it
// in one step, because something differs or is under way, does those.
//
// One move is dealt with at a time. While it waits or is out, what else comes that concerns its two trees waits behind it,
// so that it meets them as they were when it began.
//
// Invariant: known covers the changes of a move only when all of them are in the catalogue.

// Limits of moves.
const (
	minMoved      = 8               // entries; fewer are as quick one by one
	ownMoveWait   = time.Second     // for what is under way in the trees of a move that happened here
	otherMoveWait = 2 * time.Second // ... elsewhere
	maxQueued     = 8192            // changes that wait behind a move; more are asked for again
)

// moving is the move that is dealt with.
type moving struct {
	farm.Move                           // of one that happened here only the names, until it is sure
	from      farm.MemberID             // who told of it; empty: it happened here
	until     time.Time                 // when it is not waited for any more
	left      int                       // works in its trees when they were last counted
	out       bool                      // a Compare or Shift is
	was       []farm.Record             // what is moved, in the order of the paths
	there     map[farm.Path]farm.Record // what is known of the new paths
}

// own tells whether it happened here.
func (v *moving) own() bool { return v.from == "" }

// blockedBy tells whether work at p has to end first.
func (v *moving) blockedBy(p farm.Path) bool {
	return v.Touches(p) || !p.IsRoot() && (v.From.Under(p) || v.To.Under(p))
}

// waits tells whether the input has to wait behind a move.
func (m *Machine) waits(in Input) bool {
	if m.moving == nil {
		return false
	}
	switch in := in.(type) {
	case Moved, ArrivedMove, Had:
		return true
	case Arrived:
		return m.fenced(in.Change.Entry.Path)
	case Barrier:
		return m.moving.out || m.moving.own() || m.queuedOwn
	}
	return m.moving.out && m.concerns(in)
}

// concerns tells whether an input of this disk is about the trees of the move, which is out.
func (m *Machine) concerns(in Input) bool {
	switch in := in.(type) {
	case Observed:
		return m.moving.Touches(in.Path)
	case Installed:
		return m.moving.Touches(in.Plan.Path)
	case Tree:
		return m.moving.blockedBy(in.Dir)
	case Walked, Expire, Ruled:
		return true
	}
	return false
}

// fenced tells whether changes of p have to wait behind a move.
func (m *Machine) fenced(p farm.Path) bool {
	if m.moving.Touches(p) {
		return true
	}
	for _, v := range m.fences {
		if v.Touches(p) {
			return true
		}
	}
	return false
}

// admit deals with an input, or keeps it behind the move.
func (m *Machine) admit(in Input) {
	if d, ok := in.(Dirty); ok && m.moving != nil && m.moving.out {
		in = m.parted(d)
	}
	if !m.waits(in) {
		m.handle(in)
		return
	}
	switch in := in.(type) {
	case Arrived:
		if len(m.queued) >= maxQueued {
			m.peer(in.From).refused = true
			return
		}
	case Moved:
		m.fences, m.queuedOwn = append(m.fences, farm.Move{From: in.From, To: in.To}), true
	case ArrivedMove:
		m.fences = append(m.fences, in.Move)
	case Had, Ruled, Expire:
	default:
		m.queuedOwn = true
	}
	m.queued = append(m.queued, in)
}

// parted keeps those paths behind that lie in the trees of the move, and returns the others.
func (m *Machine) parted(in Dirty) Dirty {
	now, later := in, in
	now.Paths, later.Paths = nil, nil
	for _, p := range in.Paths {
		if m.moving.Touches(p) {
			later.Paths = append(later.Paths, p)
		} else {
			now.Paths = append(now.Paths, p)
		}
	}
	if len(later.Paths) > 0 {
		m.queued, m.queuedOwn = append(m.queued, later), true
	}
	return now
}

// goOn takes the next step of the move, if it does not wait for anything, and with what has waited behind it.
func (m *Machine) goOn() {
	for {
		if v := m.moving; v != nil {
			if v.out || v.left > 0 && m.now.Before(v.until) {
				return
			}
			m.try(v)
			continue
		}
		if len(m.queued) == 0 {
			return
		}
		queued := m.queued
		m.queued, m.fences, m.queuedOwn = nil, nil, false
		for _, in := range queued {
			m.admit(in)
		}
	}
}

// try begins the move, makes it wait, or gives it up.
func (m *Machine) try(v *moving) {
	if v.left = m.blockers(v); v.left > 0 && m.now.Before(v.until) {
		return
	}
	switch {
	case v.left > 0:
		m.abandon(v)
	case v.own():
		m.tryOwn(v)
	default:
		m.tryOther(v)
	}
}

// blockers counts the works that have to end first.
func (m *Machine) blockers(v *moving) (n int) {
	for p := range m.work {
		if v.blockedBy(p) {
			n++
		}
	}
	return n
}

// unblock says that the work at p has ended.
func (m *Machine) unblock(p farm.Path) {
	if v := m.moving; v != nil && !v.out && v.blockedBy(p) {
		v.left--
	}
}

// abandon has the changes of the move dealt with one by one.
func (m *Machine) abandon(v *moving) {
	m.moving = nil
	if v.own() {
		m.lookAtMoved(v)
		return
	}
	p := m.peer(v.from)
	p.missed = !p.asked.IsZero()
	if p.linked && !p.missed {
		m.askFor(v.from, p, true) // the contents are here
	}
}

// movable lists what would be moved, if all of it is at rest, on disk as the farm knows it, and to be replicated under its
// new name too, and nothing is there.
func (m *Machine) movable(v *moving) bool {
	v.was, v.there = nil, map[farm.Path]farm.Record{}
	top, ok := m.db.Get(v.From)
	if !ok || top.Disk.Type != farm.Dir || !m.atRest(v, top) {
		return false
	}
	v.was = append(v.was, top)
	for r := range m.db.Under(v.From) {
		switch {
		case m.skip(r.Path):
			return false // it is somebody's own, and stays
		case r.Disk.Type == farm.Absent && allAbsent(r.Known):
			continue // gone before
		case !m.atRest(v, r):
			return false
		}
		v.was = append(v.was, r)
	}
	return m.free(v)
}

// atRest tells whether the record says that what the farm knows is on disk, and nothing else.
func (m *Machine) atRest(v *moving, r farm.Record) bool {
	if len(r.Known) != 1 || r.Intent != nil || m.doubtful[r.Path] || unwatched(r) || len(r.Disk.Lost) > 0 {
		return false
	}
	k, d := r.Known[0], r.Disk
	to, err := v.At(r.Path)
	return err == nil && !m.skip(to) && !m.rules.LeftOut(to, k.Attr) && d.Attr.Same(k.Attr) && len(k.Version.Lost) == 0 &&
		d.Content == k.Version.Content && d.Meta == k.Version.Meta && d.Context.Equal(k.Version.Vector)
}

// free tells whether nothing is at the new paths, nor should be.
func (m *Machine) free(v *moving) bool {
	parent := v.To.Parent()
	if r, _ := m.db.Get(parent); !parent.IsRoot() && (r.Disk.Type != farm.Dir || len(r.Known) == 0) {
		return false
	}
	if r, ok := m.db.Get(v.To); ok {
		v.there[v.To] = r
	}
	for r := range m.db.Under(v.To) {
		v.there[r.Path] = r
	}
	for _, r := range v.there {
		if r.Disk.Type != farm.Absent || r.Intent != nil || !allAbsent(r.Known) || !r.Disk.Context.CoversAll(r.Context()) ||
			len(r.Disk.Lost) > 0 { // what comes there has to tell the author of what lost
			return false
		}
	}
	return true
}

// relocate writes down what v stands for, which has been done on disk; stat is of the directory at its new name. It returns
// the changes in their order.
func (m *Machine) relocate(v *moving, stat farm.Fingerprint) []farm.Entry {
	n := len(v.was)
	list := make([]farm.Entry, 2*n)
	for i, r := range v.was {
		to, _ := v.At(r.Path) // movable has seen to it
		t := v.there[to]
		t.Path = to
		made, gone := v.Made(r.Known[0], i, to, t.Disk.Context), v.Gone(r.Known[0], i)
		list[i], list[2*n-1-i] = made, gone
		t.Known, t.Disk = reconcile.Merge(t.Known, made), diskOf(made)
		t.Disk.Attr, t.Disk.Stat = r.Disk.Attr, r.Disk.Stat
		if i == 0 && stat != (farm.Fingerprint{}) {
			t.Disk.Stat = stat
		}
		m.db.Put(t)
		r.Known, r.Disk = reconcile.Merge(r.Known, gone), diskOf(gone)
		r.Disk.Attr = farm.Attr{}
		m.db.Put(r)
	}
	m.meta.Known = m.meta.Known.With(v.Last())
	m.absorb(v.First.Actor)
	m.putMeta()
	return list
}

// diskOf is what is on disk when just that version is.
func diskOf(e farm.Entry) farm.Disk {
	return farm.Disk{Attr: e.Attr, Content: e.Version.Content, Meta: e.Version.Meta, Context: e.Version.Vector}
}

// digestOfMoved tells whether two members mean the same by a move: the versions that it takes away are the same, and so are
// those that it makes. It depends on the actor.
func digestOfMoved(v *moving) (d farm.Digest) {
	h := sha256.New()
	var b []byte
	text := func(s string) {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	number := func(n uint64) { b = binary.AppendUvarint(b, n) }
	position := func(p farm.Position) {
		text(string(p.Actor.Member))
		number(uint64(p.Actor.Epoch))
		number(uint64(p.Seq))
	}
	vector := func(v farm.Vector) {
		number(uint64(v.Len()))
		for p := range v.All() {
			position(p)
		}
	}
	for _, r := range v.was {
		b = b[:0]
		k := r.Known[0]
		text(k.Path.String())
		number(uint64(k.Type))
		number(uint64(k.Mode))
		number(uint64(k.Owner.UID))
		number(uint64(k.Owner.GID))
		text(k.Owner.User)
		text(k.Owner.Group)
		number(uint64(k.MTime))
		number(uint64(k.Size))
		b = append(b, k.Digest[:]...)
		text(k.Target)
		text(k.XAttrs.Encoded())
		position(k.Version.Dot)
		vector(k.Version.Vector)
		to, _ := v.At(k.Path)
		vector(v.there[to].Disk.Context.Capped(v.First.Actor, 0)) // the writer's own numbers go up with the new one anyway
		h.Write(b)
	}
	h.Sum(d[:0])
	return d
}
