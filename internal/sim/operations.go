package sim

import (
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// operation is something that an application does on a node, at a path that is drawn. A feature adds a line here; what it
// writes, replaces or removes it tells the oracle, and the paths the watcher, as write and remove in apps.go do.
type operation struct {
	name   string
	weight int
	do     func(n *node, p farm.Path)
}

func (o operation) share() int { return o.weight }

var operations = []operation{
	{"write", 8, (*node).write},
	{"replace by rename", 3, (*node).replace},
	{"append", 3, (*node).appendTo},
	{"write in place, slowly", 2, (*node).writeInPlace},
	{"truncate and write, slowly", 3, (*node).startWriting},
	{"chmod", 3, (*node).chmod},
	{"chown", 2, (*node).chown},
	{"set the time back", 1, (*node).touch},
	{"remove", 3, (*node).remove},
	{"remove a tree", 2, (*node).removeAll},
	{"make a directory", 3, (*node).mkdir},
	{"make directories with files", 2, (*node).mkdirs},
	{"make a symlink", 2, (*node).symlink},
	{"flip a symlink", 1, (*node).flip},
	{"rename", 4, func(n *node, p farm.Path) { n.rename(p, pick(n.f.world, places)) }},
	{"swap", 2, (*node).swap},
	{"rename in a chain", 1, func(n *node, p farm.Path) {
		q, r := pick(n.f.world, places), pick(n.f.world, places)
		n.rename(q, r)
		n.rename(p, q)
	}},
	{"edit with a backup", 2, (*node).editWithBackup},
	{"delete and create", 2, func(n *node, p farm.Path) { n.remove(p); n.write(p) }},
	{"create and delete", 1, func(n *node, p farm.Path) { n.write(p); n.remove(p) }},
	{"a file becomes a directory", 1, func(n *node, p farm.Path) { n.removeAll(p); n.mkdirs(p) }},
	{"a directory becomes a file", 1, func(n *node, p farm.Path) { n.removeAll(p); n.write(p) }},
}

// drawn draws one of the list by weight.
func drawn[T interface{ share() int }](w *world, list []T) T {
	total := 0
	for _, x := range list {
		total += x.share()
	}
	at := w.rng.IntN(total)
	for _, x := range list {
		if at -= x.share(); at < 0 {
			return x
		}
	}
	return list[0]
}

func (n *node) chown(p farm.Path) {
	owner := farm.Owner{UID: uint32(n.f.rng.IntN(3)), GID: uint32(n.f.rng.IntN(3))}
	if _, err := n.mem.Lstat(p); err != nil || n.mem.App().SetAttr(p, vfs.SetAttr{Owner: &owner}) != nil {
		return
	}
	if v := n.seen(p); v != "" {
		n.f.oracle.touched[value{p, v}] = true
	}
	n.f.logf("%s: chown %s %d:%d", n.id, p, owner.UID, owner.GID)
	n.notice(p)
}

// touch sets a file's time to a moment long ago.
func (n *node) touch(p farm.Path) {
	if st, err := n.mem.Lstat(p); err != nil || st.Type != farm.File {
		return
	}
	at := int64(n.f.rng.IntN(1000)) - 500
	if n.mem.App().SetAttr(p, vfs.SetAttr{MTime: &at}) != nil {
		return
	}
	if v := n.seen(p); v != "" {
		n.f.oracle.touched[value{p, v}] = true
	}
	n.f.logf("%s: touch %s %d", n.id, p, at)
	n.notice(p)
}

// writeInPlace opens a file without truncating it and writes more to its end, in two steps: the displaced inode of an
// installation may get the second.
func (n *node) writeInPlace(p farm.Path) {
	if n.writer != nil {
		return
	}
	before := n.seen(p)
	h, err := n.mem.App().OpenWrite(p)
	if err != nil {
		return
	}
	part := before + "~" + n.f.fresh(n)
	n.must(h.Append([]byte(part[len(before):])))
	n.inPlace(p, before, part, false)
	n.writer = &writer{n: n, path: p, handle: h, part: part, content: part + "!", before: before}
	n.f.logf("%s: open in place %s %s", n.id, p, part)
	n.notice(p)
}

// mkdirs makes a directory and files in it at once, as mkdir -p and an unpacker do.
func (n *node) mkdirs(p farm.Path) {
	n.mkdir(p)
	for _, q := range places {
		if !q.IsRoot() && q.Parent() == p && n.f.chance(70) {
			n.write(q)
		}
	}
}

// flip has a symlink point elsewhere, by rename.
func (n *node) flip(p farm.Path) {
	target := n.f.fresh(n)
	temp := farm.MustPath(target + ".tmp")
	app := n.mem.App()
	if st, err := n.mem.Lstat(p); err == nil && st.Type == farm.Dir || app.Symlink(target, temp) != nil {
		return
	}
	before := n.seen(p)
	if app.Rename(temp, p) != nil {
		n.must(app.Remove(temp))
		n.notice(temp)
		return
	}
	if before != "" {
		n.goesFrom(p, before)
	}
	n.f.logf("%s: flip %s %s", n.id, p, target)
	n.f.oracle.wrote(n, p, "->"+target)
	n.notice(temp, p)
}

// goesFrom notes that a value was replaced by an application that saw it.
func (n *node) goesFrom(p farm.Path, before string) {
	n.f.oracle.replaced(n, p, before)
	if n.writer != nil && n.writer.path == p {
		n.writer.doomed = true
	}
}

// swap exchanges two names by way of a third, whatever stands there.
func (n *node) swap(p farm.Path) {
	q := pick(n.f.world, places)
	if p == q || p.Under(q) || q.Under(p) {
		return
	}
	temp := farm.MustPath(n.f.fresh(n) + ".swap")
	n.rename(p, temp)
	n.rename(q, p)
	n.rename(temp, q)
}

// editWithBackup saves as vi and Office do: the old file is moved to a backup, the new one written, the backup removed.
func (n *node) editWithBackup(p farm.Path) {
	backup := farm.MustPath(n.f.fresh(n) + ".bak")
	if st, err := n.mem.Lstat(p); err != nil || st.Type != farm.File {
		return
	}
	n.rename(p, backup)
	n.write(p)
	n.remove(backup)
}
