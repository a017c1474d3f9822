package replica_test

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// rig is a farm in memory: real machines on the simplest disks and wires that do. Nothing happens by itself: a script
// says what applications do, when messages arrive and when time passes.
type rig struct {
	now   time.Time
	nodes []*node
	cut   map[[2]farm.MemberID]bool
	wires map[[2]farm.MemberID][]replica.Input
	drop  map[[2]farm.MemberID]int // pushes that will be lost
	said  uint64                   // counts states
	quiet bool                     // only what people ask for is shown
	out   strings.Builder

	evictAfter time.Duration

	together bool // members that are being seeded have not joined: the folder is new in the farm
}

// node is one member. Its disk holds attributes alone: a content's digest is the content.
type node struct {
	rig       *rig
	id        farm.MemberID
	machine   *replica.Machine
	skew      time.Duration // of its clock
	disk      map[farm.Path]farm.Attr
	ino       map[farm.Path]uint64
	ctime     map[farm.Path]int64
	lastIno   uint64
	cat       catalogue
	saved     *catalogue
	savedDisk *disk
	kept      []farm.Entry
	jobs      []func()
	held      bool        // answers of workers wait
	out       []farm.Plan // installations that have no answer yet
	shift     *replica.Shift
	ended     []farm.Plan // those that a crash came after
	moved     []farm.Move // ...
	fails     map[farm.Path]int
	torn      map[farm.Path]farm.Attr // what a power cut left; nil: there was none
	full      bool                    // its disk
	folds     bool                    // its disk takes names that differ in case alone for one
	badSync   bool
	old       bool // it does not understand moves
	rules     rules
	was       func(farm.Path) bool // what was excluded in the life before
	told      farm.FolderState
	gossip
}

// disk is what a member's disk held at some time.
type disk struct {
	attrs map[farm.Path]farm.Attr
	ino   map[farm.Path]uint64
	ctime map[farm.Path]int64
	kept  []farm.Entry
}

func clonedDisk(n *node) *disk {
	return &disk{maps.Clone(n.disk), maps.Clone(n.ino), maps.Clone(n.ctime), slices.Clone(n.kept)}
}

// powerCut loses what came after the last save.
func (n *node) powerCut() {
	n.cat = catalogue{maps.Clone(n.saved.records), n.saved.meta}
	n.cat.meta.Actor.Epoch++
	n.cat.meta.Seq = 0
	n.disk, n.ino, n.kept = maps.Clone(n.savedDisk.attrs), maps.Clone(n.savedDisk.ino), slices.Clone(n.savedDisk.kept)
	n.ctime = maps.Clone(n.savedDisk.ctime)
	n.jobs = nil
}

// catalogue is an index in memory.
type catalogue struct {
	records map[farm.Path]farm.Record
	meta    farm.Meta
}

func (c *catalogue) Get(p farm.Path) (farm.Record, bool) { r, ok := c.records[p]; return r, ok }
func (c *catalogue) Put(r farm.Record)                   { c.records[r.Path] = r }
func (c *catalogue) Drop(p farm.Path)                    { delete(c.records, p) }
func (c *catalogue) SetMeta(m farm.Meta)                 { c.meta = m }

func (c *catalogue) Live(dir farm.Path) bool {
	for p, r := range c.records {
		alive := func(e farm.Entry) bool { return e.Type != farm.Absent }
		if p != dir && p.Parent() == dir && (r.Disk.Type != farm.Absent || slices.ContainsFunc(r.Known, alive)) {
			return true
		}
	}
	return false
}

func (c *catalogue) Under(dir farm.Path) iter.Seq[farm.Record] {
	return func(yield func(farm.Record) bool) {
		for _, p := range slices.SortedFunc(maps.Keys(c.records), farm.Path.Compare) {
			if p.Under(dir) && !yield(c.records[p]) {
				return
			}
		}
	}
}

func newRig() *rig {
	return &rig{now: time.UnixMilli(1_000_000), cut: map[[2]farm.MemberID]bool{}, wires: map[[2]farm.MemberID][]replica.Input{},
		drop: map[[2]farm.MemberID]int{}}
}

func (g *rig) add(id farm.MemberID) *node {
	n := &node{rig: g, id: id, disk: map[farm.Path]farm.Attr{}, ino: map[farm.Path]uint64{}, ctime: map[farm.Path]int64{}, fails: map[farm.Path]int{},
		gossip: gossip{heard: map[farm.MemberID]said{}, passed: map[[2]farm.MemberID]uint64{}}}
	n.cat = catalogue{records: map[farm.Path]farm.Record{}, meta: farm.Meta{Actor: farm.Actor{Member: id, Epoch: 1}}}
	g.nodes = append(g.nodes, n)
	return n
}

func (n *node) start(seeding bool) {
	n.jobs, n.out, n.shift = nil, nil, nil
	if seeding {
		n.cat.meta.Seed = farm.Seed{Mode: farm.SeedEmpty, Since: n.rig.now.UnixNano() + 1}
		if len(n.disk) > 0 {
			n.cat.meta.Seed.Mode = farm.SeedFull
		}
	}
	n.machine = replica.New(replica.Config{Folder: "shop", Meta: n.cat.meta, Anew: n.cat.meta.Seq == 0, Cut: n.cutAt(), Joined: seeding && !n.rig.together, Finished: n.ended, FinishedMoves: n.moved, MinMoved: 3,
		Rules: n.ruled(), Before: n.was, Paused: n.rules.paused}, &n.cat)
	n.ended, n.moved, n.was = nil, nil, nil
	n.step(replica.Start{})
	for _, o := range n.rig.nodes {
		n.rig.link(n, o)
	}
}

// rejoin begins anew with an index that is empty.
func (n *node) rejoin() {
	for _, o := range n.rig.linked(n) {
		n.rig.unlink(n, o)
	}
	n.machine = nil
	n.cat = catalogue{records: map[farm.Path]farm.Record{}, meta: farm.Meta{Actor: farm.Actor{Member: n.id, Epoch: n.cat.meta.Actor.Epoch + 1}}}
	n.start(true)
	n.step(replica.Holders{Members: n.rig.members(), EvictAfter: n.rig.evictAfter})
}

// link makes a session, unless one of the two is down or cut off.
func (g *rig) link(a, b *node) {
	if a == b || a.machine == nil || b.machine == nil || g.cut[pair(a, b)] {
		return
	}
	for _, w := range [][2]*node{{a, b}, {b, a}} {
		g.wires[[2]farm.MemberID{w[0].id, w[1].id}] = []replica.Input{w[0].says()}
		w[0].step(replica.PeerUp{Peer: w[1].id})
	}
}

func (g *rig) unlink(a, b *node) {
	delete(g.wires, [2]farm.MemberID{a.id, b.id})
	delete(g.wires, [2]farm.MemberID{b.id, a.id})
	for _, w := range [][2]*node{{a, b}, {b, a}} {
		if w[0].machine != nil {
			w[0].step(replica.PeerDown{Peer: w[1].id})
		}
	}
}

func pair(a, b *node) [2]farm.MemberID { return [2]farm.MemberID{min(a.id, b.id), max(a.id, b.id)} }

func (g *rig) linked(n *node) (others []*node) {
	for _, o := range g.nodes {
		if o != n && o.machine != nil && !g.cut[pair(n, o)] {
			others = append(others, o)
		}
	}
	return others
}

func (g *rig) send(from, to farm.MemberID, in replica.Input) {
	g.wires[[2]farm.MemberID{from, to}] = append(g.wires[[2]farm.MemberID{from, to}], in)
}

func (n *node) logf(format string, args ...any) {
	if n.rig.quiet {
		return
	}
	fmt.Fprintf(&n.rig.out, "%s: "+format+"\n", append([]any{n.id}, args...)...)
}

func (n *node) now() time.Time { return n.rig.now.Add(n.skew) }

func (n *node) step(in replica.Input) {
	effects := n.machine.Step(n.now(), in)
	n.checkReach()
	for _, e := range effects {
		n.execute(e)
	}
}

// checkReach sees that nothing is on disk, or planned to be, that Reach leaves out, and that what is known and not applied
// is said to be on its way.
func (n *node) checkReach() {
	reach := n.machine.Reach()
	for p, r := range n.cat.records {
		shown := []farm.Position{r.Disk.Content.Dot, r.Disk.Meta.Dot}
		if r.Intent != nil {
			shown = append(shown, r.Intent.Content.Dot, r.Intent.Meta.Dot)
		}
		for _, dot := range shown {
			if !reach.Covers(dot) {
				panic(fmt.Sprintf("%s may have %s of %s on disk, which goes beyond %s", n.id, p, dot, reach))
			}
		}
	}
	if s := n.machine.State(); !n.machine.Arrivals().Any() && !s.Applied.Equal(s.Known) {
		panic(fmt.Sprintf("%s knows %s, has applied %s, and nothing is on its way", n.id, s.Known, s.Applied))
	}
}

func (n *node) execute(e replica.Effect) {
	later := func(do func()) { n.jobs = append(n.jobs, do) }
	switch e := e.(type) {
	case replica.Examine:
		seen := n.look(e.Path)
		later(func() { n.step(replica.Observed{Path: e.Path, Seen: seen}) })
	case replica.Walk:
		later(func() {
			n.step(e.Dirty(n.differ(e.Dir)))
			n.step(replica.Walked{ID: e.ID, Dir: e.Dir})
		})
	case replica.Install:
		n.out = append(n.out, e.Plan)
		later(func() {
			n.out = slices.DeleteFunc(n.out, func(p farm.Plan) bool { return p.Path == e.Plan.Path })
			in := n.install(e.Plan)
			n.logf("install %s: %s", describe(e.Plan.Path, e.Plan.Want), in.Outcome)
			n.step(replica.Installed{Installed: in})
		})
	case replica.Push:
		n.logf("push %s as %d", describe(e.Change.Entry.Path, e.Change.Entry.Attr), e.Change.Entry.Version.Dot.Seq)
		for _, o := range n.rig.linked(n) {
			if w := [2]farm.MemberID{n.id, o.id}; n.rig.drop[w] > 0 {
				n.rig.drop[w]--
				continue
			}
			n.rig.send(n.id, o.id, replica.Arrived{From: n.id, Change: e.Change})
		}
	case replica.Relay:
		for _, to := range e.To {
			n.logf("relay %s to %s", describe(e.Change.Entry.Path, e.Change.Entry.Attr), to)
			n.rig.send(n.id, to, replica.Arrived{From: n.id, Change: e.Change})
		}
	case replica.Compare, replica.Shift, replica.PushMove, replica.RelayMove:
		n.move(e)
	case replica.Want:
		bare := ""
		if e.Bare {
			bare = ", without content"
		}
		n.logf("want from %s beyond %s%s", e.To, vector(e.Known), bare)
		n.rig.send(n.id, e.To, replica.Wanted{From: n.id, Known: e.Known, Bare: e.Bare})
	case replica.Stream:
		n.stream(e)
	case replica.Rejoin:
		n.logf("rejoin")
		later(n.rejoin)
	case replica.FindExtras:
		var found []farm.Path
		for r := range n.cat.Under(farm.Path{}) {
			if len(r.Known) == 0 && r.Disk.Type != farm.Absent {
				found = append(found, r.Path)
			}
		}
		later(func() { n.step(replica.Chosen{Paths: found}) })
	case replica.Sync:
		var err error
		if n.badSync {
			err = farm.Errorf("sync", "", farm.Corrupt, "disk error")
		}
		later(func() { n.step(replica.Synced{Upto: e.Upto, Err: err}) })
	case replica.BarrierDone:
		n.logf("barrier %d passed at %d", e.ID, e.Position.Seq)
	case replica.Sweep:
		var old []farm.Path
		for r := range n.cat.Under(farm.Path{}) {
			old = append(old, r.Path)
		}
		later(func() { n.step(replica.Expire{Paths: old}) })
	case replica.Raise:
		if e.Event.ID != farm.EventFileInstalled {
			n.logf("event %s %s %s", e.Event.ID, e.Event.Severity, e.Event.Subject)
		}
	}
}

// crash carries out the installations that are out and dies before it can say so. As install.Keeper does, it will know
// of them.
func (n *node) crash() {
	for _, plan := range n.out {
		if n.install(plan).Outcome == farm.Done {
			n.ended = append(n.ended, plan)
		}
	}
	if n.shift != nil && n.renameDir(n.shift.Move) == farm.Done {
		n.moved = append(n.moved, n.shift.Move)
	}
	n.machine = nil
}

func (n *node) stream(e replica.Stream) {
	for r := range n.cat.Under(farm.Path{}) {
		for _, k := range r.Known {
			if !e.Known.Covers(k.Version.Dot) {
				n.rig.send(n.id, e.To, replica.Arrived{From: n.id, Change: farm.Change{Entry: k}})
			}
		}
	}
	n.rig.send(n.id, e.To, replica.Had{From: n.id, Upto: e.Upto})
}

// changed is when the path was last changed, after the cut of power at time 1 unless that has left it so.
func (n *node) changed(p farm.Path, a farm.Attr) int64 {
	if t, ok := n.torn[p]; ok && t.Same(a) {
		return 0
	}
	if n.torn == nil {
		return n.ctime[p]
	}
	return n.ctime[p] + 2
}

func (n *node) cutAt() int64 {
	if n.torn == nil {
		return 0
	}
	return 1
}

// tear makes a power cut of the present moment leave content at p, or nothing, and the index as it is.
func (n *node) tear(p farm.Path, content []string) {
	a := n.disk[p]
	if len(content) == 0 {
		a = farm.Attr{}
		delete(n.disk, p)
	} else {
		a.Size, a.Digest = int64(len(content[0])), farm.Digest{}
		copy(a.Digest[:], content[0])
		n.disk[p] = a
	}
	if n.torn == nil {
		n.torn = map[farm.Path]farm.Attr{}
		n.cat.meta.Actor.Epoch++
		n.cat.meta.Seq = 0
	}
	n.torn[p] = a
}

func (n *node) look(p farm.Path) farm.Observation {
	a := n.disk[p]
	if a.Type == farm.Absent {
		return farm.Observation{Path: p, Twin: n.twin(p)}
	}
	return farm.Observation{Path: p, Attr: a, Stat: farm.Fingerprint{Ino: n.ino[p], MTime: a.MTime, CTime: n.changed(p, a)}, LeftOut: n.leftOut(p, a)}
}

// differ lists what below dir is not as the index says.
func (n *node) differ(dir farm.Path) []farm.Path {
	found := map[farm.Path]bool{}
	for p, a := range n.disk {
		found[p] = p.Under(dir) && !n.cat.records[p].Disk.Attr.Same(a)
	}
	for p, r := range n.cat.records {
		found[p] = p.Under(dir) && !r.Disk.Attr.Same(n.disk[p])
	}
	maps.DeleteFunc(found, func(p farm.Path, differs bool) bool { return !differs || n.excluded(p) })
	return slices.SortedFunc(maps.Keys(found), farm.Path.Compare)
}

// install does what install.Keeper promises, in one moment.
func (n *node) install(plan farm.Plan) farm.Installed {
	in := farm.Installed{Plan: plan, Attr: plan.Want}
	p, is := plan.Path, n.disk[plan.Path]
	switch {
	case n.fails[p] > 0:
		n.fails[p]--
		in.Outcome, in.Err = farm.Failed, farm.Errorf("install", p.String(), farm.Denied, "told to fail")
	case n.full && plan.Want.Type == farm.File && !plan.Want.SameContent(is):
		in.Outcome, in.Err = farm.Failed, farm.Errorf("install", p.String(), farm.Full, "no space left on device")
	case !is.Same(plan.Expect.Attr):
		in.Outcome = farm.Changed
	case is.Type == farm.Absent && plan.Want.Type != farm.Absent && !n.twin(p).IsRoot():
		in.Outcome, in.Err = farm.NoName, &farm.NameError{Twin: n.twin(p)}
	case is.Type == farm.Dir && plan.Want.Type != farm.Dir && len(n.below(p)) > 0:
		in.Outcome = farm.NotEmpty
	case plan.Want.Type != farm.Absent && !p.Parent().IsRoot() && n.disk[p.Parent()].Type != farm.Dir:
		in.Outcome = farm.NoParent
	case plan.Want.Type == farm.File && !n.source(plan):
		in.Outcome = farm.NoSource
	default:
		if plan.Preserve != nil {
			n.kept = append(n.kept, *plan.Preserve)
			n.logf("preserve %s", describe(p, plan.Preserve.Attr))
		}
		n.put(p, plan.Want)
		in.Stat = n.look(p).Stat
	}
	return in
}

// source tells whether the plan's content is to be had: it came along, or somebody in reach has it.
func (n *node) source(plan farm.Plan) bool {
	if plan.Content != nil {
		return true
	}
	for _, d := range n.rules.before { // a trial keeps what it replaces
		if d.Type == farm.File && d.Digest == plan.Want.Digest {
			return true
		}
	}
	for _, o := range append(n.rig.linked(n), n) {
		for _, a := range o.disk {
			if a.Type == farm.File && a.Digest == plan.Want.Digest {
				return true
			}
		}
		if slices.ContainsFunc(o.kept, func(e farm.Entry) bool { return e.Digest == plan.Want.Digest }) {
			return true
		}
	}
	return false
}

// twin is what a disk that folds has in the place of p; the root: nothing.
func (n *node) twin(p farm.Path) farm.Path {
	for q := range n.disk {
		if n.folds && q != p && strings.EqualFold(q.String(), p.String()) {
			return q
		}
	}
	return farm.Path{}
}

// put changes the disk.
func (n *node) put(p farm.Path, a farm.Attr) {
	if a.Type == farm.Absent {
		delete(n.disk, p)
		delete(n.ino, p)
		return
	}
	n.lastIno++
	n.disk[p], n.ino[p], n.ctime[p] = a, n.lastIno, n.now().UnixNano()
}

// below lists what is on disk below p, children first.
func (n *node) below(p farm.Path) (ps []farm.Path) {
	for q := range n.disk {
		if q.Under(p) {
			ps = append(ps, q)
		}
	}
	slices.SortFunc(ps, func(a, b farm.Path) int { return b.Compare(a) })
	return ps
}

func content(d farm.Digest) string { return strings.TrimRight(string(d[:]), "\x00") }

func describe(p farm.Path, a farm.Attr) string {
	switch a.Type {
	case farm.Absent:
		return "nothing " + p.String()
	case farm.File:
		return fmt.Sprintf("file %s %q %o", p, content(a.Digest), a.Mode)
	}
	if a.Type == farm.Symlink {
		return fmt.Sprintf("symlink %s to %s", p, a.Target)
	}
	return fmt.Sprintf("%s %s %o", a.Type, p, a.Mode)
}

// vector shows v without the epoch that every member begins with.
func vector(v farm.Vector) string {
	var parts []string
	for p := range v.All() {
		s := fmt.Sprintf("%s%d", p.Actor.Member, p.Seq)
		if p.Actor.Epoch != 1 {
			s = fmt.Sprintf("%s'%d", p.Actor.Member, p.Seq)
		}
		parts = append(parts, s)
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, " ")
}
