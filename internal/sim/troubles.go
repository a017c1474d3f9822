package sim

import (
	"errors"
	"strings"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// trouble is a fault that can happen at any time. A feature that has faults of its own adds a line to troubles, and an
// Option that turns it on.
type trouble struct {
	name   string
	weight int
	on     func(Options) bool
	do     func(f *sim, a, b *node) // a and b are drawn; they may be the same
}

func (t trouble) share() int { return t.weight }

func always(Options) bool { return true }

var troubles = []trouble{
	{"a link breaks", 3, func(o Options) bool { return o.Partitions }, func(f *sim, a, b *node) { f.link(a, b, false) }},
	{"a link comes back", 2, always, func(f *sim, a, b *node) { f.link(a, b, true) }},
	{"a member starts", 3, always, func(f *sim, a, _ *node) {
		if !a.up && !a.absent {
			a.start(!a.unclean)
		}
	}},
	{"kill -9", 1, func(o Options) bool { return o.Crashes }, func(f *sim, a, _ *node) { f.kill(a, false) }},
	{"power cut", 1, func(o Options) bool { return o.PowerCuts }, func(f *sim, a, _ *node) { f.kill(a, true) }},
	{"a member stands still", 1, stalls, func(f *sim, a, _ *node) {
		if until := f.now.Add(f.between(10*time.Millisecond, 3*time.Second)); until.After(a.stalled) {
			a.stalled = until // never earlier: what waits for that stays in order
		}
		f.logf("%s stands still", a.id)
	}},
	{"a link is slow one way", 1, stalls, func(f *sim, a, b *node) {
		if a != b {
			f.wire(a, b).slow = f.between(0, 2*time.Second)
		}
	}},
	{"a link flaps", 1, stalls, func(f *sim, a, b *node) {
		for i := range 6 {
			f.after(time.Duration(i)*f.between(time.Millisecond, 60*time.Millisecond), func() {
				if !f.calm {
					f.link(a, b, i%2 == 1)
				}
			})
		}
	}},
	{"a clock jumps ahead", 1, clocks, func(f *sim, a, _ *node) { a.skew += f.between(0, time.Hour) }},
	// Timers run by the monotonic clock, which times made up here don't have: back it goes only between two lives.
	{"a clock jumps back", 1, clocks, func(f *sim, a, _ *node) {
		f.kill(a, false)
		a.skew -= f.between(0, time.Hour)
	}},
	{"a clock is ten years ahead", 1, clocks, func(f *sim, a, _ *node) {
		if f.chance(20) {
			a.skew = max(a.skew, 10*365*24*time.Hour)
		}
	}},
	{"a watcher is deaf", 1, func(o Options) bool { return o.Deaf }, func(f *sim, a, _ *node) {
		a.deaf = true
		f.after(f.between(10*time.Millisecond, time.Second), a.hear)
	}},
	{"a disk refuses", 1, func(o Options) bool { return o.BadDisks }, func(f *sim, a, _ *node) {
		a.disk = pick(f.world, diskErrors())
		f.logf("%s: the disk says %v", a.id, a.disk)
		f.after(f.between(10*time.Millisecond, 2*time.Second), func() { a.disk = nil })
	}},
	{"a member joins", 1, func(o Options) bool { return o.LateJoin }, func(f *sim, _, _ *node) { f.join() }},
	// Only one member of a run is set back: when two forget at the same time, nobody knows which numbers are taken.
	{"an index is lost", 1, setBacks, func(f *sim, _, _ *node) {
		a := f.nodes[0]
		f.kill(a, false)
		a.loseIndex()
	}},
	{"an index is yesterday's", 1, setBacks, func(f *sim, _, _ *node) {
		a := f.nodes[0]
		then, life := a.cat.copy(), a.restored
		f.unlessCalm(func() {
			if a.restored != life { // of a time that never was: by this index, only the files would be set back
				return
			}
			f.kill(a, false)
			a.cat.restore(then)
			a.seeding = false
			f.oracle.forgets(a)
			f.oracle.indexBack(a)
			f.logf("%s has an old index", a.id)
		})
	}},
	{"a machine is set back", 1, setBacks, func(f *sim, _, _ *node) {
		a := f.nodes[0]
		then, disk := a.cat.copy(), a.mem.Snapshot()
		f.unlessCalm(func() {
			f.kill(a, false)
			a.loseHandles()
			disk()
			a.cat.restore(then)
			a.restored++
			a.seeding = false
			f.oracle.forgets(a)
			f.logf("%s is what it was", a.id)
		})
	}},
}

// unlessCalm does something within a second, or never.
func (f *sim) unlessCalm(do func()) {
	f.after(f.between(10*time.Millisecond, time.Second), func() {
		if !f.calm {
			do()
		}
	})
}

func stalls(o Options) bool   { return o.Stalls }
func clocks(o Options) bool   { return o.Clocks }
func setBacks(o Options) bool { return o.SetBacks }

// diskErrors are what a disk that refuses says: no space left, no quota left, read-only, input/output error.
func diskErrors() []error {
	return []error{
		&farm.Error{Op: "write", Kind: farm.Full, Err: errors.New("no space left on device")},
		&farm.Error{Op: "write", Kind: farm.Full, Err: errors.New("disk quota exceeded")},
		&farm.Error{Op: "write", Kind: farm.Denied, Err: errors.New("read-only file system")},
		&farm.Error{Op: "write", Kind: farm.Corrupt, Err: errors.New("input/output error")},
	}
}

// changes tells whether a call changes the disk.
func changes(call string) bool {
	switch call {
	case "temp", "temp.write", "temp.link", "temp.setattr", "temp.copyfrom", "exchange", "rename", "mkdir", "symlink", "remove", "rmdir",
		"setattr", "log.write", "log.reset", "openlog", "sync":
		return true
	}
	return strings.HasPrefix(call, "temp.")
}

// trouble makes at most one fault happen.
func (f *sim) trouble() {
	a, b := pick(f.world, f.nodes), pick(f.world, f.nodes)
	if f.opt.Wide {
		t := drawn(f.world, f.troubles())
		if t.on(f.opt) && !(a.absent || b.absent) || t.name == "a member joins" {
			t.do(f, a, b)
		}
		return
	}
	switch what := f.rng.IntN(10); {
	case what < 3 && f.opt.Partitions && a != b:
		f.link(a, b, false)
	case what < 5 && a != b && f.near(a, b):
		f.link(a, b, true)
	case what == 5 && f.opt.Crashes && a.up:
		f.kill(a, false)
	case what == 6 && f.opt.PowerCuts && a.up:
		f.kill(a, true)
	case what >= 7 && !a.up:
		a.start(!a.unclean)
	}
}

// hear ends a deafness. What the watcher has lost it says.
func (n *node) hear() {
	if n.deaf = false; n.missed {
		n.later(0, 10*time.Millisecond, func() {
			n.missed = false
			n.step(replica.Rescan{})
		})
	}
}

// join starts the member that came late.
func (f *sim) join() {
	n := f.nodes[len(f.nodes)-1]
	if !n.absent {
		return
	}
	f.logf("%s joins", n.id)
	n.absent, n.seeding = false, true
	n.start(false)
	for _, o := range f.nodes {
		if o != n {
			o.step(f.holders())
			f.link(o, n, true)
		}
	}
}

// loseIndex has the member begin anew, as one that joins.
func (n *node) loseIndex() {
	n.f.logf("%s: the index is lost", n.id)
	n.cat.restore(newCatalogue())
	n.seeding = true
	n.f.oracle.forgets(n)
}

// evictAfter is for how long a member may be away where members are evicted.
const evictAfter = 30 * time.Minute

// longAway cuts a member off until deletions would be forgotten, or until it is evicted, and lets applications work meanwhile.
func (f *sim) longAway() {
	a, away := pick(f.world, f.nodes), 21*time.Minute
	if f.opt.Evict {
		away = 75 * time.Minute
	}
	for _, o := range f.nodes {
		f.link(a, o, false)
	}
	f.calm = false
	for range 20 {
		f.after(f.between(0, 5*time.Second), func() { f.application(pick(f.world, f.nodes)) })
	}
	f.run(f.now.Add(6 * time.Second))
	f.closeHandles()
	f.calm = true
	f.run(f.now.Add(away))
	f.linkAll()
	for _, n := range f.nodes {
		if !n.up {
			n.start(!n.unclean)
		}
	}
	f.linkAll()
}

// rejoin has the member begin anew, because it has lapsed. What only it has is quarantined: pushed, it would be what
// somebody deleted.
func (n *node) rejoin() {
	n.f.logf("%s lapsed", n.id)
	n.f.rejoins++
	n.f.kill(n, false)
	n.cat.restore(newCatalogue())
	n.seeding, n.extra = true, farm.ExtraQuarantine
	n.f.oracle.lapsed(n)
	n.f.after(time.Second, func() {
		if !n.up {
			n.start(true)
			for _, o := range n.f.nodes {
				if n.f.near(n, o) {
					n.f.link(n, o, true)
				}
			}
		}
	})
}
