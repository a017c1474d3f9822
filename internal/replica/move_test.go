package replica_test

import (
	"slices"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// move executes the effects about renamed directories.
func (n *node) move(e replica.Effect) {
	switch e := e.(type) {
	case replica.Compare:
		n.jobs = append(n.jobs, func() {
			in := replica.Compared{From: e.From, To: e.To, Stat: n.look(e.To).Stat}
			in.New, in.Same = n.compare(e.From, e.To)
			n.step(in)
		})
	case replica.Shift:
		n.shift = &e
		n.jobs = append(n.jobs, func() {
			n.shift = nil
			outcome := n.renameDir(e.Move)
			n.logf("rename %s to %s: %s", e.Move.From, e.Move.To, outcome)
			n.step(replica.Shifted{Move: e.Move, Outcome: outcome, Stat: n.look(e.Move.To).Stat})
		})
	case replica.PushMove:
		n.logf("push %s renamed to %s, %d entries as %d to %d", e.Move.From, e.Move.To, e.Move.Count, e.Move.First.Seq, e.Move.Last().Seq)
		for _, o := range n.rig.linked(n) {
			if w := [2]farm.MemberID{n.id, o.id}; n.rig.drop[w] > 0 {
				n.rig.drop[w]--
				continue
			}
			if !o.old {
				n.rig.send(n.id, o.id, replica.ArrivedMove{From: n.id, Move: e.Move})
				continue
			}
			for _, k := range e.Changes {
				n.rig.send(n.id, o.id, replica.Arrived{From: n.id, Change: farm.Change{Entry: k, Sent: e.Move.Sent}})
			}
		}
	case replica.RelayMove:
		for _, to := range e.To {
			n.logf("relay %s renamed to %s to %s", e.Move.From, e.Move.To, to)
			n.rig.send(n.id, to, replica.ArrivedMove{From: n.id, Move: e.Move})
		}
	}
}

// compare does what scan.Moved promises.
func (n *node) compare(from, to farm.Path) (besides []farm.Path, same bool) {
	known := map[farm.Path]bool{}
	for p, r := range n.cat.records {
		if p != from && !p.Under(from) || r.Disk.Type == farm.Absent {
			continue
		}
		q := farm.MustPath(to.String() + p.String()[len(from.String()):])
		if known[q] = true; p == from && n.ino[p] == r.Disk.Stat.Ino || !n.disk[q].Same(r.Disk.Attr) || n.ino[q] != r.Disk.Stat.Ino {
			return nil, false
		}
	}
	for p := range n.disk {
		if p.Under(to) && !known[p] && !n.excluded(p) {
			besides = append(besides, p)
		}
	}
	slices.SortFunc(besides, farm.Path.Compare)
	return besides, true
}

// renameDir does what install.Keeper.Move promises.
func (n *node) renameDir(mv farm.Move) farm.Outcome {
	if n.fails[mv.To] > 0 {
		n.fails[mv.To]--
		return farm.Failed
	}
	tree := append(n.below(mv.From), mv.From)
	if _, taken := n.disk[mv.To]; taken {
		return farm.Changed
	}
	for _, p := range tree {
		if d := n.cat.records[p].Disk; !n.disk[p].Same(d.Attr) || n.ino[p] != d.Stat.Ino {
			return farm.Changed
		}
	}
	n.takeTo(mv.From, mv.To)
	return farm.Done
}

// takeTo renames what is at from, with all below it.
func (n *node) takeTo(from, to farm.Path) {
	for _, p := range append(n.below(from), from) {
		q := farm.MustPath(to.String() + strings.TrimPrefix(p.String(), from.String()))
		n.disk[q], n.ino[q], n.ctime[q] = n.disk[p], n.ino[p], n.ctime[p]
		delete(n.disk, p)
		delete(n.ino, p)
	}
}
