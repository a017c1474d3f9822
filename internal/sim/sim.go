package sim

import (
	"fmt"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/vfs"
)

// Options of one run. The zero value of a percentage turns that fault off.
type Options struct {
	Seed        uint64
	Nodes       int
	Operations  int           // of applications, over all nodes
	Pace        time.Duration // between two of them, on the average
	RacePercent float64       // an application writes between two system calls of ours
	DropPercent float64       // a live push is dropped, as by a full queue
	LostPercent float64       // a notification is lost; a rescan follows
	Partitions  bool
	Crashes     bool // kill -9
	PowerCuts   bool
	Skew        bool // clocks are up to an hour apart
	Topology    Topology
	Large       bool // contents are large and alike: they are put together from chunks, and members die in the middle

	Moves bool // applications also rename a directory to and fro that nobody else has much to do with

	Wide     bool // applications do all that operations.go lists
	Stalls   bool // members stand still for seconds (SIGSTOP, a slow disk), links hold messages back, links flap
	Clocks   bool // clocks jump by an hour, one goes ten years ahead
	Deaf     bool // the watcher loses all for a while, and says so afterwards
	BadDisks bool // a member's disk refuses what changes it, for a while: full, quota, read-only, input/output error
	SetBacks bool // the index is lost or an older one, or the whole machine is an older one
	LateJoin bool // the last member comes when the others have been at work
	LongAway bool // a member is away so long that deletions would be forgotten
	Evict    bool // ... and is not waited for
	Fold     bool // the second member's file system takes names that differ in case alone for one
	Versions bool // the trace tells of each version that is made

	Pauses    bool // folders are paused for a while
	ReadOnly  bool // members come to only read the folder, and to write to it again
	Filters   bool // members exclude something for a while
	HardLinks bool // applications make hard links

	sabotage sabotages
}

// Mix derives varied options from a seed.
func Mix(seed uint64) Options {
	return Options{
		Seed: seed, Nodes: 2 + int(seed%3), Operations: 120, Pace: time.Duration(1+seed%40) * time.Millisecond,
		RacePercent: []float64{0, 2, 10}[seed/3%3], DropPercent: []float64{0, 5}[seed/2%2], LostPercent: []float64{0, 3}[seed/5%2],
		Partitions: seed%4 != 0, Crashes: seed%3 == 1, PowerCuts: seed%7 == 3, Skew: seed%5 == 2,
	}
}

// Wide derives options from a seed that have everything in them.
func Wide(seed uint64) Options {
	r := newWorld(seed ^ 0x5ca1ab1e).rng
	half := func() bool { return r.IntN(2) == 0 }
	third := func() bool { return r.IntN(3) == 0 }
	opt := Options{
		Seed: seed, Nodes: 2 + r.IntN(4), Operations: 40 + r.IntN(120), Pace: time.Duration(1+r.IntN(40)) * time.Millisecond,
		RacePercent: []float64{0, 1, 5}[r.IntN(3)], DropPercent: []float64{0, 5}[r.IntN(2)], LostPercent: []float64{0, 3}[r.IntN(2)],
		Partitions: half(), Crashes: third(), PowerCuts: third(), Skew: third(),
		Wide: true, Stalls: third(), Clocks: third(), Deaf: third(), BadDisks: third(), SetBacks: r.IntN(5) == 0, LateJoin: third(),
	}
	opt.LongAway = third()
	opt.Evict = opt.LongAway && half()
	return opt
}

// Back derives options from a seed that have everything in them, and a member that is set back.
func Back(seed uint64) Options {
	opt := Wide(seed)
	opt.SetBacks = true
	return opt
}

type sim struct {
	*world
	opt      Options
	nodes    []*node
	wires    map[[2]farm.MemberID]*wire
	oracle   *oracle
	values   int
	messages int // besides heartbeats
	races    int // writes between two system calls of ours
	relays   int // of them, changes that were passed on
	rejoins  int // members that lapsed
	rejoin   func(*node)
	states   uint64
	filling  string // of large values
	calm     bool
	err      error
}

// Run plays a seed to its end and returns its trace. The error names the invariant that does not hold.
func Run(opt Options) (trace string, err error) {
	return newSim(opt).all()
}

func newSim(opt Options) *sim {
	f := &sim{world: newWorld(opt.Seed), opt: opt, wires: map[[2]farm.MemberID]*wire{}, rejoin: (*node).rejoin}
	f.oracle = newOracle(f)
	return f
}

// all plays from the first start to the last check.
func (f *sim) all() (trace string, err error) {
	f.build()
	f.play()
	if f.err == nil {
		f.err = f.settle()
	}
	if f.err == nil {
		f.err = f.oracle.check()
	}
	if f.err == nil {
		f.err = f.echo()
	}
	if f.err == nil {
		f.err = f.tidy()
	}
	return f.trace.String(), f.err
}

func (f *sim) failf(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

func (f *sim) build() {
	for i := range f.opt.Nodes {
		n := &node{f: f, id: farm.MemberID(rune('a' + i)), cat: newCatalogue()}
		if f.opt.Skew {
			n.skew = f.between(-time.Hour, time.Hour)
		}
		n.folds = f.opt.Fold && i == 1
		n.mem = vfs.NewMem(vfs.MemConfig{Now: n.now, Fold: n.folds})
		n.extra = []farm.ExtraFiles{farm.ExtraPush, farm.ExtraQuarantine}[f.opt.Seed%2]
		n.cat.putting, n.cat.dropped, n.cat.spoil = n.putting, n.forgets, f.opt.sabotage.record
		f.nodes = append(f.nodes, n)
	}
	for _, a := range f.nodes {
		for _, b := range f.nodes {
			if a != b {
				f.wires[[2]farm.MemberID{a.id, b.id}] = &wire{from: a, to: b}
			}
		}
	}
	for i, n := range f.nodes {
		if f.opt.LateJoin && i == len(f.nodes)-1 && i > 0 {
			n.absent = true
			continue
		}
		n.start(true)
	}
	f.linkAll()
}

func (f *sim) linkAll() {
	for i, a := range f.nodes {
		for _, b := range f.nodes[i+1:] {
			if f.near(a, b) {
				f.link(a, b, true)
			}
		}
	}
}

// holders says who holds the folder.
func (f *sim) holders() replica.Holders {
	in := replica.Holders{Members: f.ids()}
	if f.opt.Evict {
		in.EvictAfter = evictAfter
	}
	return in
}

func (f *sim) ids() []farm.MemberID {
	var ids []farm.MemberID
	for _, n := range f.nodes {
		if !n.absent {
			ids = append(ids, n.id)
		}
	}
	return ids
}

func (f *sim) node(id farm.MemberID) *node { return f.nodes[id[0]-'a'] }

// play lets applications work and faults happen.
func (f *sim) play() {
	at := time.Duration(0)
	for range f.opt.Operations {
		at += f.between(0, 2*f.opt.Pace)
		f.after(at, func() {
			if n := pick(f.world, f.nodes); !n.absent {
				f.application(n)
			}
		})
	}
	end := f.now.Add(at + 100*time.Millisecond)
	for f.now.Before(end) && f.err == nil {
		f.run(f.now.Add(f.between(0, 20*f.opt.Pace)))
		f.trouble()
	}
}

// kill stops a node at once: kill -9, or a power cut that also undoes what was not synced.
func (f *sim) kill(n *node, power bool) {
	if !n.up {
		return
	}
	f.logf("%s is killed, power cut: %v", n.id, power)
	n.up = false
	n.life++
	for _, o := range f.nodes {
		if o != n {
			f.link(n, o, false)
		}
	}
	n.mem.Crash()
	n.unclean = n.unclean || power
	if power {
		f.oracle.cut(n)
		n.cutAt = n.now().UnixNano()
		n.loseHandles()
		n.mem.PowerCut()
		n.cat.powerCut()
	}
}

// settle ends all faults and waits until nothing is under way. What does not come to rest is an error.
func (f *sim) settle() error {
	f.calm = true
	for _, w := range f.wires {
		w.slow = 0
	}
	f.join()
	f.closeHandles()
	f.letGo()
	for _, n := range f.nodes {
		n.deaf, n.disk = false, nil
		if !n.up {
			n.start(!n.unclean)
		}
		n.hear()
	}
	f.linkAll()
	f.choose()
	if f.opt.LongAway {
		f.longAway()
	}
	patience := 5 * time.Minute
	if f.opt.Evict && f.opt.Clocks {
		patience = 6 * time.Hour // how soon one begins anew again is counted by the clock, which may have been set back
	}
	for limit := f.now.Add(patience); f.now.Before(limit) && f.err == nil; {
		f.run(f.now.Add(500 * time.Millisecond))
		if f.atRest() {
			return nil
		}
	}
	if f.err != nil {
		return f.err
	}
	var s string
	for _, n := range f.nodes {
		st := n.state()
		s += fmt.Sprintf("\n  %s: waiting %d, trusted %v, known %v, applied %v, durable %v, disk says %v, clock off by %v, forgot %v, seed %+v", n.id, n.machine.Waiting(), n.machine.Trusted(), st.Known, st.Applied, st.Durable, n.disk, n.skew, st.Forgot, n.cat.meta.Seed)
	}
	return fmt.Errorf("I1: not at rest after %v:%s", patience, s)
}

func (f *sim) atRest() bool {
	known := f.nodes[0].state().Known
	for _, n := range f.nodes {
		s := n.state()
		if f.now.Sub(n.stalled) < time.Second || n.machine.Waiting() > 0 || !n.machine.Trusted() || !s.Known.Equal(known) || !s.Applied.Equal(known) || !s.Durable.Equal(known) {
			return false
		}
	}
	return true
}

// echo checks that silence follows: no messages, no versions (I7).
func (f *sim) echo() error {
	f.run(f.now.Add(2 * time.Second))
	before, known := f.messages, f.nodes[0].state().Known
	f.run(f.now.Add(20 * time.Second))
	if f.messages != before || !f.nodes[0].state().Known.Equal(known) {
		return fmt.Errorf("I7: %d messages after all was at rest", f.messages-before)
	}
	return nil
}
