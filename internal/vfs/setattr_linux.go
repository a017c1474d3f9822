package vfs

import (
	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

func (d *disk) SetAttr(p farm.Path, set SetAttr) error {
	fd, err := d.open(p, unix.O_PATH)
	if err != nil {
		return fail("setattr", p, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail("setattr", p, err)
	}
	if set.Ino != 0 && set.Ino != st.Ino {
		return farm.Errorf("setattr", p.String(), farm.Conflict, "another inode is there now")
	}
	return d.set(p, inode{fd, true}, st.Mode, false, set)
}

func (t *temp) SetAttr(set SetAttr) error {
	if set.Owner != nil && t.ownedBy(*set.Owner) {
		set.Owner = nil
	}
	return t.d.set(t.p, inode{t.fd, false}, unix.S_IFREG|0o600, true, set)
}

// set sets attributes in the one order that works: a change of the owner takes setuid bits and capabilities away, and
// who is not root may not give a read-only file attributes. fresh: the inode has none yet. was is its mode.
func (d *disk) set(p farm.Path, i inode, was uint32, fresh bool, set SetAttr) error {
	t, _ := typeOf(was)
	owned := true
	if set.Owner != nil {
		var err error
		if owned, err = d.chown(set.Owner, i.chown); err != nil {
			return fail("chown", p, err)
		}
	}
	mode := was & 0o7777
	if set.Mode != nil {
		mode = *set.Mode & d.opt.bits(t)
		if t == farm.Dir {
			mode |= was & unix.S_ISGID
		} else if !owned {
			mode &^= farm.SpecialBits // it would run with the rights of somebody else
		}
	}
	if set.XAttrs != nil && d.xattrs && d.opt.any(t) && !(fresh && set.XAttrs.IsZero()) {
		want := d.opt.only(*set.XAttrs, t)
		listed, err := d.setAttributes(i, t, was, mode, want)
		if err != nil {
			return fail("setxattr", p, err)
		}
		if !listed {
			mode = withoutACL(mode, want)
		}
	} else if set.XAttrs != nil && !d.xattrs {
		mode = withoutACL(mode, *set.XAttrs)
	}
	if set.Mode != nil && t != farm.Symlink {
		if err := i.chmod(mode); err != nil {
			return fail("chmod", p, err)
		}
	}
	if set.MTime != nil {
		return fail("utimes", p, i.utimes(*set.MTime))
	}
	return nil
}

// chown sets what it has the right to and leaves the rest; it tells whether that is nothing.
func (d *disk) chown(o *farm.Owner, set func(uid, gid int) error) (all bool, err error) {
	uid, gid := d.names.ids(*o)
	if err = set(int(uid), int(gid)); err == nil {
		return true, nil
	}
	if err == unix.EPERM || err == unix.EINVAL { // not root; not mapped in this user namespace
		err = set(-1, int(gid))
	}
	if err == unix.EPERM || err == unix.EINVAL {
		err = nil
	}
	return false, err
}

// setAttributes brings the attributes of the tree to want and leaves all others. What the file system or the rights of
// the process do not allow is left, without an error: what is there then can be read. It tells whether the access list,
// if one is wanted, is in place.
func (d *disk) setAttributes(i inode, t farm.Type, was, mode uint32, want farm.XAttrs) (listed bool, err error) {
	is, err := d.attributes(i, t)
	if err != nil {
		return false, err
	}
	for name, value := range want.All() {
		if old, ok := is.Get(name); ok && old == value || name == farm.XAttrACL {
			continue
		}
		if err := d.putAttribute(i, name, value, mode); err != nil && err != errNotKept {
			return false, err
		}
	}
	listed = true
	if value, ok := want.Get(farm.XAttrACL); ok { // last: with it comes the mode, which may forbid the others
		if err := d.putAttribute(i, farm.XAttrACL, value, mode); err == errNotKept {
			listed = false
		} else if err != nil {
			return false, err
		}
	}
	for name := range is.All() {
		if _, ok := want.Get(name); ok {
			continue
		}
		if name == farm.XAttrACL { // until it is gone, nobody may have more than before and after
			if err := i.chmod(was & mode & 0o7777); err != nil {
				return false, err
			}
		}
		if err := d.allowed(i.drop(name)); err != nil && err != errNotKept {
			return false, err
		}
	}
	return listed, nil
}

func (d *disk) putAttribute(i inode, name, value string, mode uint32) error {
	raw := []byte(value)
	if name == farm.XAttrACL || name == farm.XAttrDefaultACL {
		var err error
		if raw, err = d.aclBytes(value, name == farm.XAttrACL, mode); err != nil {
			return err
		}
	}
	return d.allowed(i.put(name, raw))
}

// roomBytes is the free space above which "no space" of an attribute means that the inode has no more room for it.
const roomBytes = 16 << 20

// allowed turns what says that the attribute can't be had here, now or later, into errNotKept.
func (d *disk) allowed(err error) error {
	switch err {
	case unix.EOPNOTSUPP, unix.EPERM, unix.EACCES, unix.EINVAL, unix.E2BIG, unix.ERANGE, unix.ENAMETOOLONG:
		return errNotKept
	case unix.ENOSPC:
		if free, _, e := d.Free(); e == nil && free > roomBytes {
			return errNotKept
		}
	}
	return err
}

// XAttrs is FS.XAttrs.
func (d *disk) XAttrs(p farm.Path) (farm.XAttrs, error) {
	fd, err := d.open(p, unix.O_PATH)
	if err != nil {
		return farm.XAttrs{}, fail("getxattr", p, err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return farm.XAttrs{}, fail("getxattr", p, err)
	}
	t, _ := typeOf(st.Mode)
	x, err := d.attributes(inode{fd, true}, t)
	return x, fail("getxattr", p, err)
}

// XAttrs is File.XAttrs.
func (f *file) XAttrs() (farm.XAttrs, error) {
	x, err := f.d.attributes(inode{f.fd, false}, farm.File)
	return x, fail("getxattr", f.p, err)
}

// probeXAttrs finds out whether the file system has extended attributes at all.
func (d *disk) probeXAttrs() {
	_, err := unix.Flistxattr(d.fd, nil)
	d.xattrs = err != unix.EOPNOTSUPP && err != unix.ENOSYS
}

// dropACLs takes lists from a directory of the private area that it got from its parent: what is prepared in it would
// get them too.
func (d *disk) dropACLs(p farm.Path) error {
	fd, err := d.open(p, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return fail("prepare", p, err)
	}
	defer unix.Close(fd)
	for _, name := range []string{farm.XAttrDefaultACL, farm.XAttrACL} {
		if err := (inode{fd, false}).drop(name); err != nil && err != unix.EOPNOTSUPP {
			return fail("prepare", p, err)
		}
	}
	return nil
}
