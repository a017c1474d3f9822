package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// resolve is what every path is resolved with: it stays beneath the root, follows nothing, enters no other mount.
const resolve = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// maxResolveTries bounds how often an interrupted resolution is begun again.
const maxResolveTries = 32

// disk is the real tree.
type disk struct {
	root    string // absolute; only CheckRoot uses it after Open
	fd      int
	dev     uint64
	walks   bool // without openat2: one component at a time
	statx   bool // statx tells of mounts
	fine    bool // no two changes of an inode that is looked at between them have one time
	closed  atomic.Bool
	named   atomic.Bool
	seq     atomic.Uint64             // of named temps
	maker   atomic.Pointer[[2]uint32] // whose new files in staging are: user, group
	names   names
	kept    kept
	dirents sync.Pool // of *[direntBytes]byte
	lock    int       // descriptor of the lock file; -1: not prepared
	private uint64    // inode of the private area
	folder  farm.FolderID
	opt     Options
	xattrs  bool // the file system has extended attributes
}

// Open is OpenWith the zero Options.
func Open(root string) (FS, error) { return OpenWith(root, Options{}) }

// OpenWith opens the directory root as a folder's tree. The root itself may be reached through symbolic links.
func OpenWith(root string, opt Options) (FS, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, farm.Errorf("open folder", root, farm.Invalid, "%w", err)
	}
	d := &disk{root: abs, lock: -1, opt: opt}
	d.fd, err = unix.Open(abs, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fail("open folder", farm.Path{}, &os.PathError{Op: "open", Path: root, Err: err})
	}
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		unix.Close(d.fd)
		return nil, fail("open folder", farm.Path{}, err)
	}
	d.dev = uint64(st.Dev)
	d.probeXAttrs()
	fd, err := unix.Openat2(d.fd, ".", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve})
	if err != nil {
		d.walks = true // ENOSYS before Linux 5.6; EPERM where a container's filter does not know the call
	} else {
		unix.Close(fd)
	}
	d.probeStatx()
	return d, nil
}

// open opens p itself, confined. A symbolic link is opened only with O_PATH.
func (d *disk) open(p farm.Path, flags int) (int, error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	if d.walks {
		return d.walk(p, flags)
	}
	how := unix.OpenHow{Flags: uint64(flags), Resolve: resolve}
	if flags&unix.O_TMPFILE == unix.O_TMPFILE || flags&unix.O_CREAT != 0 {
		how.Mode = 0o600
	}
	for try := 0; ; try++ {
		fd, err := unix.Openat2(d.fd, p.String(), &how)
		if (err == unix.EINTR || err == unix.EAGAIN) && try < maxResolveTries {
			continue
		}
		return fd, err
	}
}

// walk is open without openat2. A bind mount of the same file system is not told apart.
func (d *disk) walk(p farm.Path, flags int) (int, error) {
	comps := strings.Split(p.String(), "/")
	at := d.fd
	for i, c := range comps {
		last := i == len(comps)-1
		fl := unix.O_PATH | unix.O_CLOEXEC | unix.O_NOFOLLOW
		if last {
			fl = flags
		}
		fd, err := unix.Openat(at, c, fl, 0o600)
		if at != d.fd {
			unix.Close(at)
		}
		if err != nil {
			return -1, err
		}
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil {
			switch {
			case uint64(st.Dev) != d.dev:
				err = unix.EXDEV
			case !last && st.Mode&unix.S_IFMT == unix.S_IFLNK:
				err = unix.ELOOP
			case !last && st.Mode&unix.S_IFMT != unix.S_IFDIR:
				err = unix.ENOTDIR
			}
		}
		if err != nil {
			unix.Close(fd)
			return -1, err
		}
		at = fd
	}
	return at, nil
}

// dir is the resolved parent of a path, and the path's last component.
type dir struct {
	fd   int
	name string
	keep bool // the descriptor is not the caller's to close
}

func (d dir) close() {
	if !d.keep {
		unix.Close(d.fd)
	}
}

// parent resolves the directory that holds p. The root has none: nothing may be made, moved or removed there.
func (d *disk) parent(p farm.Path) (dir, error) {
	if p.IsRoot() {
		return dir{}, unix.EBUSY
	}
	if p.Parent().IsRoot() {
		return dir{d.fd, p.Base(), true}, nil
	}
	if fd, ok := d.keptDir(p.Parent()); ok {
		return dir{fd, p.Base(), true}, nil
	}
	fd, err := d.open(p.Parent(), unix.O_PATH|unix.O_DIRECTORY)
	return dir{fd, p.Base(), false}, d.whyNotDir(p.Parent(), err, unix.ENOTDIR)
}

// whyNotDir tells a symbolic link, which O_DIRECTORY reports like a file, from a file.
func (d *disk) whyNotDir(p farm.Path, err, file error) error {
	if err != unix.ENOTDIR {
		return err
	}
	fd, e := d.open(p, unix.O_PATH)
	if e != nil {
		return e
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return unix.ELOOP
	}
	return file
}

func (d *disk) stat(st *unix.Stat_t) Stat {
	s := Stat{
		Owner: d.names.owner(st.Uid, st.Gid),
		Links: uint64(st.Nlink),
		Fingerprint: farm.Fingerprint{
			Dev: uint64(st.Dev), Ino: st.Ino, Size: st.Size,
			MTime: st.Mtim.Nano(), CTime: st.Ctim.Nano(),
			Mode: st.Mode, UID: st.Uid, GID: st.Gid,
		},
	}
	s.Racy = !d.fine && time.Now().UnixNano()-s.CTime < int64(RacyWindow)
	s.Type, s.Other = typeOf(st.Mode)
	s.bits, s.XAttrs = d.opt.bits(s.Type), d.xattrs && d.opt.any(s.Type)
	return s
}

func typeOf(mode uint32) (farm.Type, string) {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return farm.File, ""
	case unix.S_IFDIR:
		return farm.Dir, ""
	case unix.S_IFLNK:
		return farm.Symlink, ""
	case unix.S_IFIFO:
		return farm.Absent, "fifo"
	case unix.S_IFSOCK:
		return farm.Absent, "socket"
	}
	return farm.Absent, "device"
}

func (d *disk) Free() (bytes, inodes uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Fstatfs(d.fd, &st); err != nil {
		return 0, 0, fail("statfs", farm.Path{}, err)
	}
	return st.Bavail * uint64(st.Bsize), st.Ffree, nil
}

func (d *disk) Sync() error { return fail("sync", farm.Path{}, unix.Syncfs(d.fd)) }

// Close lets go of the root, and of what is kept open, at once, so that it can be unmounted. Its number stays taken while somebody has the disk: a
// call that comes late must not meet what was opened under that number since, such as the root of another folder.
func (d *disk) Close() error {
	if d.closed.Swap(true) {
		return nil
	}
	if d.lock >= 0 {
		unix.Close(d.lock)
	}
	fds := append(d.kept.letGo(), d.fd)
	nothing, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		for _, fd := range fds {
			err = unix.Close(fd)
		}
		return fail("close", farm.Path{}, err)
	}
	defer unix.Close(nothing)
	for _, fd := range fds {
		if err := unix.Dup3(nothing, fd, unix.O_CLOEXEC); err != nil {
			return fail("close", farm.Path{}, err)
		}
		runtime.AddCleanup(d, func(fd int) { unix.Close(fd) }, fd)
	}
	return nil
}

func (d *disk) Prepare(folder farm.FolderID) error {
	for _, s := range []string{farm.PrivateDir, StagingDir, PreservedDir, BarrierDir} {
		if err := d.privateDir(farm.MustPath(s)); err != nil {
			return err
		}
	}
	area := farm.MustPath(farm.PrivateDir)
	st, err := d.Lstat(area)
	if err != nil {
		return err
	}
	if d.lock < 0 {
		if d.lock, err = d.flock(); err != nil {
			return err
		}
	}
	was, err := d.marker()
	if err != nil && farm.KindOf(err) != farm.NotFound {
		return err
	}
	if was == "" {
		if err := d.writeMarker(folder); err != nil {
			return err
		}
	} else if was != folder {
		return farm.Errorf("prepare", d.root, farm.Conflict, "the directory already is folder %s", was)
	}
	d.private, d.folder = st.Ino, folder
	d.fine = d.finelyTimed()
	return nil
}

// privateDir makes one directory of the private area, or takes one that is ours and closed to others: an area that
// somebody else prepared could be written to by him.
func (d *disk) privateDir(p farm.Path) error {
	if err := d.Mkdir(p, 0o700); err != nil && farm.KindOf(err) != farm.Exists {
		return err
	}
	st, err := d.Lstat(p)
	switch {
	case err != nil:
		return err
	case st.Type != farm.Dir:
		return farm.Errorf("prepare", p.String(), farm.Conflict, "is no directory")
	case st.UID != uint32(os.Geteuid()):
		return farm.Errorf("prepare", p.String(), farm.Denied, "belongs to user %d, not to the one that Tandem runs as", st.UID)
	case st.Mode&0o7777 != 0o700:
		mode := uint32(0o700)
		if err := d.SetAttr(p, SetAttr{Mode: &mode}); err != nil {
			return err
		}
	}
	return d.dropACLs(p)
}

func (d *disk) flock() (int, error) {
	p := farm.MustPath(farm.PrivateDir + "/" + lockName)
	fd, err := d.open(p, unix.O_RDWR|unix.O_CREAT)
	if err != nil {
		return -1, fail("lock", p, err)
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		if err == unix.EWOULDBLOCK {
			return -1, farm.Errorf("lock", d.root, farm.Conflict, "another running Tandem has this directory")
		}
		return -1, fail("lock", p, err)
	}
	return fd, nil
}

func (d *disk) writeMarker(folder farm.FolderID) error {
	p := farm.MustPath(farm.PrivateDir + "/" + markerName)
	fd, err := d.open(p, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC)
	if err != nil {
		return fail("prepare", p, err)
	}
	_, err = unix.Write(fd, []byte(string(folder)+"\n"))
	return fail("prepare", p, errors.Join(err, unix.Fsync(fd), unix.Close(fd)))
}

func (d *disk) marker() (farm.FolderID, error) {
	p := farm.MustPath(farm.PrivateDir + "/" + markerName)
	fd, err := d.open(p, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return "", fail("read marker", p, err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 256)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return "", fail("read marker", p, err)
	}
	return farm.FolderID(strings.TrimSpace(string(buf[:n]))), nil
}

func (d *disk) CheckRoot() error {
	var now, then unix.Stat_t
	if err := unix.Stat(d.root, &now); err != nil {
		return fail("check root", farm.Path{}, &os.PathError{Op: "stat", Path: d.root, Err: err})
	}
	if err := unix.Fstat(d.fd, &then); err != nil {
		return fail("check root", farm.Path{}, err)
	}
	if now.Dev != then.Dev || now.Ino != then.Ino {
		return farm.Errorf("check root", d.root, farm.Conflict, "another directory is there now")
	}
	area, err := d.Lstat(farm.MustPath(farm.PrivateDir))
	if err != nil {
		return err
	}
	id, err := d.marker()
	if err != nil {
		return err
	}
	if area.Ino != d.private || id != d.folder {
		return farm.Errorf("check root", d.root, farm.Conflict, "the private area was replaced")
	}
	return nil
}
