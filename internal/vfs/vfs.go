package vfs

import (
	"io"

	"tandem/internal/farm"
)

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
	Mkdir(p farm.Path, mode uint32) error // exactly mode, whatever the umask
	Symlink(target string, p farm.Path) error

	// SetAttr sets mode (not of symlinks), owner and modification time, nanoseconds since 1970, without following p.
	SetAttr(p farm.Path, set SetAttr) error

	RenameNoReplace(from, to farm.Path) error // Exists if to is taken
	Exchange(a, b farm.Path) error            // atomically swaps two existing names, of whatever type
	Remove(p farm.Path) error                 // a file or symlink
	RemoveDir(p farm.Path) error              // an empty directory, otherwise Exists

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
}

// DirEntry is a child of a directory.
type DirEntry struct {
	Name string
	Type farm.Type // as in Stat
}

// SetAttr lists what to set; nil leaves it as it is.
type SetAttr struct {
	Mode  *uint32
	Owner *farm.Owner // by name where the system knows it, else by id; without the right to, it is left and no error
	MTime *int64
}

// File is an open regular file.
type File interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Stat() (Stat, error)
	// Writers tells whether any process has the file open for writing (F_SETLEASE). Unknown is false.
	Writers() bool
}

// Temp is a nameless file being prepared.
type Temp interface {
	io.Writer
	io.Closer // discards it unless it was linked
	SetAttr(SetAttr) error
	Stat() (Stat, error)
	// Link gives it a name; Exists if the name is taken. The name, when it appears, shows the complete file.
	Link(p farm.Path) error
	// CopyFrom appends the content of a file of the same folder, by reflink or copy_file_range where it can.
	CopyFrom(File) (int64, error)
}
