package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"tandem/internal/farm"
	"tandem/internal/install"
	"tandem/internal/replica"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

// crash is what the fault hook panics with to stop a node between two system calls.
var errCrash = errors.New("crash")

// node is one member: the real machine, keeper and scanner on a disk in memory.
type node struct {
	f       *sim
	id      farm.MemberID
	skew    time.Duration
	mem     *vfs.Mem
	fs      vfs.FS // mem with faults
	cat     *catalogue
	keeper  *install.Keeper
	scanner *scan.Scanner
	machine *replica.Machine

	up       bool
	cutAt    int64         // when it ended, by its clock
	unclean  bool          // the last stop was a power cut
	pace     time.Duration // until the next tick, when it was set
	ticks    int
	life     int       // counts starts: answers for an earlier life are lost
	inCall   bool      // a system call of ours is under way: applications may come between
	pin      farm.Path // what an installation under way must not let go of
	acted    time.Time // when an application did something the last time
	started  time.Time
	together bool      // ... in the way of small files
	placing  farm.Path // where an installation under way puts something that was not there
	writer   *writer   // the application that has a file open
	told     farm.FolderState
	toldAt   time.Time
	telling  bool
	links    []farm.MemberID // as told
	heard    map[farm.MemberID]said
	passed   map[[2]farm.MemberID]uint64

	folds    bool            // see Options.Fold
	absent   bool            // has not joined yet
	seeding  bool            // starts with an index that is new while others hold the folder
	extra    farm.ExtraFiles // what becomes of files that the farm does not know when it is seeded
	stalled  time.Time       // until then it does nothing
	deaf     bool            // no notifications come
	restored int             // counts how often the whole machine was set back
	missed   bool            // ... and some would have
	paused   bool
	readOnly bool
	excluded string       // pattern of what it leaves alone; empty: nothing
	filter   *scan.Filter // of that
	ruled    *scan.Filter // under which it runs, or ran the last time

	disk error // what its disk answers to what would change it; nil: all is well
}

func (n *node) now() time.Time { return n.f.now.Add(n.skew) }

// start is a boot: recover the disk, resume the index, scan.
func (n *node) start(clean bool) {
	n.up = true
	n.started = n.f.now
	n.life++
	n.heard, n.passed = map[farm.MemberID]said{}, map[[2]farm.MemberID]uint64{}
	meta, cut := n.cat.meta, int64(0)
	anew := meta.Actor.Epoch == 0 || !clean
	if anew {
		meta.Actor = farm.Actor{Member: n.id, Epoch: meta.Actor.Epoch.Next(n.now(), n.f.draw())}
		meta.Seq = 0
		if n.unclean {
			cut = n.cutAt
		}
	}
	n.fs = vfs.Fault(n.mem, n.fault)
	if alter := n.f.opt.sabotage.fs; alter != nil {
		n.fs = alter(n.fs)
	}
	if err := n.fs.Prepare("sim"); err != nil {
		n.f.failf("%s: prepare: %v", n.id, err)
		return
	}
	exact, err := vfs.Exact(n.fs)
	if err != nil {
		n.f.failf("%s: %v", n.id, err)
		return
	}
	n.fs = exact
	n.keeper = install.New(n.fs, install.Config{Folder: "sim", Now: n.now, KeepDeleted: true, Recipes: n.cat, PartialBytes: simPartialBytes, Serial: true})
	n.scanner = scan.New(n.fs, scan.Config{Now: n.now, Recipes: n.cat, Filter: n.filter})
	if !n.guard(func() { err = n.keeper.Recover() }) {
		return
	}
	if err != nil {
		if n.disk == nil {
			n.must(err)
		}
		n.f.logf("%s can't start: %v", n.id, err)
		n.f.kill(n, false)
		return
	}
	if n.seeding {
		meta.Seed = n.newSeed()
	}
	n.machine = replica.New(replica.Config{Folder: "sim", Meta: meta, Anew: anew, Draw: n.f.draw(), Cut: cut, Finished: n.keeper.Finished(),
		FinishedMoves: n.keeper.FinishedMoves(), MinMoved: 2, Joined: n.seeding,
		Rules: n.rules(), Before: n.before(), Paused: n.paused}, n.cat)
	n.seeding = false
	n.cat.meta, n.unclean = meta, false
	n.f.logf("%s starts, epoch %d", n.id, meta.Actor.Epoch)
	n.missed = false // the scan that follows sees it
	n.step(replica.Start{})
	n.step(n.f.holders())
	n.tick(tickEvery)
}

func (n *node) must(err error) {
	if err != nil {
		n.f.failf("%s: %v", n.id, err)
	}
}

// Times between two ticks; the long one when all faults have ended and nothing waits for its time. (The runner's are shorter: here
// an hour must pass quickly.)
const (
	tickEvery = 100 * time.Millisecond
	idleTick  = 10 * time.Second
)

// tick lets the machine hear of the time, now and again in a while.
func (n *node) tick(in time.Duration) {
	life := n.life
	n.pace, n.ticks = in, n.ticks+1
	nr := n.ticks
	n.f.after(in, func() {
		n.unlessStalled(func() {
			if n.up && n.life == life && n.ticks == nr {
				if n.f.now.Sub(n.toldAt) >= idleTick {
					n.told = farm.FolderState{} // heartbeats go on when nothing changes
				}
				n.step(replica.Tick{})
				n.honest()
				n.honours()
				n.gossip()
				n.guard(func() { n.keeper.Sweep(context.Background()) })
				if n.up && n.life == life {
					n.tick(n.due())
				}
			}
		})
	})
}

// due is when the next tick is.
func (n *node) due() time.Duration {
	if n.f.calm && n.machine.Idle() {
		return idleTick
	}
	return tickEvery
}

// guard runs system calls of ours; false: the node died in one of them.
func (n *node) guard(f func()) (alive bool) {
	life := n.life
	defer func() {
		n.inCall = false
		if p := recover(); p != nil {
			if p != any(errCrash) {
				panic(p)
			}
			n.f.kill(n, false)
			alive = false
		}
	}()
	n.inCall = true
	f()
	return n.up && n.life == life
}

// maxRaces bounds the writes between our system calls: each makes work, and with it more system calls to come between.
const maxRaces = 400

// fault comes between two system calls of ours.
func (n *node) fault(op vfs.Op) error {
	if n.inCall {
		n.pinned()
	}
	if !n.inCall || n.f.calm {
		return nil
	}
	if n.f.races < maxRaces && n.f.chance(n.f.opt.RacePercent) {
		n.f.races++
		n.inCall, n.pin = false, farm.Path{} // what an application does meanwhile is its own
		n.f.application(n)
		n.inCall = true
	}
	if n.f.opt.Crashes && n.f.chance(0.05) {
		n.f.logf("%s dies in %s %s", n.id, op.Name, op.Path)
		if v := n.seen(n.placing); v != "" && (op.Name == "log.write" || op.Name == "temp.stat" && n.together) {
			n.f.oracle.returns[value{n.placing, v}] = true // has got its name and is about to be noted: this one instant is lost
		}
		panic(errCrash)
	}
	if n.disk != nil && changes(op.Name) {
		return n.disk
	}
	return nil
}

// later does something as this life of the node, after a while.
func (n *node) later(lo, hi time.Duration, do func()) {
	life := n.life
	n.f.after(n.f.between(lo, hi), func() {
		n.unlessStalled(func() {
			if n.up && n.life == life {
				do()
			}
		})
	})
}

// unlessStalled does something now, or when the node goes on.
func (n *node) unlessStalled(do func()) {
	if wait := n.stalled.Sub(n.f.now); wait > 0 {
		n.f.after(wait, func() { n.unlessStalled(do) })
		return
	}
	do()
}

func (n *node) step(in replica.Input) {
	if alter := n.f.opt.sabotage.input; alter != nil {
		in = alter(in)
	}
	if !n.up || in == nil {
		return
	}
	was := n.machine.Actor()
	effects := n.machine.Step(n.now(), in)
	if n.machine.Actor() != was {
		n.f.oracle.outlived(n)
	}
	for _, e := range effects {
		if n.f.opt.Wide && n.f.opt.Crashes && !n.f.calm && n.f.chance(0.05) {
			n.f.logf("%s dies ahead of %T", n.id, e)
			n.f.kill(n, false)
		}
		if !n.up {
			return
		}
		n.execute(e)
	}
	n.tell()
	if n.pace > n.due() {
		n.tick(n.due())
	}
}

func (n *node) state() farm.FolderState {
	if alter := n.f.opt.sabotage.state; alter != nil {
		return alter(n.machine.State())
	}
	return n.machine.State()
}

// tell sends heartbeats, soon after a change.
func (n *node) tell() {
	if n.telling || !n.up {
		return
	}
	s := n.state()
	if s.Known.Equal(n.told.Known) && s.Applied.Equal(n.told.Applied) && s.Durable.Equal(n.told.Durable) && s.Actor == n.told.Actor && s.Forgot.Equal(n.told.Forgot) &&
		slices.Equal(n.links, n.linkedIDs()) {
		return
	}
	n.telling = true
	life := n.life
	n.f.after(n.f.between(0, 5*time.Millisecond), func() {
		n.telling = false
		if !n.up || n.life != life {
			return
		}
		n.told, n.toldAt = n.state(), n.f.now
		says := n.says()
		for _, o := range n.f.linked(n) {
			n.f.messages--
			n.f.wire(n, o).send(n.f, says)
		}
	})
}
