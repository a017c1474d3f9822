package watch

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// readBytes is the size of the buffer for notifications; the kernel fills it with as many as fit.
const readBytes = 128 << 10

func systemOpeners() []opener {
	return []opener{{Fanotify, openFanotify}, {Inotify, openInotify}}
}

// reader is the part that both Linux sources share: a queue to read from and a cookie that goes through it.
type reader struct {
	g      *gather
	cookie *cookie
	root   *os.File // the folder, for calls relative to it
	queue  *os.File
	buf    []byte
}

// newReader opens the folder a second time, because os.Root does not give its descriptor away. The queue, which must
// be non-blocking, belongs to the reader from now on.
func newReader(w *Watcher, queue int) (*reader, error) {
	r := &reader{g: w.held, queue: os.NewFile(uintptr(queue), "notifications"), buf: make([]byte, readBytes)}
	var err error
	if r.root, err = w.root.Open("."); err != nil {
		r.queue.Close()
	}
	return r, err
}

func (r *reader) barrier(id uint64) error { return r.cookie.move(id) }

func (r *reader) close() error {
	if r.cookie != nil {
		r.cookie.close()
	}
	return errors.Join(ignoreClosed(r.queue.Close()), ignoreClosed(r.root.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// probe proves that notifications arrive here: it moves the cookie and reads, by step, until the barrier has passed.
// File systems exist that accept a watch and never notify. What else is read meanwhile happened before Open returned.
func (r *reader) probe(w *Watcher, step func() error) error {
	if w.opts.NoBarriers {
		return nil
	}
	id := w.last + 1
	w.last = id
	w.held.issue(id)
	if err := r.cookie.move(id); err != nil {
		return err
	}
	if err := r.queue.SetReadDeadline(time.Now().Add(probeTime)); err != nil {
		return err
	}
	for !w.held.hasPassed(id) {
		if err := step(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return errors.New("no notification of a file of our own came")
			}
			return err
		}
	}
	w.held.reset()
	return r.queue.SetReadDeadline(time.Time{})
}

// beneath resolves paths without leaving the folder, whatever is swapped for what meanwhile.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV

// openBeneath opens a path of the folder and never anything outside of it.
func openBeneath(root *os.File, p farm.Path, flags uint64) (int, error) {
	how := unix.OpenHow{Flags: flags | unix.O_CLOEXEC | unix.O_NOFOLLOW, Resolve: beneath}
	for {
		fd, err := unix.Openat2(int(root.Fd()), p.String(), &how)
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

// procPath is a path to an open file, for calls that take nothing else.
func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// closeFollows tells whether p is a plain file with one name, so that it was made by open and a close will follow.
// Everything else that has been created (a hard link, a symlink, a FIFO) is complete already.
func closeFollows(root *os.File, p farm.Path) bool {
	fd, err := openBeneath(root, p, unix.O_PATH)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && st.Nlink == 1
}

// networkFS lists file systems on which other machines change files without a notification here.
var networkFS = map[int64]string{
	unix.NFS_SUPER_MAGIC:   "nfs",
	unix.SMB_SUPER_MAGIC:   "smb",
	unix.SMB2_SUPER_MAGIC:  "smb",
	unix.CIFS_SUPER_MAGIC:  "cifs",
	unix.V9FS_MAGIC:        "9p",
	unix.AFS_SUPER_MAGIC:   "afs",
	unix.CEPH_SUPER_MAGIC:  "ceph",
	unix.FUSE_SUPER_MAGIC:  "fuse",
	unix.CODA_SUPER_MAGIC:  "coda",
	unix.OCFS2_SUPER_MAGIC: "ocfs2",
}

// local refuses network file systems.
func local(root *os.File) error {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(root.Fd()), &st); err != nil {
		return err
	}
	if name, ok := networkFS[int64(st.Type)]; ok {
		return fmt.Errorf("the folder is on %s, where other machines change files unnoticed", name)
	}
	return nil
}
