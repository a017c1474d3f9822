package vfs

import (
	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// Partial opens or makes the file; what stands there and is no file of ours is not touched.
func (d *disk) Partial(p farm.Path) (Temp, error) {
	fd, err := d.open(p, unix.O_RDWR|unix.O_CREAT|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, fail("open partial", p, err)
	}
	t := &temp{file: file{d: d, p: p, fd: fd}, named: true, keep: true}
	st, err := t.Stat()
	if err == nil && st.Type != farm.File {
		err = fail("open partial", p, errNotFile)
	}
	if err == nil && d.xattrs { // an earlier life may have got as far as to give it some
		_, err = d.setAttributes(inode{fd, false}, farm.File, st.Mode, st.Mode, farm.XAttrs{})
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return t, nil
}

func (t *temp) WriteAt(b []byte, off int64) (n int, err error) {
	for n < len(b) {
		m, err := retry(func() (int, error) { return unix.Pwrite(t.fd, b[n:], off+int64(n)) })
		if err != nil {
			return n, fail("write", t.p, err)
		}
		n += m
	}
	return n, nil
}

func (t *temp) Truncate(size int64) error {
	return fail("truncate", t.p, unix.Ftruncate(t.fd, size))
}

// CopyRange lets the system copy: it shares the blocks where the file system can, and else saves two copies.
func (t *temp) CopyRange(f File, at, to, n int64) error {
	src, ok := f.(*file)
	if !ok {
		return copyPart(t, f, at, to, n)
	}
	for n > 0 {
		m, err := retry(func() (int, error) { return unix.CopyFileRange(src.fd, &at, t.fd, &to, int(min(n, copyBytes)), 0) })
		switch {
		case err == unix.ENOSPC || err == unix.EDQUOT || err == unix.EIO:
			return fail("copy", t.p, err)
		case err != nil || m == 0:
			return copyPart(t, f, at, to, n) // across file systems, or one that can't; or the file ends here, which it says
		}
		n -= int64(m)
	}
	return nil
}
