package install

import (
	"errors"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// asSet tells whether is, found right after want was set in place of was, is what the file system makes of want. If not,
// an application has set something else in the moment between. What the file system can represent is asked of an entry of
// our own, and only where there is a difference at all.
func (k *Keeper) asSet(want, was, is farm.Attr) (bool, error) {
	if is.SameMeta(want) && is.MTime == want.MTime {
		return true, nil
	}
	can, err := k.probe(want)
	if err != nil {
		return false, err
	}
	owner := sameOwner(is, can) || !sameOwner(can, want) && sameOwner(is, was) // without the right to it is left
	return owner && is.Mode == can.Mode && is.MTime == can.MTime && is.XAttrs.Same(can.XAttrs), nil
}

// probe gives an entry of our own the attributes and tells what became of them.
func (k *Keeper) probe(want farm.Attr) (farm.Attr, error) {
	set := vfs.SetAttr{Mode: &want.Mode, Owner: &want.Owner, MTime: &want.MTime}
	if !want.XAttrs.IsZero() {
		set.XAttrs = &want.XAttrs
	}
	if want.Type == farm.File {
		t, err := k.fs.Temp()
		if err != nil {
			return farm.Attr{}, err
		}
		var st vfs.Stat
		var x farm.XAttrs
		if err = t.SetAttr(set); err == nil {
			st, err = t.Stat()
		}
		if err == nil && set.XAttrs != nil {
			x, err = t.XAttrs()
		}
		return withXAttrs(st, x), errors.Join(err, t.Close())
	}
	var err error
	name := k.stagingName("new-%d-%s", []byte("dir"))
	if want.Type == farm.Symlink {
		name = k.linkName(want.Target)
		err = k.fs.Symlink(want.Target, name)
	} else {
		set.MTime = nil
		err = k.fs.Mkdir(name, 0o700)
	}
	if err != nil {
		return farm.Attr{}, err
	}
	var st vfs.Stat
	var x farm.XAttrs
	if err = k.fs.SetAttr(name, set); err == nil {
		st, err = k.fs.Lstat(name)
	}
	if err == nil && set.XAttrs != nil {
		x, err = k.xattrs(name, st)
	}
	return withXAttrs(st, x), errors.Join(err, k.discard(name, want.Type))
}

func withXAttrs(st vfs.Stat, x farm.XAttrs) farm.Attr {
	a := st.Attr()
	a.XAttrs = x
	return a
}
