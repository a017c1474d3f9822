package watch

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

const inotifyMask = unix.IN_CLOSE_WRITE | unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO |
	unix.IN_ATTRIB | unix.IN_MODIFY | unix.IN_ONLYDIR | unix.IN_EXCL_UNLINK

// inotify has one watch per directory. The rule that makes it complete: first add the watch, then list. Whatever was
// made before the listing is in it, and whatever is made later is notified. A directory that appears or moves is listed
// so, and reported as a tree where it was not empty.
//
// One goroutine owns it: the one in openInotify, then the one in run. inotify(7).
type inotify struct {
	*reader
	tree     *watchTree
	interval time.Duration
	report   func(unwatched []farm.Path)

	half      halfMove     // the first notification of a rename, the second of which is still to come
	nextTry   time.Time    // to watch what could not be watched
	barrierWD atomic.Int32 // watch of the directory of cookies

	seen, foreign, watches atomic.Uint64
	unwatched              atomic.Pointer[[]farm.Path]
}

// halfMove is a directory that was moved away, to nobody knows where yet.
type halfMove struct {
	from farm.Path
	pair uint32
}

func openInotify(w *Watcher) (source, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	r, err := newReader(w, fd)
	if err != nil {
		return nil, err
	}
	i := &inotify{reader: r, interval: w.opts.Interval, report: w.reportUnwatched}
	i.tree = newWatchTree(inotifyWatches{r}, w.opts.MaxWatches)
	if err := i.start(w); err != nil {
		i.close()
		return nil, err
	}
	return i, nil
}

func (i *inotify) start(w *Watcher) error {
	if err := local(i.root); err != nil {
		return err
	}
	i.cookie = newCookie(w.root, i.watchCookie)
	if err := i.probe(w, i.step); err != nil {
		return err
	}
	if _, err := i.tree.add(farm.Path{}); err != nil {
		return err
	}
	i.publish()
	return nil
}

// watchCookie watches the directory of cookies, which may be a new one. Any goroutine may call it.
func (i *inotify) watchCookie() error {
	fd, err := openBeneath(i.root, farm.MustPath(barrierDir), unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	wd, err := inotifyWatches{i.reader}.addFD(fd, unix.IN_MOVED_TO)
	if err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
	i.barrierWD.Store(wd)
	return nil
}

func (i *inotify) stats(s *Stats) {
	s.Seen, s.Foreign, s.Watches = i.seen.Load(), i.foreign.Load(), int(i.watches.Load())
	if u := i.unwatched.Load(); u != nil {
		s.Unwatched = slices.Clone(*u)
	}
}

// publish shows what stats tell, and raises an event when that begins or ceases to be a part of the folder.
func (i *inotify) publish() {
	i.watches.Store(uint64(len(i.tree.paths)))
	now := slices.Clone(i.tree.unwatched)
	before := i.unwatched.Swap(&now)
	if before == nil && len(now) > 0 || before != nil && (len(*before) > 0) != (len(now) > 0) {
		i.report(now)
	}
}

func (i *inotify) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { i.queue.Close() })()
	for {
		// A deadline is set only while something has to be polled.
		var deadline time.Time
		if len(i.tree.unwatched) > 0 {
			if i.nextTry.IsZero() {
				i.nextTry = time.Now().Add(i.interval)
			}
			deadline = i.nextTry
		}
		err := i.queue.SetReadDeadline(deadline)
		if err == nil {
			err = i.step()
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			i.nextTry = time.Time{}
			if err := i.poll(); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// poll reports what is not watched, and tries again to watch it.
func (i *inotify) poll() error {
	for _, p := range i.tree.takeUnwatched() {
		if _, err := i.tree.add(p); err != nil {
			return err
		}
		i.g.tree(p)
	}
	i.publish()
	return nil
}

// step reads and handles one buffer of notifications.
func (i *inotify) step() error {
	n, err := i.queue.Read(i.buf)
	if err != nil {
		return err
	}
	now := time.Now()
	for buf := i.buf[:n]; len(buf) > 0; {
		var ev inoEvent
		if ev, buf, err = nextInoEvent(buf); err != nil {
			return err
		}
		i.seen.Add(1)
		if err := i.handle(ev, now); err != nil {
			return err
		}
	}
	i.endHalf()
	return nil
}

// endHalf reports a directory that was moved away, if nothing tells where to.
func (i *inotify) endHalf() {
	if i.half != (halfMove{}) {
		i.g.tree(i.half.from)
		i.half = halfMove{}
	}
}

// handle reports what one notification is about, and keeps the watches in step with the tree.
func (i *inotify) handle(ev inoEvent, now time.Time) error {
	if i.half.pair != ev.pair || ev.mask&unix.IN_MOVED_TO == 0 {
		i.endHalf()
	}
	if ev.mask&(unix.IN_Q_OVERFLOW|unix.IN_UNMOUNT) != 0 {
		return i.recover()
	}
	if ev.watch == i.barrierWD.Load() {
		if id, ok := i.cookie.id(ev.name); ok && ev.mask&unix.IN_MOVED_TO != 0 {
			for _, p := range i.tree.unwatched { // what is not watched has no order: it is walked
				i.g.tree(p)
			}
			i.g.barrier(id)
		}
		i.foreign.Add(1)
		return nil
	}
	dir, ok := i.tree.paths[ev.watch]
	if !ok {
		i.foreign.Add(1) // a directory that was moved or removed: reported by what happened to it
		return nil
	}
	if ev.mask&unix.IN_IGNORED != 0 {
		i.tree.forget(ev.watch)
		i.publish()
		if dir.IsRoot() {
			i.g.lost("the root was removed") // whoever rescans finds out what became of the root
		}
		return nil
	}
	p, ok := childOf(dir, ev.name)
	if !ok || p.Private() {
		i.foreign.Add(1)
		return nil
	}
	if ev.mask&unix.IN_ISDIR != 0 {
		return i.directory(p, ev)
	}
	i.file(p, ev.mask, now)
	return nil
}

// file decides how urgent a notification about p is, which is no directory.
func (i *inotify) file(p farm.Path, mask uint32, now time.Time) {
	switch {
	case mask&(unix.IN_CLOSE_WRITE|unix.IN_DELETE|unix.IN_MOVED_FROM|unix.IN_MOVED_TO|unix.IN_ATTRIB) != 0:
		i.g.changed(p)
	case mask&unix.IN_CREATE != 0 && !closeFollows(i.root, p):
		i.g.changed(p)
	case mask&(unix.IN_CREATE|unix.IN_MODIFY) != 0:
		i.g.modified(p, now)
	}
}

// directory follows what happened to a directory.
func (i *inotify) directory(p farm.Path, ev inoEvent) error {
	switch mask := ev.mask; {
	case mask&unix.IN_DELETE != 0: // the kernel takes the watch away itself
		i.g.tree(p)
		return nil
	case mask&unix.IN_MOVED_FROM != 0:
		// Another directory may be at p by now, and may have been found in a listing: so remove, then add.
		i.tree.remove(p)
		if _, err := i.tree.add(p); err != nil {
			return err
		}
		i.half = halfMove{p, ev.pair}
	case mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0 || mask&unix.IN_ATTRIB != 0 && !i.tree.watched(p):
		populated, err := i.tree.add(p)
		if err != nil {
			return err
		}
		switch {
		case mask&unix.IN_MOVED_TO != 0 && i.half != (halfMove{}):
			i.g.moved(i.half.from, p)
			i.half = halfMove{}
		case populated || mask&unix.IN_MOVED_TO != 0:
			i.g.tree(p)
		default:
			i.g.changed(p)
		}
	default:
		i.g.changed(p)
		return nil
	}
	i.publish()
	return nil
}

// recover looks for all directories again, after notifications have been lost.
func (i *inotify) recover() error {
	err := i.tree.rebuild()
	i.g.lost("the system's queue overflowed")
	i.publish()
	return err
}

// inotifyWatches adds and removes watches of a queue.
type inotifyWatches struct{ *reader }

// add watches a directory and returns it open for listing.
func (w inotifyWatches) add(p farm.Path) (int32, lister, error) {
	fd, err := openBeneath(w.root, p, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return 0, nil, err
	}
	dir := os.NewFile(uintptr(fd), procPath(fd))
	wd, err := w.addFD(fd, inotifyMask)
	if err != nil {
		dir.Close()
		return 0, nil, err
	}
	return wd, dir, nil
}

// addFD watches an open directory. The way through /proc leads to that very directory, whatever its name is now.
func (w inotifyWatches) addFD(dir int, mask uint32) (int32, error) {
	raw, err := w.queue.SyscallConn()
	if err != nil {
		return 0, err
	}
	var wd int
	var failed error
	err = raw.Control(func(queue uintptr) { wd, failed = unix.InotifyAddWatch(int(queue), procPath(dir), mask) })
	return int32(wd), errors.Join(err, failed)
}

func (w inotifyWatches) remove(wd int32) {
	raw, err := w.queue.SyscallConn()
	if err != nil {
		return
	}
	// An error means that the watch went with its directory.
	raw.Control(func(queue uintptr) { unix.InotifyRmWatch(int(queue), uint32(wd)) })
}

// lister is a directory being listed.
type lister interface {
	ReadDir(n int) ([]os.DirEntry, error)
	io.Closer
}
