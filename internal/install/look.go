package install

import (
	"errors"
	"io"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// seen is what a look at a path found.
type seen struct {
	vfs.Stat
	there  bool
	noName error // why nothing of this name can be there; nil if it can
}

// look tells what is at p. A parent that is missing, or no directory, is as if nothing were there.
func (k *Keeper) look(p farm.Path) (seen, error) {
	st, err := k.fs.Lstat(p)
	switch farm.KindOf(err) {
	case farm.NotFound:
		if e := (*farm.NameError)(nil); errors.As(err, &e) {
			return seen{noName: err}, nil
		}
		return seen{}, nil
	case farm.Conflict: // a link or mount on the way: the caller that makes something says so
		return seen{}, nil
	}
	return seen{Stat: st, there: err == nil}, err
}

// asExpected tells whether what was seen at p is what the index says. Where the fingerprint leaves a doubt, the content
// decides; then the look is as of after the reading.
func (k *Keeper) asExpected(p farm.Path, at *seen, e farm.Disk) (bool, error) {
	if !at.there || e.Type == farm.Absent {
		return !at.there && e.Type == farm.Absent, nil
	}
	if at.Type == farm.File && at.Matches(e.Stat) && !e.Stat.Racy {
		return true, nil
	}
	a := at.Attr()
	a.Digest, a.Target, a.XAttrs = e.Digest, e.Target, e.XAttrs
	if !a.Same(e.Attr) {
		return false, nil
	}
	if x, err := k.xattrs(p, at.Stat); err != nil || !x.Same(e.XAttrs) {
		if gone(err) {
			err = nil
		}
		return false, err
	}
	switch a.Type {
	case farm.Dir: // another directory of the same mode holds other files, which nobody has looked at yet
		return e.Stat.Ino == 0 || at.Ino == e.Stat.Ino, nil
	case farm.Symlink:
		target, err := k.fs.Readlink(p)
		if gone(err) {
			return false, nil
		}
		return target == e.Target, err
	case farm.File:
		d, st, err := digest(k.fs, p)
		if gone(err) {
			return false, nil
		}
		if err != nil || d != e.Digest || !unchanged(at.Stat, st) {
			return false, err
		}
		at.Stat = st
	}
	return true, nil
}

// xattrs reads the extended attributes of what st describes, if it can have any.
func (k *Keeper) xattrs(p farm.Path, st vfs.Stat) (farm.XAttrs, error) {
	if !st.XAttrs {
		return farm.XAttrs{}, nil
	}
	return k.fs.XAttrs(p)
}

// gone tells whether err says that what was seen a moment ago is not there any more, or not of that type.
func gone(err error) bool {
	kind := farm.KindOf(err)
	return err != nil && (kind == farm.NotFound || kind == farm.Conflict)
}

// unchanged tells whether b is the inode a with nothing changed but what a rename changes: the ctime.
func unchanged(a, b vfs.Stat) bool {
	if a.Type == farm.Dir && b.Type == farm.Dir {
		return a.Dev == b.Dev && a.Ino == b.Ino && a.Attr().SameMeta(b.Attr())
	}
	b.CTime = a.CTime
	return a.Matches(b.Fingerprint)
}

// digest reads the file at p and tells what it was when the reading ended. A file that changes under the reading is
// Unstable.
func digest(fs vfs.FS, p farm.Path) (farm.Digest, vfs.Stat, error) {
	f, err := fs.Open(p)
	if err != nil {
		return farm.Digest{}, vfs.Stat{}, err
	}
	defer f.Close()
	return digestOf(p, f)
}

func digestOf(p farm.Path, f vfs.File) (farm.Digest, vfs.Stat, error) {
	before, err := f.Stat()
	if err != nil {
		return farm.Digest{}, before, err
	}
	d, n, err := sum(f, before.Size)
	if err != nil {
		return d, before, err
	}
	st, err := f.Stat()
	if err != nil {
		return d, before, err
	}
	if n != st.Size || !st.Matches(before.Fingerprint) {
		return d, st, farm.Errorf("read", p.String(), farm.Unstable, "changed while it was read")
	}
	return d, st, nil
}

// bufferBytes is what is read, hashed and written at a time: enough for BLAKE3 to use its widest code.
const bufferBytes = 128 << 10

// sum hashes what r holds, which is about size bytes.
func sum(r io.ReaderAt, size int64) (d farm.Digest, n int64, err error) {
	h := blake3.New()
	buf := make([]byte, min(bufferBytes, size+1))
	for {
		m, err := r.ReadAt(buf, n)
		_, _ = h.Write(buf[:m]) // never fails
		n += int64(m)
		if err == io.EOF {
			h.Sum(d[:0])
			return d, n, nil
		}
		if err != nil {
			return d, n, err
		}
	}
}
