package watch

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// maxCachedDirs is how many directories are remembered; one more, and all are forgotten.
const maxCachedDirs = 65_536

// How patient open is with an inode in transition.
const (
	maxDecodeTries = 20
	decodePause    = time.Millisecond
)

// Kinds of directories.
const (
	outside  = iota // of the folder, or gone: its parent's notification says so
	inside          // and replicated
	private         // in the private area
	barriers        // where cookies live
)

// place is where a directory is.
type place struct {
	kind int
	path farm.Path // if inside
}

// dirCache remembers where directories are, by file handle. A handle names one directory for ever, whatever it is
// called; so an entry becomes wrong only when a directory is moved, and then the whole cache is emptied. It need not
// be right at the time of the event, only at some time up to now: a move that made it wrong has a notification of its
// own, further on in the queue, after which the moved tree is walked.
type dirCache struct {
	rootFD int // the folder, open
	known  map[string]place
	link   [unix.PathMax]byte // for readlink
}

func newDirCache(rootFD int) *dirCache {
	return &dirCache{rootFD: rootFD, known: make(map[string]place)}
}

func (c *dirCache) empty() { clear(c.known) }

// resolve finds out where the directory of a handle is. An error means that it could not be found out now.
func (c *dirCache) resolve(handle []byte) (place, error) {
	if at, ok := c.known[string(handle)]; ok {
		return at, nil
	}
	at, err := c.look(handle)
	if err != nil {
		return at, err
	}
	if len(c.known) >= maxCachedDirs {
		c.known = make(map[string]place)
	}
	c.known[string(handle)] = at
	return at, nil
}

func (c *dirCache) look(handle []byte) (place, error) {
	fd, err := c.open(handle)
	if errors.Is(err, unix.ESTALE) || errors.Is(err, unix.ENOENT) {
		return place{kind: outside}, nil
	}
	if err != nil {
		return place{}, os.NewSyscallError("open_by_handle_at", err)
	}
	defer unix.Close(fd)
	root, err := c.pathOf(c.rootFD)
	for err == nil {
		var dir, again string
		if dir, err = c.pathOf(fd); err != nil {
			break
		}
		if again, err = c.pathOf(c.rootFD); err == nil && again == root {
			return locate(root, dir, removed(fd, dir)), nil
		}
		root = again // the folder itself is being moved: look again
	}
	if errors.Is(err, unix.ENAMETOOLONG) { // longer than any path that a program can use; left to the scan
		return place{kind: outside}, nil
	}
	return place{}, err
}

// open opens the directory of a handle. When the directory is gone and its inode is just being given to a new file, some
// file systems say ENOMEM for the moment that this takes (iget_locked gives no reason, and ext4 guesses this one).
func (c *dirCache) open(handle []byte) (int, error) {
	kind := int32(binary.NativeEndian.Uint32(handle[4:]))
	h := unix.NewFileHandle(kind, handle[fanHandleBytes:])
	for try := 1; ; try++ {
		fd, err := unix.OpenByHandleAt(c.rootFD, h, unix.O_PATH|unix.O_CLOEXEC)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOMEM) && try < maxDecodeTries:
			time.Sleep(decodePause)
		default:
			return fd, err
		}
	}
}

// removed tells whether the directory fd is no longer anywhere. The kernel marks its path, but a name may end like that.
func removed(fd int, path string) bool {
	var st unix.Stat_t
	return strings.HasSuffix(path, " (deleted)") && unix.Fstat(fd, &st) == nil && st.Nlink == 0
}

// pathOf is the path of an open directory as the kernel sees it now.
func (c *dirCache) pathOf(fd int) (string, error) {
	n, err := unix.Readlink(procPath(fd), c.link[:])
	if err != nil {
		return "", os.NewSyscallError("readlink", err)
	}
	return string(c.link[:n]), nil
}

// locate tells where dir is, both being absolute paths.
func locate(root, dir string, removed bool) place {
	rel, below := strings.CutPrefix(dir, strings.TrimSuffix(root, "/")+"/")
	if removed || !below && dir != root {
		return place{kind: outside}
	}
	if dir == root {
		rel = ""
	}
	p, err := farm.ParsePath(rel)
	switch {
	case err != nil:
		return place{kind: outside}
	case p.String() == barrierDir:
		return place{kind: barriers}
	case p.Private():
		return place{kind: private}
	}
	return place{kind: inside, path: p}
}
