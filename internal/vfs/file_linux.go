package vfs

import (
	"io"
	"strconv"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// Open looks at the type first: opening a device can have effects, and O_NONBLOCK alone would still wake a FIFO's
// writer. The second look is for what was swapped in between.
func (d *disk) Open(p farm.Path) (File, error) {
	st, err := d.Lstat(p)
	if err != nil {
		return nil, err
	}
	if st.Type != farm.File {
		return nil, fail("open", p, errNotFile)
	}
	if dir, ok := d.in(p); ok {
		f, _, err := dir.Open(p.Base())
		return f, err
	}
	fd, err := d.open(p, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, fail("open", p, err)
	}
	f := &file{d: d, p: p, fd: fd}
	if st, err = f.Stat(); err == nil && st.Type != farm.File {
		err = fail("open", p, errNotFile)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return f, nil
}

// file is an open regular file of the real tree.
type file struct {
	d  *disk
	p  farm.Path
	fd int
}

func (f *file) Read(b []byte) (int, error) {
	n, err := retry(func() (int, error) { return unix.Read(f.fd, b) })
	return f.read(b, n, err)
}

// ReadAt fills b unless the file ends before, as io.ReaderAt wants.
func (f *file) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) {
		m, err := retry(func() (int, error) { return unix.Pread(f.fd, b[n:], off+int64(n)) })
		if m, err = f.read(b[n:], m, err); err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

func (f *file) read(b []byte, n int, err error) (int, error) {
	switch {
	case err != nil:
		return 0, fail("read", f.p, err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func retry(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

func (f *file) Stat() (Stat, error) {
	var st unix.Stat_t
	if err := unix.Fstat(f.fd, &st); err != nil {
		return Stat{}, fail("stat", f.p, err)
	}
	return f.d.stat(&st), nil
}

// Writers asks for a read lease, which the system grants only while nobody has the file open for writing, a writable
// mapping included. It is given back at once: who opens the file for writing meanwhile waits for a microsecond. To
// others' files it has a right only with CAP_LEASE. fcntl(2), "Leases".
func (f *file) Writers() bool {
	_, err := unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, _ = unix.FcntlInt(uintptr(f.fd), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return err == unix.EAGAIN
}

func (f *file) Close() error { return fail("close", f.p, unix.Close(f.fd)) }

// temp is a file being prepared: nameless where the file system can, else under a name in the staging directory.
type temp struct {
	file
	named  bool
	keep   bool // when it is closed
	linked bool
}

func (d *disk) Temp() (Temp, error) {
	staging := farm.MustPath(StagingDir)
	if !d.named.Load() {
		fd, err := d.open(staging, unix.O_TMPFILE|unix.O_RDWR)
		if err == nil {
			return &temp{file: file{d: d, p: staging, fd: fd}}, nil
		}
		if err != unix.EOPNOTSUPP && err != unix.EISDIR && err != unix.EINVAL {
			return nil, fail("temp", staging, err)
		}
		d.named.Store(true)
	}
	for {
		p, err := staging.Join(TempPrefix + strconv.FormatUint(d.seq.Add(1), 36))
		if err != nil {
			return nil, fail("temp", staging, err)
		}
		fd, err := d.open(p, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL)
		if err == unix.EEXIST {
			continue
		}
		if err != nil {
			return nil, fail("temp", p, err)
		}
		return &temp{file: file{d: d, p: p, fd: fd}, named: true}, nil
	}
}

func (t *temp) Write(b []byte) (int, error) {
	n, err := writeAll(t.fd, b)
	return n, fail("write", t.p, err)
}

func writeAll(fd int, b []byte) (n int, err error) {
	for n < len(b) {
		m, err := retry(func() (int, error) { return unix.Write(fd, b[n:]) })
		if err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// ownedBy tells whether the file belongs to o already, as most do that root's daemon makes. All that are new have one
// owner; to look at the first of them costs less than to set that of each. One that was begun earlier may have been given
// away already.
func (t *temp) ownedBy(o farm.Owner) bool {
	made := t.d.maker.Load()
	if made == nil || t.keep {
		var st unix.Stat_t
		if unix.Fstat(t.fd, &st) != nil {
			return false
		}
		made = &[2]uint32{st.Uid, st.Gid}
		if !t.keep {
			t.d.maker.Store(made)
		}
	}
	uid, gid := t.d.names.ids(o)
	return *made == [2]uint32{uid, gid}
}

func (t *temp) Link(p farm.Path) error {
	at, err := t.d.parent(p)
	if err != nil {
		return fail("link", p, err)
	}
	defer at.close()
	return t.linkAt(at, p)
}

func (t *temp) linkIn(d Dir, p farm.Path) error {
	if o, ok := d.(openDirectory); ok && !t.named {
		return t.linkAt(dir{o.fd, p.Base(), true}, p)
	}
	return t.Link(p)
}

// linkAt first trades the descriptor for one that can only read, so that the file is not busy for writing when it
// appears: otherwise nobody could execute it yet, and a look at its writers would find us.
func (t *temp) linkAt(at dir, p farm.Path) error {
	if fd, err := unix.Open(procFD(t.fd), unix.O_RDONLY|unix.O_CLOEXEC, 0); err == nil {
		unix.Close(t.fd)
		t.fd = fd
	}
	var err error
	if t.named {
		err = t.d.rename(t.p, p, unix.RENAME_NOREPLACE)
	} else if err = unix.Linkat(t.fd, "", at.fd, at.name, unix.AT_EMPTY_PATH); err == unix.ENOENT {
		// Without CAP_DAC_READ_SEARCH, or the parent is gone: /proc tells which.
		err = unix.Linkat(unix.AT_FDCWD, procFD(t.fd), at.fd, at.name, unix.AT_SYMLINK_FOLLOW)
	}
	if err == nil {
		t.linked, t.p = true, p
	}
	return fail("link", p, err)
}

func (t *temp) Close() error {
	var err error
	if t.named && !t.linked && !t.keep {
		err = t.d.Remove(t.p)
	}
	if e := t.file.Close(); err == nil {
		err = e
	}
	return err
}

// copyBytes is how much one copy_file_range is asked for.
const copyBytes = 64 << 20

func (t *temp) CopyFrom(f File) (int64, error) {
	src, ok := f.(*file)
	if !ok {
		return copyAll(t, f)
	}
	end, err := unix.Seek(t.fd, 0, io.SeekEnd)
	if err == nil && end == 0 && unix.IoctlFileClone(t.fd, src.fd) == nil {
		n, err := unix.Seek(t.fd, 0, io.SeekEnd)
		return n, fail("copy", src.p, err)
	}
	var st unix.Stat_t
	if err == nil && unix.Fstat(src.fd, &st) == nil && st.Blocks*statBlockBytes < st.Size {
		return t.copySparse(src, end, st.Size)
	}
	var off int64
	for {
		n, err := retry(func() (int, error) { return unix.CopyFileRange(src.fd, &off, t.fd, nil, copyBytes, 0) })
		if err != nil && off == 0 {
			return copyAll(t, f) // across file systems, or one that can't
		}
		if err != nil || n == 0 {
			return off, fail("copy", src.p, err)
		}
	}
}

// appendLog is an open file of the private area.
type appendLog struct {
	p  farm.Path
	fd int
}

// logBytes is reserved for a log so that it can be written to when the disk is full: room is made by removing files,
// and removing is logged.
const logBytes = 1 << 20

func (d *disk) OpenLog(p farm.Path) (Log, error) {
	fd, err := d.open(p, unix.O_WRONLY|unix.O_CREAT|unix.O_APPEND|unix.O_NONBLOCK)
	if err != nil {
		return nil, fail("open log", p, err)
	}
	l := &appendLog{p, fd}
	l.reserve()
	return l, nil
}

// reserve does what it can: not every file system knows how.
func (l *appendLog) reserve() { _ = unix.Fallocate(l.fd, unix.FALLOC_FL_KEEP_SIZE, 0, logBytes) }

func (l *appendLog) Write(b []byte) (int, error) {
	n, err := writeAll(l.fd, b)
	return n, fail("write log", l.p, err)
}

func (l *appendLog) Reset() error {
	err := unix.Ftruncate(l.fd, 0)
	l.reserve()
	return fail("reset log", l.p, err)
}

// Close lets go of the number too: it may be another file's soon, and who writes late must not write there.
func (l *appendLog) Close() error {
	fd := l.fd
	l.fd = -1
	return fail("close", l.p, unix.Close(fd))
}
