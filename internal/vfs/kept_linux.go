package vfs

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// keptFor is how long a directory that is kept open is believed to be the one at its path.
const keptFor = 100 * time.Millisecond

// kept are the directories of the private area through which nearly everything goes that is installed or removed: they stay
// open, so that they are resolved ten times a second and not once per call. Were one replaced, a call in between would fail
// as if it were missing.
type kept struct {
	mu   sync.Mutex
	dirs [2]keptDir
	old  []int // descriptors of those that were replaced; somebody may use them still
}

type keptDir struct {
	fd     int
	ino    uint64
	looked time.Time // zero: it is not open
}

var keptPaths = [2]farm.Path{farm.MustPath(StagingDir), farm.MustPath(PreservedDir)}

// keptAs is the place of the directory p among those that are kept; -1: it is none of them.
func keptAs(p farm.Path) int {
	for i, k := range keptPaths {
		if p == k {
			return i
		}
	}
	return -1
}

// keptDir returns the descriptor of p, if it is one of those that are kept. It is not the caller's to close.
func (d *disk) keptDir(p farm.Path) (fd int, ok bool) {
	i := keptAs(p)
	if i < 0 || d.lock < 0 || d.closed.Load() {
		return -1, false
	}
	d.kept.mu.Lock()
	defer d.kept.mu.Unlock()
	k := &d.kept.dirs[i]
	now := time.Now()
	if k.looked.IsZero() || now.Sub(k.looked) > keptFor || now.Before(k.looked) {
		if !d.relook(k, p) {
			return -1, false
		}
		k.looked = now
	}
	return k.fd, true
}

// relook opens what is at p now, if it is another directory than before.
func (d *disk) relook(k *keptDir, p farm.Path) bool {
	fd, err := d.open(p, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return false
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		unix.Close(fd)
		return false
	}
	if !k.looked.IsZero() && st.Ino == k.ino {
		unix.Close(fd)
		return true
	}
	if !k.looked.IsZero() {
		d.kept.old = append(d.kept.old, k.fd)
	}
	k.fd, k.ino = fd, st.Ino
	return true
}

// in returns the directory of p as one that is open, if it is kept so and can be looked into.
func (d *disk) in(p farm.Path) (openDirectory, bool) {
	if !d.statx || p.IsRoot() {
		return openDirectory{}, false
	}
	fd, ok := d.keptDir(p.Parent())
	return openDirectory{d, p.Parent(), fd}, ok
}

// letGo returns the descriptors of all that was kept.
func (k *kept) letGo() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	fds := k.old
	for _, dir := range k.dirs {
		if !dir.looked.IsZero() {
			fds = append(fds, dir.fd)
		}
	}
	return fds
}
