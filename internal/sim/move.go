package sim

import (
	"context"
	"slices"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// oldPercent is how many moves are told change by change, as to a member that does not understand them.
const oldPercent = 15

// moveDir executes the effects about directories that were renamed.
func (n *node) moveDir(e replica.Effect) {
	switch e := e.(type) {
	case replica.Compare:
		n.later(20*us, 5*ms, func() {
			in := replica.Compared{From: e.From, To: e.To}
			if n.guard(func() {
				in.Stat, in.New, in.Same, in.Err = n.scanner.Moved(context.Background(), e.From, e.To, e.Is, n.cat)
			}) {
				n.f.logf("%s finds %s at %s: %v", n.id, e.From, e.To, in.Same)
				n.later(10*us, ms, func() { n.step(in) })
			}
		})
	case replica.Shift:
		n.later(20*us, 5*ms, func() { n.shift(e) })
	case replica.PushMove:
		n.f.logf("%s push %s renamed to %s as %v to %v", n.id, e.Move.From, e.Move.To, e.Move.First, e.Move.Last())
		for _, o := range n.f.linked(n) {
			switch {
			case !n.f.calm && n.f.chance(n.f.opt.DropPercent):
			case n.f.chance(oldPercent):
				for _, k := range e.Changes {
					n.f.wire(n, o).send(n.f, replica.Arrived{From: n.id, Change: farm.Change{Entry: k, Sent: e.Move.Sent}})
				}
			default:
				n.f.wire(n, o).send(n.f, replica.ArrivedMove{From: n.id, Move: e.Move})
			}
		}
	case replica.RelayMove:
		for _, to := range e.To {
			n.f.relays++
			n.f.wire(n, n.f.node(to)).send(n.f, replica.ArrivedMove{From: n.id, Move: e.Move})
		}
	}
}

// shift renames a directory as another member did. The watcher hears of it, and what an application did in the directory at
// the last moment goes along.
func (n *node) shift(e replica.Shift) {
	var done farm.Installed
	alive := n.guard(func() { done = n.keeper.Move(context.Background(), e.Move, e.Is, n.cat.Children) })
	if st, err := n.mem.Lstat(e.Move.To); err == nil && st.Ino == e.Is.Stat.Ino {
		n.tookAlong(e.Move)
	}
	if !alive {
		return
	}
	n.f.logf("%s rename %s to %s: %s %v", n.id, e.Move.From, e.Move.To, done.Outcome, done.Err)
	n.later(10*time.Microsecond, time.Millisecond, func() {
		n.step(replica.Shifted{Move: e.Move, Outcome: done.Outcome, Stat: done.Stat, Err: done.Err})
	})
	if done.Outcome == farm.Done {
		n.later(0, 3*time.Millisecond, func() {
			n.step(replica.Dirty{Paths: []farm.Path{e.Move.From, e.Move.To}})
			n.step(replica.Tree{Dir: e.Move.From})
			n.step(replica.Tree{Dir: e.Move.To})
		})
	}
}

// tookAlong says of what applications did in the directory at the last moment that it has another name now.
func (n *node) tookAlong(mv farm.Move) {
	o := n.f.oracle
	acts := slices.Clone(o.since[n.id])
	for to, v := range n.values(mv.To) {
		from := rebase(to, mv.To, mv.From)
		if o.closed[value{from, v}] && !o.closed[value{to, v}] {
			n.f.logf("%s: %s went along to %s", n.id, short(v), to)
			n.wentAlong(map[farm.Path]string{from: v}, mv.From, mv.To)
		}
	}
	for _, was := range acts { // what went away meanwhile was to be renamed, and seen under its old name
		if was.away && was.at.Equal(n.f.now) && was.path.Under(mv.From) {
			o.replaced(n, rebase(was.path, mv.From, mv.To), was.content)
		}
	}
	if w := n.writer; w != nil && w.path.Under(mv.From) && n.inodeAt(rebase(w.path, mv.From, mv.To)) == w.handle.Ino() {
		w.path = rebase(w.path, mv.From, mv.To)
		for _, part := range []string{"", w.part} {
			o.partial[value{w.path, part}] = true
		}
	}
}

// inodeAt is the inode of what is at p; 0: nothing is.
func (n *node) inodeAt(p farm.Path) uint64 {
	st, _ := n.mem.Lstat(p)
	return st.Ino
}

// moveTree renames a directory between two names, makes it if it is missing, or writes in it.
func (n *node) moveTree() {
	names := []farm.Path{farm.MustPath("m"), farm.MustPath("n")}
	for i, from := range names {
		if st, err := n.mem.Lstat(from); err != nil || st.Type != farm.Dir {
			continue
		}
		if n.f.chance(25) {
			n.write(farm.MustPath(from.String() + "/" + pick(n.f.world, []string{"a", "b", "c"})))
		} else {
			n.rename(from, names[1-i])
		}
		return
	}
	n.mkdir(names[0])
	for _, name := range []string{"a", "b", "c"} {
		n.write(farm.MustPath("m/" + name))
	}
}
