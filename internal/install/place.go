package install

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// object is what a plan wants, complete, and not yet in its place.
type object struct {
	name farm.Path // in staging; a file has it only once it is staged
	temp vfs.Temp  // of a file
	stat vfs.Stat  // as it was made

	xattrs farm.XAttrs // what it has of the wanted ones

	// late is what is set when the object is in place: who is not root can't move a directory that he may not write to.
	late *intent
}

// prepare makes the object. The name of a staged object tells what content it was made with, so that Recover, without
// any record of it, can tell it from what it was exchanged with.
func (k *Keeper) prepare(ctx context.Context, plan farm.Plan, src Source) (*object, error) {
	o := &object{}
	var err error
	set := vfs.SetAttr{Mode: &plan.Want.Mode, Owner: &plan.Want.Owner, MTime: &plan.Want.MTime}
	if !plan.Want.XAttrs.IsZero() { // what is new has none of itself
		set.XAttrs = &plan.Want.XAttrs
	}
	switch plan.Want.Type {
	case farm.File:
		if o.temp, err = k.content(ctx, plan, src); err != nil {
			return nil, err
		}
		if err = o.temp.SetAttr(set); err == nil {
			o.stat, err = o.temp.Stat()
		}
		if err == nil && set.XAttrs != nil {
			o.xattrs, err = o.temp.XAttrs()
		}
	case farm.Dir:
		o.name = k.stagingName("new-%d-%s", []byte("dir"))
		err = k.prepareDir(o, plan)
	case farm.Symlink:
		o.name = k.linkName(plan.Want.Target)
		if err = k.fs.Symlink(plan.Want.Target, o.name); err == nil {
			if err = k.fs.SetAttr(o.name, set); err == nil {
				o.stat, err = k.fs.Lstat(o.name)
			}
		}
		if err == nil && set.XAttrs != nil {
			o.xattrs, err = k.xattrs(o.name, o.stat)
		}
	default:
		return nil, farm.Errorf("install", plan.Path.String(), farm.Internal, "wants type %d", plan.Want.Type)
	}
	if err != nil {
		k.scrap(o)
		return nil, err
	}
	return o, nil
}

func (k *Keeper) prepareDir(o *object, plan farm.Plan) error {
	err := k.fs.Mkdir(o.name, 0o700)
	if err != nil {
		return err
	}
	st, err := k.fs.Lstat(o.name)
	if err != nil {
		return err
	}
	mode := plan.Want.Mode
	if st.UID != 0 && mode&0o200 == 0 {
		mode |= 0o200
		made := plan.Want
		made.Mode = mode
		o.late = &intent{Op: opAttr, Name: k.stagingName("attr-%d-%s", nil).Base(), path: plan.Path, want: plan.Want, expect: made}
		if err := k.intents.begin(*o.late); err != nil {
			return err
		}
	}
	set := vfs.SetAttr{Mode: &mode, Owner: &plan.Want.Owner}
	if !plan.Want.XAttrs.IsZero() {
		set.XAttrs = &plan.Want.XAttrs
	}
	if err = k.fs.SetAttr(o.name, set); err == nil {
		o.stat, err = k.fs.Lstat(o.name)
	}
	if err == nil && set.XAttrs != nil {
		o.xattrs, err = k.xattrs(o.name, o.stat)
	}
	return err
}

func (k *Keeper) stagingName(format string, what []byte) farm.Path {
	return farm.MustPath(vfs.StagingDir + "/" + fmt.Sprintf(format, k.seq.Add(1), hex.EncodeToString(what)))
}

func (k *Keeper) linkName(target string) farm.Path {
	sum := blake3.Sum256([]byte(target))
	return k.stagingName("new-%d-%s", sum[:8])
}

// scrap throws away an object that never was in the tree. What can't be removed now, Recover finds.
func (k *Keeper) scrap(o *object) {
	_ = o.close()
	if o.late != nil {
		k.intents.done(*o.late)
	}
	if o.name.IsRoot() { // it had no name
		return
	}
	if st, err := k.fs.Lstat(o.name); err == nil {
		_ = k.discard(o.name, st.Type)
	}
}

func (k *Keeper) discard(name farm.Path, t farm.Type) error {
	if t == farm.Dir {
		return k.fs.RemoveDir(name)
	}
	return k.fs.Remove(name)
}

// brought tells whether the plan is of a file and brings its content along.
func brought(plan farm.Plan) bool {
	return plan.Want.Type == farm.File && int64(len(plan.Content)) == plan.Want.Size
}

// create gives the object its name if nobody has it. What is dear to prepare is prepared only if there is a place for it.
func (k *Keeper) create(ctx context.Context, plan farm.Plan, src Source) farm.Installed {
	if !brought(plan) {
		parent, err := k.look(plan.Path.Parent())
		if err != nil {
			return fail(plan, err)
		}
		if !parent.there || parent.Type != farm.Dir {
			return end(plan, farm.NoParent)
		}
		if r, ok := k.takeOver(plan); ok {
			return r
		}
	}
	o, err := k.prepare(ctx, plan, src)
	if err != nil {
		return fail(plan, err)
	}
	err = k.writable(plan.Path, func() error {
		if o.temp != nil {
			return o.temp.Link(plan.Path)
		}
		return k.fs.RenameNoReplace(o.name, plan.Path)
	})
	if err != nil {
		k.scrap(o)
		switch farm.KindOf(err) {
		case farm.Exists:
			return end(plan, farm.Changed)
		case farm.NotFound, farm.Conflict:
			return end(plan, farm.NoParent)
		}
		return fail(plan, err)
	}
	k.made(plan)
	return k.placed(plan, o)
}

// made notes that what the plans want has got its names, which were free.
func (k *Keeper) made(plans ...farm.Plan) {
	lines := make([]line, len(plans))
	for i, plan := range plans {
		want := recordOf(plan.Want)
		lines[i] = line{Name: "made-" + strconv.FormatUint(k.seq.Add(1), 10), Op: opMade, Path: text(plan.Path.String()), Want: &want}
	}
	k.intents.made(lines)
}

// placed reports the object, which is at its path now. If an application was so fast that it changed it already, what
// is reported is what was put there, and a look at the disk will find the change.
func (k *Keeper) placed(plan farm.Plan, o *object) farm.Installed {
	if o.late != nil {
		mode := o.late.want.Mode
		if k.fs.SetAttr(plan.Path, vfs.SetAttr{Ino: o.stat.Ino, Mode: &mode}) == nil {
			o.stat.Mode = o.stat.Mode&^farm.ModeBits | mode
		}
		k.intents.done(*o.late)
	}
	var now vfs.Stat
	var err error
	if o.temp != nil {
		now, err = o.temp.Stat()
		_ = o.close()
	} else {
		now, err = k.fs.Lstat(plan.Path)
	}
	if err != nil || !unchanged(o.stat, now) {
		o.stat.Racy = true
		now = o.stat
	}
	return doneWith(plan, now, o.xattrs)
}

// replace puts the object in the place of what is there.
func (k *Keeper) replace(ctx context.Context, plan farm.Plan, at seen, src Source) farm.Installed {
	if at.Type == farm.Dir {
		list, err := k.fs.ReadDir(plan.Path)
		if err != nil {
			return fail(plan, err)
		}
		if len(list) > 0 {
			return end(plan, farm.NotEmpty)
		}
	}
	o, err := k.prepare(ctx, plan, src)
	if err != nil {
		return fail(plan, err)
	}
	// Fetching takes time. An exchange that has to be undone is seen by others: look once more.
	now, err := k.look(plan.Path)
	if err != nil || !now.there || !unchanged(at.Stat, now.Stat) {
		k.scrap(o)
		if err != nil {
			return fail(plan, err)
		}
		return end(plan, farm.Changed)
	}
	if o.temp != nil {
		o.name = k.stagingName("new-%d-%s", plan.Want.Digest[:8])
		if err := o.temp.Link(o.name); err != nil {
			k.scrap(o)
			return fail(plan, err)
		}
	}
	in := intent{
		Op: opReplace, Name: o.name.Base(), path: plan.Path,
		want: plan.Want, expect: plan.Expect.Attr, lost: k.lostOf(plan),
	}
	if err := k.intents.begin(in); err != nil {
		k.scrap(o)
		return fail(plan, err)
	}
	if err := k.writable(plan.Path, func() error { return k.fs.Exchange(o.name, plan.Path) }); err != nil {
		k.scrap(o)
		k.intents.end(in.Name)
		if gone(err) {
			return end(plan, farm.Changed)
		}
		return fail(plan, err)
	}
	return k.judgeReplaced(plan, at, o, in)
}

// judgeReplaced looks at what the exchange took out of the tree.
func (k *Keeper) judgeReplaced(plan farm.Plan, at seen, o *object, in intent) farm.Installed {
	out, err := k.fs.Lstat(o.name)
	if err != nil {
		// Not even our own name can be looked at. It stays where it is, explained by its intent.
		_ = o.close()
		return fail(plan, err)
	}
	asExpected := unchanged(at.Stat, out)
	if asExpected && out.Type == farm.Dir {
		switch err := k.fs.RemoveDir(o.name); {
		case err == nil:
			k.intents.end(in.Name)
			return k.placed(plan, o)
		case farm.KindOf(err) != farm.Exists:
			k.queue(leftover{in: in, stat: out})
			return k.placed(plan, o)
		}
		_ = o.close()
		return k.undo(plan, in, o.stat, farm.NotEmpty)
	}
	if !asExpected {
		_ = o.close()
		return k.undo(plan, in, o.stat, farm.Changed)
	}
	r := k.placed(plan, o)
	k.takenOut(in, out, at.Racy)
	return r
}

func (o *object) close() error {
	if o.temp == nil {
		return nil
	}
	return o.temp.Close()
}

// undo takes an exchange back, for the reason given. If an application has replaced or removed meanwhile what the exchange
// had put there, it had that before its eyes: then the plan was carried out, and a look at the disk will find the change.
func (k *Keeper) undo(plan farm.Plan, in intent, placed vfs.Stat, why farm.Outcome) farm.Installed {
	if k.putBack(in, placed) {
		return end(plan, why)
	}
	placed.Racy = true
	return done(plan, placed)
}

// putBack undoes an exchange whose outcome was not expected, and tells whether nobody came between: what is in staging belongs at the path. placed is what the
// exchange put there. Each further exchange is looked at too: does it take out anything but what the last one put in,
// then somebody was faster again, and his is the newer. In the end staging holds our own object, or what an application
// itself has replaced, or can't be put back; that is preserved.
func (k *Keeper) putBack(in intent, placed vfs.Stat) (undone bool) {
	name, ours := in.name(), placed
	for range maxSwaps {
		back, err := k.fs.Lstat(name)
		if err != nil {
			break
		}
		if k.writable(in.path, func() error { return k.fs.Exchange(name, in.path) }) != nil {
			break
		}
		if out, err := k.fs.Lstat(name); err == nil && unchanged(placed, out) && k.childless(name, out) {
			break
		}
		placed = back
	}
	out, err := k.fs.Lstat(name)
	if err != nil {
		k.cfg.Log.Error("what was put back left something that can't be looked at", "path", in.path, "err", err)
		return true
	}
	if undone = out.Ino == ours.Ino; unchanged(ours, out) {
		in.expect, in.lost = in.want, nil // ours; worth keeping only if somebody wrote into it
	} else {
		in.expect, in.lost = farm.Attr{}, nil
	}
	k.queue(leftover{in: in, stat: out, verify: true})
	return undone
}

// childless tells whether the directory has no entries; what is no directory has none.
func (k *Keeper) childless(name farm.Path, st vfs.Stat) bool {
	if st.Type != farm.Dir {
		return true
	}
	list, err := k.fs.ReadDir(name)
	return err == nil && len(list) == 0
}
