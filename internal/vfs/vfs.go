package vfs

import (
	"io"
	"time"

	"tandem/internal/farm"
)

// The private area's directories, relative to the root.
const (
	StagingDir   = farm.PrivateDir + "/staging"   // what is being installed, displaced or removed
	PreservedDir = farm.PrivateDir + "/preserved" // what was kept
	BarrierDir   = farm.PrivateDir + "/barrier"   // cookies of watch
)

// TempPrefix begins the names that Temp uses in the staging directory on file systems without nameless files. What has
// such a name and is left after a crash was never visible and may be removed.
const TempPrefix = "tmp-"

const (
	markerName = "folder" // in the private area: the folder's id
	lockName   = "lock"   // in the private area: held by the live daemon
)

// RacyWindow is how long after an inode's change another one might carry the same timestamp: two ticks of the slowest
// kernel clock. Where the file system gives every change that can be told apart a time of its own, it is none.
const RacyWindow = 20 * time.Millisecond

// FS is the tree of one folder. Every method takes paths inside the root and follows no symbolic link, neither in the
// last component nor on the way; a path that would leave the root, or cross into another mounted file system, is an
// error. Paths may lie in farm.PrivateDir, which Prepare makes.
//
// Errors are *farm.Error with a kind: NotFound (no such entry, or a parent is missing or no directory), Exists (the
// name is taken, or a directory is not empty), Denied, Full, Unsupported, Conflict (a symlink or a mount stands in the
// way), Corrupt (EIO), Other. errors.Is on fs.ErrNotExist and fs.ErrExist works too.
type FS interface {
	// Prepare makes the private area (0700): staging/, preserved/, barrier/ and the marker that names the folder.
	// It refuses a root that another folder or another live daemon has (lock in the private area).
	Prepare(folder farm.FolderID) error

	// CheckRoot tells whether the root still is the directory that was opened, with our marker in it.
	CheckRoot() error

	Lstat(p farm.Path) (Stat, error)
	ReadDir(p farm.Path) ([]DirEntry, error) // sorted by name; the private area is left out of the root's
	Readlink(p farm.Path) (string, error)
	Open(p farm.Path) (File, error) // regular files only, for reading; never blocks on a FIFO

	// Temp makes a nameless file (mode 0600) on the folder's file system. It vanishes unless linked.
	Temp() (Temp, error)

	// Partial opens p, a file of the staging directory, to go on with what was begun there; it makes it (0600) if need
	// be. Unlike one of Temp's it stays when it is closed, and Link moves it.
	Partial(p farm.Path) (Temp, error)

	Mkdir(p farm.Path, mode uint32) error // exactly mode, whatever the umask
	Symlink(target string, p farm.Path) error

	// XAttrs are the extended attributes of p, without following it, as far as they belong to the tree (Options). On a
	// file system that has none there are none.
	XAttrs(p farm.Path) (farm.XAttrs, error)

	// SetAttr sets mode (not of symlinks), owner, extended attributes and modification time, nanoseconds since 1970,
	// without following p.
	SetAttr(p farm.Path, set SetAttr) error

	RenameNoReplace(from, to farm.Path) error // Exists if to is taken
	Exchange(a, b farm.Path) error            // atomically swaps two existing names, of whatever type
	Remove(p farm.Path) error                 // a file or symlink
	RemoveDir(p farm.Path) error              // an empty directory, otherwise Exists

	// OpenLog opens p, a file of the private area, for appending; it makes it (0600) if need be.
	OpenLog(p farm.Path) (Log, error)

	// Sync makes all that was done durable.
	Sync() error

	Free() (bytes, inodes uint64, err error)
	Close() error
}

// Stat is what Lstat tells.
type Stat struct {
	Type  farm.Type // File, Dir, Symlink; Absent for everything else (devices, sockets, FIFOs)
	Other string    // what it is when Type is Absent: "fifo", "socket", "device"
	Owner farm.Owner
	Links uint64
	farm.Fingerprint

	XAttrs bool   // it may have extended attributes of the tree
	bits   uint32 // mode bits of the tree; 0: farm.ModeBits
}

// Attr is what the stat says of the attributes that are replicated; digest, target and
// extended attributes are not in a stat.
func (s Stat) Attr() farm.Attr {
	a := farm.Attr{Type: s.Type, Owner: s.Owner}
	bits := max(s.bits, farm.ModeBits)
	switch s.Type {
	case farm.File:
		a.Mode, a.MTime, a.Size = s.Mode&bits, s.MTime, s.Size
	case farm.Dir:
		a.Mode = s.Mode & bits
	case farm.Symlink:
		a.MTime = s.MTime
	default:
		return farm.Attr{}
	}
	return a
}

// DirEntry is a child of a directory.
type DirEntry struct {
	Name string
	Type farm.Type // as in Stat
}

// SetAttr lists what to set; nil leaves it as it is.
type SetAttr struct {
	Ino   uint64      // not 0: only if the path still leads to this inode, otherwise Conflict
	Mode  *uint32     // bits of the tree (Options); a setgid bit that a directory already has stays
	Owner *farm.Owner // by name where the system knows it, else by id; without the right to, it is left and no error

	// XAttrs are all that the path shall have of those that belong to the tree. What the system can't represent or
	// forbids is left out and no error; if that is an access list, the mode gives nobody more than the list did: Mode
	// comes along.
	XAttrs *farm.XAttrs

	MTime *int64
}

// File is an open regular file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Stat() (Stat, error)
	XAttrs() (farm.XAttrs, error) // as FS.XAttrs
	// Writers tells whether any process has the file open for writing (F_SETLEASE). Unknown is false.
	Writers() bool
}

// Temp is a nameless file being prepared. What is to be written comes first, attributes next, Link last.
type Temp interface {
	io.Writer
	io.WriterAt
	io.ReaderAt
	io.Closer // discards it unless it was linked
	SetAttr(SetAttr) error
	Stat() (Stat, error)
	XAttrs() (farm.XAttrs, error) // as FS.XAttrs
	// Link gives it a name; Exists if the name is taken. The name, when it appears, shows the complete file, which
	// nobody has open for writing.
	Link(p farm.Path) error
	// CopyFrom appends the whole content of a file of the same folder, by reflink or copy_file_range where it can.
	CopyFrom(File) (int64, error)
	// CopyRange copies n bytes of a file of the same folder, from offset at on, to offset to; it fails if the file ends
	// before. It may share the bytes with the file as CopyFrom does. Any number of goroutines may write, each its part.
	CopyRange(f File, at, to, n int64) error
	// Truncate sets the size. What was not written is zeros, and takes no room where the file system can.
	Truncate(size int64) error
}

// Log is an append-only file of the private area. What was written survives the death of the process, not of the system.
type Log interface {
	io.Writer // appends all of it or fails
	io.Closer
	Reset() error // makes it empty
}

// copyBufferBytes is copied at a time where the system does not copy by itself.
const copyBufferBytes = 256 << 10

// copyPart is CopyRange for a file that the system knows nothing about.
func copyPart(t io.WriterAt, f File, at, to, n int64) error {
	buf := make([]byte, min(n, copyBufferBytes))
	for n > 0 {
		b := buf[:min(int64(len(buf)), n)]
		if _, err := io.ReadFull(io.NewSectionReader(f, at, int64(len(b))), b); err != nil {
			return farm.Errorf("copy", "", farm.Conflict, "the file became shorter: %w", err)
		}
		if _, err := t.WriteAt(b, to); err != nil {
			return err
		}
		at, to, n = at+int64(len(b)), to+int64(len(b)), n-int64(len(b))
	}
	return nil
}

// copyAll is CopyFrom for a file that the system knows nothing about.
func copyAll(to io.Writer, f File) (int64, error) {
	st, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return io.Copy(to, io.NewSectionReader(f, 0, st.Size))
}
