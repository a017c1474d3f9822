package vfs

import (
	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// openDirectory is a directory of the real tree.
type openDirectory struct {
	d  *disk
	p  farm.Path
	fd int
}

func (d *disk) openDir(p farm.Path) (Dir, error) {
	if !d.statx {
		return pathDir{d, p}, nil
	}
	fd, err := d.open(p, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return nil, fail("open directory", p, d.whyNotDir(p, err, errNotDir))
	}
	return openDirectory{d, p, fd}, nil
}

// probeStatx finds out whether the system can tell an entry from what is mounted on it: since Linux 5.8.
func (d *disk) probeStatx() {
	var st unix.Statx_t
	err := unix.Statx(d.fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS, &st)
	d.statx = err == nil && !d.walks && st.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0
}

func (o openDirectory) List() ([]DirEntry, error) { return o.d.list(o.fd, o.p) }

func (o openDirectory) Lstat(name string) (Stat, error) {
	var x unix.Statx_t
	err := unix.Statx(o.fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, unix.STATX_BASIC_STATS, &x)
	if err == nil && x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		err = unix.EXDEV
	}
	if err != nil {
		return Stat{}, fail("lstat", o.child(name), err)
	}
	return o.d.stat(&unix.Stat_t{
		Dev: unix.Mkdev(x.Dev_major, x.Dev_minor), Ino: x.Ino, Nlink: uint64(x.Nlink), Mode: uint32(x.Mode), Uid: x.Uid, Gid: x.Gid,
		Size: int64(x.Size), Blocks: int64(x.Blocks), Mtim: timespec(x.Mtime), Ctim: timespec(x.Ctime),
	}), nil
}

func timespec(t unix.StatxTimestamp) unix.Timespec {
	return unix.NsecToTimespec(t.Sec*1e9 + int64(t.Nsec))
}

// Open does not look at the type first: Lstat just has. The second look is for what was swapped in between.
func (o openDirectory) Open(name string) (File, Stat, error) {
	p := o.child(name)
	fd, err := unix.Openat(o.fd, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, Stat{}, fail("open", p, err)
	}
	f := &file{d: o.d, p: p, fd: fd}
	st, err := f.Stat()
	if err == nil && (st.Type != farm.File || st.Dev != o.d.dev) {
		err = fail("open", p, errNotFile)
	}
	if err != nil {
		unix.Close(fd)
		return nil, Stat{}, err
	}
	return f, st, nil
}

func (o openDirectory) Stands() bool {
	var is unix.Stat_t
	at, err := o.d.Lstat(o.p)
	return err == nil && unix.Fstat(o.fd, &is) == nil && at.Ino == is.Ino && at.Type == farm.Dir
}

func (o openDirectory) moveOut(name string, to farm.Path) error {
	b, err := o.d.parent(to)
	if err != nil {
		return fail("rename", to, err)
	}
	defer b.close()
	return fail("rename", o.child(name), unix.Renameat2(o.fd, name, b.fd, b.name, unix.RENAME_NOREPLACE))
}

func (o openDirectory) moveBack(from farm.Path, name string) error {
	a, err := o.d.parent(from)
	if err != nil {
		return fail("rename", from, err)
	}
	defer a.close()
	return fail("rename", o.child(name), unix.Renameat2(a.fd, a.name, o.fd, name, unix.RENAME_NOREPLACE))
}

func (o openDirectory) Close() error { return fail("close", o.p, unix.Close(o.fd)) }

// child is for errors; a name that can't be one is only named with its directory.
func (o openDirectory) child(name string) farm.Path {
	if p, err := o.p.Join(name); err == nil {
		return p
	}
	return o.p
}
