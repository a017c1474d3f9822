package sim

import (
	"fmt"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/vfs"
)

// What must hold at every moment, and is looked at on the way.

// quiet is how long nothing must have happened on a node for it to have seen all that did: a lost notification is made up
// for within 300 ms.
const quiet = 500 * time.Millisecond

// sabotages break a node on purpose, so that tests can show that the oracle notices; nil leaves it as it is.
type sabotages struct {
	effect func(replica.Effect) replica.Effect
	input  func(replica.Input) replica.Input // nil input: it never came
	record func(farm.Record) farm.Record
	state  func(farm.FolderState) farm.FolderState
	fs     func(vfs.FS) vfs.FS
}

// pinned checks that the path which an installation is about to give other content opens, and opens whole (I3).
func (n *node) pinned() {
	if n.pin.IsRoot() {
		return
	}
	st, err := n.mem.Lstat(n.pin)
	if err != nil {
		n.f.failf("I3: %s at %s is gone for a moment", n.pin, n.id)
		return
	}
	if v := (value{n.pin, n.seen(n.pin)}); st.Type != farm.Dir && !n.f.oracle.closed[v] && !n.f.oracle.partial[v] {
		n.f.failf("I3: %s at %s is %q for a moment", n.pin, n.id, v.content)
	}
}

// pinFor says what an installation must not let go of: a file or symlink that another takes the place of.
func (n *node) pinFor(plan farm.Plan) {
	n.pin = farm.Path{}
	leaf := func(t farm.Type) bool { return t == farm.File || t == farm.Symlink }
	if leaf(plan.Expect.Type) && leaf(plan.Want.Type) && n.seen(plan.Path) != "" && !n.folds { // there another name's content may show
		n.pin = plan.Path
	}
}

// putting checks a record that the machine writes down, and remembers the versions that it makes.
func (n *node) putting(was, r farm.Record) {
	o, old, now := n.f.oracle, was.Disk, r.Disk
	for _, e := range r.Known {
		if dot := e.Version.Dot; dot.Actor.Member == n.id {
			o.made[dot] = r.Path
		}
	}
	if n.f.opt.SetBacks || now.Content.Dot.IsZero() {
		return
	}
	// Who has forgotten a deletion writes versions that have not seen what went before it; others may not have forgotten yet.
	if !old.Content.Dot.IsZero() && !now.Context.Join(o.forgot[r.Path]).CoversAll(old.Context) {
		n.f.failf("I8: %s at %s goes back from %v to %v", r.Path, n.id, old.Context, now.Context)
	}
}

// forgets notes a deletion that the node forgets.
func (n *node) forgets(r farm.Record) {
	n.f.oracle.forgot[r.Path] = n.f.oracle.forgot[r.Path].Join(r.Context())
}

// parentFirst checks that what is about to be installed has its directory (I17).
func (n *node) parentFirst(plan farm.Plan) {
	parent := plan.Path.Parent()
	if r, _ := n.cat.Get(parent); plan.Want.Type != farm.Absent && !parent.IsRoot() && r.Disk.Type != farm.Dir {
		n.f.failf("I17: %s is to be installed at %s, and its directory is not there", plan.Path, n.id)
	}
}

// honours checks that what the node says is visible is on its disk, as its index has it (I9): whatever messages were lost.
// What was excluded when it came does not count, and is still to be installed when it is excluded no more.
func (n *node) honours() {
	if n.f.opt.Filters || n.f.opt.SetBacks || n.folds { // what a member that folds names can't keep counts as visible there
		return
	}
	says := n.state().Applied
	for dot, p := range n.f.oracle.made {
		if !says.Covers(dot) || n.f.oracle.forgot[p].Covers(dot) {
			continue
		}
		r, ok := n.cat.Get(p)
		undone := r.Disk.Content.Dot.IsZero() && (r.Disk.Type != farm.Absent || n.f.opt.ReadOnly || n.f.opt.PowerCuts)
		if ok && !undone && !r.Disk.Context.Covers(dot) {
			n.f.failf("I9: %s says that %v is visible, and has %v at %s", n.id, dot, r.Disk.Context, p)
		}
	}
}

// honest checks that a node which says that it is in sync, and on which nothing has happened for a while, is as its index
// says (I15, I16).
func (n *node) honest() {
	since := max(n.acted.UnixNano(), n.stalled.UnixNano(), n.started.UnixNano())
	if !n.machine.Trusted() || n.machine.Waiting() > 0 || n.deaf || n.missed || n.writer != nil || n.f.now.UnixNano()-since < int64(quiet) {
		return
	}
	there := map[farm.Path]bool{}
	for _, p := range n.below(farm.Path{}) {
		there[p] = true
		st, err := n.mem.Lstat(p)
		r, _ := n.cat.Get(p)
		if n.filter.Excluded(p) || err != nil {
			continue
		}
		if st.Type != r.Disk.Type || st.Type == farm.File && (st.Size != r.Disk.Size || st.MTime != r.Disk.MTime) {
			n.f.failf("I15, I16: %s says it is in sync, and %s is %v, not %v", n.id, p, st.Attr(), r.Disk.Attr)
		}
	}
	for r := range n.cat.Under(farm.Path{}) {
		if r.Disk.Type != farm.Absent && !there[r.Path] && !n.filter.Excluded(r.Path) {
			n.f.failf("I15, I16: %s says it is in sync, and %s is gone", n.id, r.Path)
		}
	}
}

// tidy checks that nothing is left in staging when all is at rest (I13): what is displaced is thrown away or preserved.
func (f *sim) tidy() error {
	for _, n := range f.nodes {
		list, err := n.mem.ReadDir(farm.MustPath(vfs.StagingDir))
		if err != nil {
			return err
		}
		if len(list) > 0 && !f.opt.Large { // what is left of an interrupted transfer stays for a while
			return fmt.Errorf("I13: left in staging of %s: %v", n.id, list)
		}
	}
	return nil
}
