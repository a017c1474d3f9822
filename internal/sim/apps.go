package sim

import (
	"fmt"
	"slices"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/vfs"
)

// places are the few paths that applications fight over.
var places = func() []farm.Path {
	var ps []farm.Path
	for _, s := range []string{"f", "g", "d", "d/f", "d/g", "d/e", "d/e/f", "d/e/g", "h", "h/f"} {
		ps = append(ps, farm.MustPath(s))
	}
	return ps
}()

// writer is an application that has a file open for writing.
type writer struct {
	n       *node
	path    farm.Path
	handle  *vfs.Handle
	part    string // what it has written so far
	content string // what it will have written when it closes
	before  string // what was there when it opened
	doomed  bool   // another application took the name away: what is written goes nowhere, knowingly
}

// application does one thing on a node, as an application would: atomically in the eyes of the disk, noticed a little
// later.
func (f *sim) application(n *node) {
	p := pick(f.world, places)
	if w := n.writer; w != nil && f.chance(30) {
		n.finish(w)
		return
	}
	if f.opt.Fold {
		n.twins(p)
		return
	}
	if f.opt.Moves && f.chance(30) {
		n.moveTree()
		return
	}
	if f.opt.Wide {
		drawn(f.world, f.operations()).do(n, p)
		return
	}
	switch f.rng.IntN(14) {
	case 0, 1, 2, 3, 4:
		n.write(p)
	case 5:
		n.replace(p)
	case 6:
		n.appendTo(p)
	case 7:
		n.chmod(p)
	case 8:
		n.remove(p)
	case 9:
		n.removeAll(p)
	case 10:
		n.rename(p, pick(f.world, places))
	case 11:
		n.mkdir(p)
	case 12:
		n.symlink(p)
	case 13:
		n.startWriting(p)
	}
}

func (f *sim) fresh(n *node) string {
	f.values++
	return f.enlarge(fmt.Sprintf("%s%d", n.id, f.values))
}

// notice tells the machine what the watcher would, or loses it, in which case a rescan follows.
func (n *node) notice(ps ...farm.Path) {
	n.acted = n.f.now
	if !n.up {
		return
	}
	if n.deaf {
		n.missed = true
		return
	}
	if n.f.chance(n.f.opt.LostPercent) {
		n.later(10*time.Millisecond, 300*time.Millisecond, func() { n.step(replica.Rescan{}) })
		return
	}
	n.later(0, 3*time.Millisecond, func() { n.step(replica.Dirty{Paths: ps}) })
}

// noticeMove tells of a directory that was renamed, as a watcher that knows both names does, or one that does not.
func (n *node) noticeMove(from, to farm.Path) {
	n.acted = n.f.now
	if !n.up || n.deaf || n.f.chance(30) {
		n.notice(from, to)
		if n.up && !n.deaf { // if it is, a rescan follows
			n.later(0, 3*time.Millisecond, func() { n.step(replica.Tree{Dir: to}) })
		}
		return
	}
	n.later(0, 3*time.Millisecond, func() { n.step(replica.Moved{From: from, To: to}) })
}

// seen is the value at p that an application sees: a file's content or a symlink's text; "" if it is neither.
func (n *node) seen(p farm.Path) string {
	if b, err := n.mem.App().ReadFile(p); err == nil {
		return string(b)
	}
	if t, err := n.mem.Readlink(p); err == nil {
		return "->" + t
	}
	return ""
}

// goes notes that the value at p goes away by the hand of an application that could see it.
func (n *node) goes(p farm.Path) {
	if v := n.seen(p); v != "" {
		n.f.oracle.replaced(n, p, v)
	}
	if n.writer != nil && n.writer.path == p {
		n.writer.doomed = true
	}
}

func (n *node) write(p farm.Path) {
	if n.busy(p) {
		return
	}
	before := n.seen(p)
	content := n.f.fresh(n)
	if n.mem.App().WriteFile(p, []byte(content)) != nil {
		return
	}
	n.f.logf("%s: write %s %s", n.id, p, short(content))
	n.inPlace(p, before, content, true)
	n.notice(p)
}

// replace writes a temporary file and renames it over p, as editors do.
func (n *node) replace(p farm.Path) {
	content := n.f.fresh(n)
	temp := farm.MustPath(short(content) + ".tmp")
	app := n.mem.App()
	if st, err := n.mem.Lstat(p); err == nil && st.Type == farm.Dir {
		return
	}
	if app.WriteFile(temp, []byte(content)) != nil {
		return
	}
	before := n.seen(p)
	if err := app.Rename(temp, p); err != nil {
		n.must(app.Remove(temp))
		n.notice(temp)
		return
	}
	if before != "" {
		n.f.oracle.replaced(n, p, before)
	}
	if n.writer != nil && n.writer.path == p {
		n.writer.doomed = true
	}
	n.f.logf("%s: replace %s %s", n.id, p, short(content))
	n.f.oracle.wrote(n, p, content)
	n.notice(temp, p)
}

func (n *node) appendTo(p farm.Path) {
	before := n.seen(p)
	h, err := n.mem.App().OpenWrite(p)
	if err != nil || n.busy(p) {
		if h != nil {
			n.must(h.Close())
		}
		return
	}
	more := "+" + n.f.fresh(n)
	n.must(h.Append([]byte(more)))
	n.must(h.Close())
	n.f.logf("%s: append %s %s", n.id, p, short(more))
	n.inPlace(p, before, before+more, true)
	n.notice(p)
}

// startWriting truncates a file and writes its first part; finish writes the rest and closes.
func (n *node) startWriting(p farm.Path) {
	if n.writer != nil {
		return
	}
	before := n.seen(p)
	h, err := n.mem.App().Create(p)
	if err != nil {
		return
	}
	part := n.f.fresh(n)
	n.must(h.Append([]byte(part)))
	n.inPlace(p, before, "", false)
	n.inPlace(p, "", part, false)
	n.writer = &writer{n: n, path: p, handle: h, part: part, content: part + "!", before: before}
	n.f.logf("%s: open %s %s", n.id, p, short(part))
	n.notice(p)
}

func (n *node) finish(w *writer) {
	n.writer = nil
	n.must(w.handle.Append([]byte("!")))
	n.must(w.handle.Close())
	n.f.logf("%s: close %s %s (doomed %v)", n.id, w.path, short(w.content), w.doomed)
	names := n.namesOf(w.handle.Ino())
	if v := (value{w.path, w.part}); n.f.oracle.closed[v] && slices.Contains(names, w.path) {
		n.f.oracle.replaced(n, w.path, w.part) // came here by a rename elsewhere, to which it was no part of anything
	}
	if !w.doomed && !slices.Contains(names, w.path) {
		names = append(names, w.path) // what has taken its place has not seen it
	}
	for _, p := range names {
		n.f.oracle.wrote(n, p, w.content)
	}
	n.notice(w.path)
}

func (n *node) chmod(p farm.Path) {
	mode := uint32(0o600 + n.f.rng.IntN(8)*8)
	if st, err := n.mem.Lstat(p); err != nil || st.Type == farm.Symlink {
		return
	} else if st.Type == farm.Dir {
		mode += 0o100
	}
	set := vfs.SetAttr{Mode: &mode}
	if n.f.chance(40) {
		x := someXAttrs(n.f.rng.IntN(4))
		set = vfs.SetAttr{XAttrs: &x}
	}
	if n.mem.App().SetAttr(p, set) != nil {
		return
	}
	if v := n.seen(p); v != "" {
		n.f.oracle.touched[value{p, v}] = true
	}
	n.f.logf("%s: chmod %s %v", n.id, p, set)
	n.notice(p)
}

// someXAttrs are none, an attribute, an access list, or both.
func someXAttrs(i int) farm.XAttrs {
	list := []farm.XAttr{{Name: "user.note", Value: "kept"}, {Name: farm.XAttrACL, Value: "g=4,u:1000:alice=6"}}
	x, err := farm.MakeXAttrs(list[i&1 : 1+i>>1])
	if err != nil {
		panic(err)
	}
	return x
}

func (n *node) remove(p farm.Path) {
	before := n.seen(p)
	if n.mem.App().Remove(p) != nil {
		return
	}
	n.f.logf("%s: remove %s", n.id, p)
	if before != "" {
		n.f.oracle.replaced(n, p, before)
	}
	if n.writer != nil && n.writer.path == p {
		n.writer.doomed = true
	}
	n.notice(p)
}

// below yields the paths of the tree at p that exist, children first.
func (n *node) below(p farm.Path) []farm.Path {
	var ps []farm.Path
	list, err := n.mem.ReadDir(p)
	if err == nil {
		for _, e := range list {
			if q, err := p.Join(e.Name); err == nil {
				ps = append(ps, n.below(q)...)
			}
		}
	}
	if _, err := n.mem.Lstat(p); err == nil && !p.IsRoot() {
		ps = append(ps, p)
	}
	return ps
}

func (n *node) removeAll(p farm.Path) {
	ps := n.below(p)
	for _, q := range ps {
		n.goes(q)
		n.must(n.mem.App().Remove(q))
	}
	if len(ps) > 0 {
		n.f.logf("%s: rm -r %s", n.id, p)
		n.notice(ps...)
	}
}

// rename moves a file or a whole tree. Of that the watcher tells its two names, and that anything may have happened below.
func (n *node) rename(from, to farm.Path) {
	if from == to || to.Under(from) || n.writer != nil || n.sameFile(from, to) {
		return
	}
	st, err := n.mem.Lstat(from)
	moved := n.values(from)
	before := n.seen(to)
	if n.mem.App().Rename(from, to) != nil {
		return
	}
	n.f.logf("%s: rename %s %s", n.id, from, to)
	if before != "" {
		n.f.oracle.replaced(n, to, before)
	}
	n.wentAlong(moved, from, to)
	if err == nil && st.Type == farm.Dir {
		n.f.oracle.dirs[to] = true
		n.noticeMove(from, to)
		return
	}
	n.notice(from, to)
}

// values are those that an application sees at p and below.
func (n *node) values(p farm.Path) map[farm.Path]string {
	all := map[farm.Path]string{}
	for _, q := range n.below(p) {
		if v := n.seen(q); v != "" {
			all[q] = v
		}
	}
	return all
}

// wentAlong says that values have other names now.
func (n *node) wentAlong(moved map[farm.Path]string, from, to farm.Path) {
	for q, v := range moved {
		n.f.oracle.replaced(n, q, v)
		n.f.oracle.wrote(n, rebase(q, from, to), v)
		n.f.oracle.along[value{rebase(q, from, to), v}] = !n.up
	}
}

func rebase(q, from, to farm.Path) farm.Path {
	return farm.MustPath(to.String() + q.String()[len(from.String()):])
}

func (n *node) mkdir(p farm.Path) {
	if n.mem.App().Mkdir(p, 0o755) == nil {
		n.f.logf("%s: mkdir %s", n.id, p)
		n.f.oracle.dirs[p] = true
		n.notice(p)
	}
}

func (n *node) symlink(p farm.Path) {
	target := short(n.f.fresh(n))
	if n.mem.App().Symlink(target, p) == nil {
		n.f.logf("%s: symlink %s %s", n.id, p, target)
		n.f.oracle.wrote(n, p, "->"+target)
		n.notice(p)
	}
}

// closeHandles lets every open writer finish.
func (f *sim) closeHandles() {
	for _, n := range f.nodes {
		if n.writer != nil {
			n.finish(n.writer)
		}
	}
}

// loseHandles is what a power cut does to open files. What had been written by then may be found on disk: nobody can tell
// it from an edit. Or it is told to be torn, however long ago it was begun: then what was there before comes back.
func (n *node) loseHandles() {
	if w := n.writer; w != nil {
		n.f.oracle.excused[value{w.path, w.part}] = true
		n.f.oracle.returns[value{w.path, w.before}] = true
		n.writer = nil
	}
}
