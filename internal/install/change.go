package install

import (
	"errors"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// setAttr brings mode, owner, extended attributes and time of what is there to what is wanted. Its content stays, and so
// does its inode.
func (k *Keeper) setAttr(plan farm.Plan, at seen) farm.Installed {
	set := vfs.SetAttr{Ino: at.Ino}
	want, is := plan.Want, at.Attr()
	is.XAttrs = plan.Expect.XAttrs
	if !sameOwner(want, is) {
		set.Owner = &want.Owner
	}
	if want.Mode != is.Mode {
		set.Mode = &want.Mode
	}
	if want.MTime != is.MTime {
		set.MTime = &want.MTime
	}
	if !want.XAttrs.Same(is.XAttrs) {
		set.XAttrs, set.Mode = &want.XAttrs, &want.Mode
	}
	if set == (vfs.SetAttr{Ino: at.Ino}) {
		return doneWith(plan, at.Stat, is.XAttrs)
	}
	in := intent{Op: opAttr, Name: k.stagingName("attr-%d-%s", nil).Base(), path: plan.Path, want: plan.Want, expect: plan.Expect.Attr}
	if err := k.intents.begin(in); err != nil {
		return fail(plan, err)
	}
	err := k.fs.SetAttr(plan.Path, set)
	k.intents.done(in)
	if err != nil {
		if gone(err) {
			return end(plan, farm.Changed)
		}
		return fail(plan, err)
	}
	now, x, err := k.lookWhole(plan.Path, set.XAttrs != nil, is.XAttrs)
	if err != nil {
		return fail(plan, err)
	}
	if !now.there || now.Type != at.Type || now.Ino != at.Ino || now.Attr().Size != at.Attr().Size {
		return end(plan, farm.Changed)
	}
	if ok, err := k.asSet(want, is, withXAttrs(now.Stat, x)); err != nil {
		return fail(plan, err)
	} else if !ok {
		return end(plan, farm.Changed)
	}
	if now.Type != farm.File || set.MTime == nil {
		return doneWith(plan, now.Stat, x)
	}
	return k.sameContent(plan, now, x)
}

// lookWhole is a look with the extended attributes, which are x if they were not set. They are read by name: what has got the
// name in between is not there.
func (k *Keeper) lookWhole(p farm.Path, set bool, x farm.XAttrs) (seen, farm.XAttrs, error) {
	now, err := k.look(p)
	if err != nil || !set || !now.there {
		return now, x, err
	}
	if x, err = k.xattrs(p, now.Stat); gone(err) {
		return seen{}, x, nil
	}
	again, lookErr := k.look(p)
	if again.Ino != now.Ino {
		again.there = false
	}
	return again, x, errors.Join(err, lookErr)
}

// sameOwner compares owners alone.
func sameOwner(a, b farm.Attr) bool {
	return farm.Attr{Owner: a.Owner}.SameMeta(farm.Attr{Owner: b.Owner})
}

// sameContent ends a plan that set a file's time: with it may have gone the trace of a write. Small files and those that
// somebody has open for writing are read; for the others the fingerprint is racy and a look at the disk will read them.
func (k *Keeper) sameContent(plan farm.Plan, now seen, x farm.XAttrs) farm.Installed {
	f, err := k.fs.Open(plan.Path)
	if err != nil {
		if gone(err) {
			return end(plan, farm.Changed)
		}
		return fail(plan, err)
	}
	defer f.Close()
	now.Racy = true
	if now.Size > verifyBytes && !f.Writers() {
		return doneWith(plan, now.Stat, x)
	}
	d, st, err := digestOf(plan.Path, f)
	if farm.KindOf(err) == farm.Unstable || (err == nil && (d != plan.Want.Digest || !st.Matches(now.Fingerprint))) {
		return end(plan, farm.Changed)
	}
	if err != nil {
		return fail(plan, err)
	}
	return doneWith(plan, now.Stat, x)
}

// removeDir removes a directory that has no entries.
func (k *Keeper) removeDir(plan farm.Plan) farm.Installed {
	err := k.writable(plan.Path, func() error { return k.fs.RemoveDir(plan.Path) })
	switch {
	case err == nil:
		k.keepDir(plan)
		return end(plan, farm.Done)
	case farm.KindOf(err) == farm.Exists:
		return end(plan, farm.NotEmpty)
	case gone(err):
		return end(plan, farm.Changed)
	}
	return fail(plan, err)
}

// keepDir notes what a directory was, so that it comes back with its attributes. What a crash or a full disk leaves out is
// no more than that.
func (k *Keeper) keepDir(plan farm.Plan) {
	l := k.lostOf(plan)
	if l == nil {
		return
	}
	p := Preserved{Path: plan.Path, Attr: plan.Expect.Attr, Reason: reasonOf(l), Lost: l.Stamp, By: l.By}
	if _, err := k.kept.add(farm.Path{}, p); err != nil {
		k.cfg.Log.Warn("the attributes of a deleted directory are not preserved", "path", plan.Path, "err", err)
	}
}

// remove takes a file or a symlink out of the tree and looks at what it took.
func (k *Keeper) remove(plan farm.Plan, at seen) farm.Installed {
	name := k.stagingName("old-%d-%s", plan.Expect.Digest[:8])
	in := intent{Op: opRemove, Name: name.Base(), path: plan.Path, expect: plan.Expect.Attr, lost: k.lostOf(plan)}
	if err := k.intents.begin(in); err != nil {
		return fail(plan, err)
	}
	if err := k.writable(plan.Path, func() error { return k.fs.RenameNoReplace(plan.Path, name) }); err != nil {
		k.intents.end(in.Name)
		if gone(err) {
			return end(plan, farm.Changed)
		}
		return fail(plan, err)
	}
	out, err := k.fs.Lstat(name)
	if err != nil {
		return fail(plan, err) // it stays where it is, explained by its intent
	}
	if unchanged(at.Stat, out) {
		k.takenOut(in, out, at.Racy)
		return end(plan, farm.Done)
	}
	k.putBackRemoved(in, out)
	return end(plan, farm.Changed)
}

// putBackRemoved gives what was taken out its name again. If somebody else has taken the name, it is preserved.
func (k *Keeper) putBackRemoved(in intent, out vfs.Stat) {
	err := k.writable(in.path, func() error { return k.fs.RenameNoReplace(in.name(), in.path) })
	if err == nil {
		k.intents.end(in.Name)
		return
	}
	in.expect, in.lost = farm.Attr{}, nil
	k.queue(leftover{in: in, stat: out, verify: true})
}

// writable calls do, which changes the directory that holds p. If the directory forbids that and is ours to change, it
// is made writable for the moment.
func (k *Keeper) writable(p farm.Path, do func() error) error {
	err := do()
	if farm.KindOf(err) != farm.Denied {
		return err
	}
	k.parents.Lock()
	defer k.parents.Unlock()
	dir := p.Parent()
	st, e := k.fs.Lstat(dir)
	if e != nil || st.Type != farm.Dir || st.Mode&0o300 == 0o300 {
		return err
	}
	is := st.Mode & farm.ModeBits
	open := is | 0o300
	in := intent{Op: opParent, Name: k.stagingName("parent-%d-%s", nil).Base(), path: dir, want: farm.Attr{Type: farm.Dir, Mode: is}}
	if k.intents.begin(in) != nil {
		return err
	}
	if k.fs.SetAttr(dir, vfs.SetAttr{Ino: st.Ino, Mode: &open}) != nil {
		k.intents.done(in)
		return err
	}
	err = do()
	k.closeParent(in, st.Ino)
	k.intents.done(in)
	return err
}

// closeParent takes back what writable did, unless somebody has changed the mode since.
func (k *Keeper) closeParent(in intent, ino uint64) {
	st, err := k.fs.Lstat(in.path)
	if err == nil && st.Mode&farm.ModeBits == in.want.Mode|0o300 {
		err = k.fs.SetAttr(in.path, vfs.SetAttr{Ino: ino, Mode: &in.want.Mode})
	}
	if err != nil {
		k.cfg.Log.Warn("a directory made writable for a moment was not closed again", "path", in.path, "err", err)
	}
}
