package sim

import (
	"slices"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/scan"
)

// Steered derives options from a seed: Wide, and what people decide about folders while they are at work; hard links; and
// power cuts that leave half of what was not synced.
func Steered(seed uint64) Options {
	opt := Wide(seed ^ 0x57ee7)
	opt.Seed, opt.SetBacks, opt.LongAway = seed, false, false
	r := newWorld(seed ^ 0x0dd).rng
	half := func() bool { return r.IntN(2) == 0 }
	opt.Pauses, opt.ReadOnly, opt.Filters, opt.HardLinks = half(), half(), half(), half()
	return opt
}

// steering are troubles that people make; operations of hard links come along with them.
var steering = []trouble{
	{"a folder is paused", 2, func(o Options) bool { return o.Pauses }, func(f *sim, a, _ *node) {
		a.pause(true)
		f.after(f.between(10*time.Millisecond, 2*time.Second), func() { a.pause(false) })
	}},
	{"a folder is only read, or no more", 1, func(o Options) bool { return o.ReadOnly }, func(f *sim, a, _ *node) {
		a.readOnly = !a.readOnly
		f.logf("%s: read only: %v", a.id, a.readOnly)
		a.rule(false)
	}},
	{"something is excluded", 2, func(o Options) bool { return o.Filters }, func(f *sim, a, _ *node) {
		a.exclude(pick(f.world, []string{"/d/e", "/h", "g", "/d/**", "*.tmp"}))
		f.after(f.between(10*time.Millisecond, time.Second), func() { a.exclude("") })
	}},
}

func (n *node) pause(on bool) {
	if n.absent || n.paused == on {
		return
	}
	n.paused = on
	n.f.logf("%s: paused: %v", n.id, on)
	n.step(replica.Pause{On: on})
}

// exclude has a node leave alone what the pattern matches; empty: nothing.
func (n *node) exclude(pattern string) {
	if n.absent || n.excluded == pattern {
		return
	}
	n.excluded, n.filter = pattern, nil
	if pattern != "" {
		n.filter = scan.NewFilter([]scan.Rule{{Pattern: pattern}}, 0)
	}
	n.f.logf("%s: excludes %q", n.id, pattern)
	n.rule(true)
}

// rule tells the running parts of a node what its rules are now. What was done shortly before is judged by either.
func (n *node) rule(refiltered bool) {
	n.f.oracle.doubts(n)
	if !n.up {
		return
	}
	n.scanner.SetFilter(n.filter)
	n.ruled = n.filter
	n.step(replica.Ruled{Rules: n.rules(), Refiltered: refiltered})
}

func (n *node) rules() replica.Rules {
	return replica.Rules{Excluded: n.filter.Excluded, LeftOut: n.filter.LeavesOut, ReadOnly: n.readOnly}
}

// before is what was excluded when the node ran the last time; nil: the same as now.
func (n *node) before() func(farm.Path) bool {
	was := n.ruled
	n.ruled = n.filter
	if was == n.filter {
		return nil
	}
	return was.Excluded
}

// letGo ends what people have decided for a while. What is only read stays so.
func (f *sim) letGo() {
	for _, n := range f.nodes {
		n.pause(false)
		n.exclude("")
	}
}

// choose says what becomes of extra files. What a node had half undone when it came to write again is extra.
func (f *sim) choose() {
	for _, n := range f.nodes {
		if f.opt.ReadOnly && n.up {
			n.step(replica.Choose{Extra: n.extra})
		}
	}
}

// hidden tells whether what happens at p on n is nobody else's business now.
func (n *node) hidden(p farm.Path) bool { return n.readOnly || n.filter.Excluded(p) }

// doubts says that n's rules change: whether what it did a moment ago counts, depends on when that is seen.
func (o *oracle) doubts(n *node) {
	if w := n.writer; w != nil {
		o.returns[value{w.path, w.before}] = true
	}
	for _, a := range o.since[n.id] {
		o.returns[a.value] = true
		if a.away {
			o.over[a.value] = true
		}
	}
}

// links are operations with hard links.
var links = []operation{
	{"make a hard link", 6, func(n *node, p farm.Path) { n.hardLink(p, pick(n.f.world, places)) }},
}

func (n *node) hardLink(from, to farm.Path) {
	v := n.seen(from)
	if st, err := n.mem.Lstat(from); err != nil || st.Type != farm.File || n.writer != nil || n.mem.App().Link(from, to) != nil {
		return
	}
	n.f.logf("%s: link %s %s", n.id, from, to)
	n.f.oracle.wrote(n, to, v)
	n.notice(to)
}

// namesOf are the names in the tree of an inode.
func (n *node) namesOf(ino uint64) (names []farm.Path) {
	for _, q := range n.below(farm.Path{}) {
		if st, err := n.mem.Lstat(q); err == nil && st.Ino == ino {
			names = append(names, q)
		}
	}
	return names
}

// sameFile tells whether both are names of one file: then a rename does nothing.
func (n *node) sameFile(p, q farm.Path) bool {
	a, err := n.mem.Lstat(p)
	b, err2 := n.mem.Lstat(q)
	return err == nil && err2 == nil && a.Ino == b.Ino
}

// busy tells whether an application has the file at p open, under whatever name.
func (n *node) busy(p farm.Path) bool {
	if n.writer == nil || n.writer.path == p {
		return n.writer != nil
	}
	st, err := n.mem.Lstat(p)
	return err == nil && st.Ino == n.writer.handle.Ino()
}

// inPlace notes that a file got other content in place: under all its names, and under one that an installation has just
// taken away.
func (n *node) inPlace(p farm.Path, before, content string, closed bool) {
	names := []farm.Path{p}
	if at, err := n.mem.Lstat(p); err == nil && at.Type == farm.File && at.Links > 1 {
		if names = n.namesOf(at.Ino); int(at.Links) > len(names) {
			n.f.oracle.replacedEverywhere(before)
		}
	}
	for _, q := range names {
		if before != "" {
			n.f.oracle.replaced(n, q, before)
		}
		if closed {
			n.f.oracle.wrote(n, q, content)
		} else {
			n.f.oracle.partial[value{q, content}] = true
		}
	}
}

// replacedEverywhere says that a content was replaced under whatever name it had.
func (o *oracle) replacedEverywhere(content string) {
	for v := range o.closed {
		if v.content == content {
			o.over[v], o.returns[v] = true, true
		}
	}
}

// operations are those of the applications in this run.
func (f *sim) operations() []operation {
	if !f.opt.HardLinks {
		return operations
	}
	return slices.Concat(operations, links)
}

func (f *sim) troubles() []trouble {
	if !f.opt.steered() {
		return troubles
	}
	return slices.Concat(troubles, steering)
}

func (o Options) steered() bool { return o.Pauses || o.ReadOnly || o.Filters }
