package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
)

// value is a content at a path. Contents are unique, so a value is one act of one application.
type value struct {
	path    farm.Path
	content string
}

// act is what an application did to a value, and when.
type act struct {
	value
	at   time.Time
	away bool // it went away
}

// unseen is how long the machine may take to put an application's act into the index. An act that a sync caught on disk
// but not in the index comes back as an edit made while the node was down, or is told to be torn.
const unseen = 30 * time.Millisecond

// unseenFor is unseen of a machine that may stand still, or hear of nothing, for a while.
func (o *oracle) unseenFor() time.Duration {
	switch opt := o.f.opt; {
	case opt.Stalls || opt.Deaf:
		return 5 * time.Second
	case opt.LostPercent > 0:
		return 500 * time.Millisecond
	}
	return unseen
}

// oracle knows what applications did and saw.
type oracle struct {
	f       *sim
	closed  map[value]bool // written, closed and never replaced unseen
	over    map[value]bool // replaced, renamed or deleted by an application that had it before its eyes
	touched map[value]bool // had its mode changed: it may beat a concurrent deletion
	partial map[value]bool // was on disk while its writer had not closed it
	excused map[value]bool // its writer's power was cut before it was durable, or it came back by rename
	since   map[farm.MemberID][]act
	dirs    map[farm.Path]bool          // where applications made a directory
	along   map[value]bool              // came there with a directory that was renamed while the node was down
	latest  map[farm.Path][]act         // see latest.go
	author  map[value]*node             // who wrote it first
	by      map[value]map[*node]bool    // whose applications wrote or replaced it
	made    map[farm.Position]farm.Path // where each version was made
	forgot  map[farm.Path]farm.Vector   // what deletions that a node has forgotten had seen
	returns map[value]bool              // written before a member was set back
	setBack map[value]bool              // the author has begun a later life: the others can't tell what it had preserved by then
}

func newOracle(f *sim) *oracle {
	return &oracle{f: f, closed: map[value]bool{}, over: map[value]bool{}, touched: map[value]bool{},
		partial: map[value]bool{}, excused: map[value]bool{}, since: map[farm.MemberID][]act{},
		dirs: map[farm.Path]bool{}, along: map[value]bool{}, latest: map[farm.Path][]act{}, author: map[value]*node{}, by: map[value]map[*node]bool{}, setBack: map[value]bool{}, returns: map[value]bool{}, made: map[farm.Position]farm.Path{}, forgot: map[farm.Path]farm.Vector{}}
}

// wrote says that an application on n closed a content.
func (o *oracle) wrote(n *node, p farm.Path, content string) {
	v := value{p, content}
	o.latest[p] = append(o.latest[p], act{v, o.f.now, false})
	if o.closed[v] || o.over[v] { // it may have been there half-written only
		o.excused[v] = true // moved there and back: whether anybody saw it leave depends on the moment
	}
	if o.closed[v] = true; o.author[v] == nil {
		o.author[v] = n
	}
	o.acts(n, v, false)
}

// replaced says that an application on n made a content that it saw go away.
func (o *oracle) replaced(n *node, p farm.Path, content string) {
	v := value{p, content}
	if n.hidden(p) {
		o.returns[v] = true // to the farm it has not gone
	}
	if !n.readOnly || o.author[v] == n {
		o.over[v] = true
	}
	if n.unclean { // also while it recovers
		o.returns[v] = true // a name that is gone after a power cut: it may have been lost by that
	}
	o.acts(n, v, true)
}

func (o *oracle) acts(n *node, v value, away bool) {
	if o.by[v] == nil {
		o.by[v] = map[*node]bool{}
	}
	o.by[v][n] = true
	o.since[n.id] = append(o.since[n.id], act{v, o.f.now, away})
}

// synced says that all that n has done so far survives a power cut.
func (o *oracle) synced(n *node) {
	o.since[n.id] = slices.DeleteFunc(o.since[n.id], func(a act) bool { return o.f.now.Sub(a.at) > o.unseenFor() })
}

// cut says that what n did since its last sync may be undone.
func (o *oracle) cut(n *node) {
	for _, a := range o.since[n.id] {
		o.excused[a.value] = true
	}
	delete(o.since, n.id)
	o.outlived(n)
}

// outlived says that n goes on as another actor.
func (o *oracle) outlived(n *node) {
	for v, author := range o.author {
		if author == n {
			o.setBack[v] = true
		}
	}
}

// forgets says that n does not know any more what it had seen applications do: whether a value that comes back was deleted,
// or replaced knowingly, nobody can tell.
func (o *oracle) forgets(n *node) {
	for v, who := range o.by {
		if who[n] {
			o.excused[v] = true
		}
	}
	o.cut(n)
	// A deletion that n had acknowledged may be forgotten by all, and n has the file again; and it preserves again what it
	// does not know it has preserved.
	for _, values := range []map[value]bool{o.closed, o.partial} {
		for v := range values {
			o.returns[v], o.setBack[v] = true, true
		}
	}
}

// indexBack says that n has an old index and the disk that it had: what lies there now seems to have been put by
// applications in the place of what the index says, which they had before their eyes.
func (o *oracle) indexBack(n *node) {
	for _, values := range []map[value]bool{o.closed, o.partial} {
		for v := range values {
			d := n.cat.records[v.path].Disk
			is := d.Type == farm.File && d.Digest == blake3.Sum256([]byte(v.content)) || d.Type == farm.Symlink && "->"+d.Target == v.content
			o.excused[v] = o.excused[v] || is && n.seen(v.path) != v.content
		}
	}
}

// givenUp says that nobody has the last content of a path any more: one that it replaced comes back.
func (o *oracle) givenUp(p string) {
	for v := range o.over {
		if v.path.String() == p {
			o.returns[v] = true
		}
	}
}

// lapsed says that n begins anew and is not believed: what applications deleted or replaced there may be back, and what it
// has preserved already it may preserve again. What it has that others deleted does not come back.
func (o *oracle) lapsed(n *node) {
	for v, who := range o.by {
		if who[n] {
			o.returns[v] = true
		}
	}
	for v := range o.closed {
		o.setBack[v] = true
	}
}

// check compares what is there with what must be there, when all is at rest.
func (o *oracle) check() error {
	first := o.f.nodes[0]
	want := first.tree()
	for _, n := range o.f.nodes[1:] {
		want, got := want, n.tree()
		if n.folds {
			want = folded(want, got)
		}
		if !maps.Equal(want, got) {
			return fmt.Errorf("I1: %s and %s differ:\n%s", first.id, n.id, diff(want, got))
		}
	}
	current := first.contents()
	kept, err := o.preserved()
	if err != nil {
		return err
	}
	for v := range o.closed {
		if o.over[v] || o.excused[v] || current[v.path] == v.content || kept[v] > 0 {
			continue
		}
		return fmt.Errorf("I2, I6: %q at %s is gone: not current (%q), overwritten by nobody who saw it, not preserved",
			v.content, v.path, current[v.path])
	}
	for p, content := range current {
		v := value{p, content}
		switch {
		case !o.closed[v] && !o.partial[v]:
			return fmt.Errorf("I4: %q at %s was never written there", content, p)
		case o.over[v] && !o.excused[v] && !o.returns[v]:
			return fmt.Errorf("I5: %q at %s was overwritten or deleted and is back", content, p)
		}
	}
	return o.inOrder(current)
}

// preserved counts preserved copies of each value over all nodes. More than one of a value is a violation.
func (o *oracle) preserved() (map[value]int, error) {
	kept := map[value]int{}
	for _, n := range o.f.nodes {
		list, err := n.keeper.List()
		if err != nil {
			return nil, err
		}
		for _, k := range list {
			if k.Reason == farm.ReasonDeleted {
				continue // the deletion was somebody's will; every other node keeps what it took away
			}
			v := value{k.Path, n.preservedContent(k)}
			if kept[v]++; kept[v] > 1 && !o.touched[v] && !o.excused[v] && !o.setBack[v] {
				return nil, fmt.Errorf("I10: %q at %s is preserved %d times", v.content, v.path, kept[v])
			}
		}
	}
	return kept, nil
}

func diff(a, b map[string]string) string {
	var s strings.Builder
	for _, p := range slices.Sorted(maps.Keys(a)) {
		if b[p] != a[p] {
			fmt.Fprintf(&s, "  %s: %s | %s\n", p, a[p], b[p])
		}
	}
	for _, p := range slices.Sorted(maps.Keys(b)) {
		if _, ok := a[p]; !ok {
			fmt.Fprintf(&s, "  %s: nothing | %s\n", p, b[p])
		}
	}
	return s.String()
}
