package sim

import (
	"context"
	"io"
	"time"

	"tandem/internal/farm"
	"tandem/internal/install"
	"tandem/internal/replica"
)

const us, ms = time.Microsecond, time.Millisecond

func (n *node) execute(e replica.Effect) {
	if alter := n.f.opt.sabotage.effect; alter != nil {
		e = alter(e)
	}
	switch e := e.(type) {
	case replica.Examine:
		n.look(e)
	case replica.Install:
		n.put(e.Plan)
	case replica.Compare, replica.Shift, replica.PushMove, replica.RelayMove:
		n.moveDir(e)
	case replica.Twins:
		n.otherNames(e)
	case replica.Walk:
		n.later(ms, 20*ms, func() { n.walk(e) })
	case replica.FindExtras:
		n.later(ms, 10*ms, func() { n.findExtras() })
	case replica.Sync:
		n.sync(e)
	case replica.Sweep:
		n.later(ms, 10*ms, func() { n.propose() })
	case replica.Rejoin:
		n.f.rejoin(n)
	case replica.Raise:
		n.f.logf("%s event %s %s", n.id, e.Event.ID, e.Event.Subject)
		if e.Event.Fields["lost"] != "" && e.Event.ID == farm.EventFileBlocked {
			n.f.oracle.givenUp(e.Event.Subject)
		}
	default:
		n.send(e)
	}
}

// send executes what is for other members.
func (n *node) send(e replica.Effect) {
	switch e := e.(type) {
	case replica.Push:
		if n.f.opt.Versions {
			v := e.Change.Entry.Version
			n.f.logf("%s push %s %s %q: content %v, mode %v, sees %v, lost %v", n.id, e.Change.Entry.Type, e.Change.Entry.Path, e.Change.Content,
				v.Content.Dot, v.Meta.Dot, v.Vector, v.Lost)
		}
		for _, o := range n.f.linked(n) {
			if n.f.calm || !n.f.chance(n.f.opt.DropPercent) {
				n.f.wire(n, o).send(n.f, replica.Arrived{From: n.id, Change: e.Change})
			}
		}
	case replica.Relay:
		for _, to := range e.To {
			n.f.relays++
			n.f.wire(n, n.f.node(to)).send(n.f, replica.Arrived{From: n.id, Change: e.Change})
		}
	case replica.Want:
		n.f.wire(n, n.f.node(e.To)).send(n.f, replica.Wanted{From: n.id, Known: e.Known, Bare: e.Bare})
	case replica.Stream:
		n.later(100*us, 10*ms, func() { n.stream(e) })
	}
}

func (n *node) look(e replica.Examine) {
	n.later(20*us, 3*ms, func() {
		var seen farm.Observation
		var err error
		if n.guard(func() { seen, err = n.scanner.Examine(context.Background(), e.Path, e.Prior) }) {
			n.later(10*us, ms, func() { n.step(replica.Observed{Path: e.Path, Seen: seen, Err: err}) })
		}
	})
}

func (n *node) put(plan farm.Plan) {
	n.parentFirst(plan)
	n.later(20*us, 5*ms, func() {
		var done farm.Installed
		if n.placing = (farm.Path{}); plan.Expect.Type == farm.Absent {
			n.placing, n.together = plan.Path, install.Together(plan)
		}
		n.pinFor(plan)
		alive := n.guard(func() { done = n.place(plan) })
		if n.placing, n.pin = (farm.Path{}), (farm.Path{}); alive {
			n.f.logf("%s install %s %s: %s", n.id, plan.Want.Type, plan.Path, done.Outcome)
			if done.Err != nil {
				n.f.logf("%s   %s: %v", n.id, plan.Want.Digest.Short(), done.Err)
			}
			n.later(10*us, ms, func() { n.step(replica.Installed{Installed: done}) })
		}
	})
}

// place has a plan carried out as the runner does, but that no other plan comes with it.
func (n *node) place(plan farm.Plan) farm.Installed {
	if !install.Together(plan) {
		return n.keeper.Install(context.Background(), plan, source{n, plan.Path})
	}
	return n.keeper.InstallAll(context.Background(), []farm.Plan{plan}, func(p farm.Path) install.Source { return source{n, p} })[0]
}

func (n *node) otherNames(e replica.Twins) {
	n.later(10*us, ms, func() {
		var names []farm.Path
		for r := range n.cat.Under(farm.Path{}) {
			if r.Path != e.Path && r.Disk.Digest == e.Was.Digest && r.Disk.Stat.Ino == e.Was.Stat.Ino {
				names = append(names, r.Path)
			}
		}
		n.step(replica.Dirty{Paths: names})
	})
}

func (n *node) sync(e replica.Sync) {
	n.later(ms, 30*ms, func() {
		var err error
		if !n.guard(func() { err = n.fs.Sync() }) {
			return
		}
		if err == nil {
			n.cat.sync()
			n.keeper.Synced()
			n.f.oracle.synced(n)
		}
		n.step(replica.Synced{Upto: e.Upto, Err: err})
	})
}

func (n *node) walk(e replica.Walk) {
	var found []farm.Path
	var err error
	if !n.guard(func() {
		walk := n.scanner.Walk
		if !e.Deep {
			walk = n.scanner.List
		}
		err = walk(context.Background(), e.Dir, n.cat, func(p farm.Path) error {
			found = append(found, p)
			return nil
		})
	}) {
		return
	}
	n.step(e.Dirty(found))
	n.step(replica.Walked{ID: e.ID, Dir: e.Dir, Err: err})
}

// stream answers a Want, as the runner does.
func (n *node) stream(e replica.Stream) {
	w := n.f.wire(n, n.f.node(e.To))
	for r := range n.cat.Under(farm.Path{}) {
		for _, k := range r.Known {
			if !e.Known.Covers(k.Version.Dot) {
				w.send(n.f, replica.Arrived{From: n.id, Change: farm.Change{Entry: k}})
			}
		}
	}
	w.send(n.f, replica.Had{From: n.id, Upto: e.Upto})
}

func (n *node) propose() {
	var ps []farm.Path
	for r := range n.cat.Under(farm.Path{}) {
		if r.Disk.Type == farm.Absent {
			ps = append(ps, r.Path)
		}
	}
	n.step(replica.Expire{Paths: ps})
}

// source finds content on the own disk and on those of linked nodes.
type source struct {
	n    *node
	path farm.Path
}

func (s source) Local(d farm.Digest) []farm.Path { return s.n.cat.byDigest(d) }

func (s source) Fetch(ctx context.Context, d farm.Digest, _ int64) (io.ReadCloser, error) {
	for _, o := range s.n.f.linked(s.n) {
		for _, p := range append(o.cat.byDigest(d), farm.Path{}) { // the root is no file: then only preserved ones count
			if rc, _, err := o.keeper.Open(ctx, p, d); err == nil {
				return rc, nil
			}
		}
	}
	return nil, farm.Errorf("fetch", s.path.String(), farm.Unavailable, "nobody has it")
}
