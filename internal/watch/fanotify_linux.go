package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

const (
	fanotifyMask = unix.FAN_CLOSE_WRITE | unix.FAN_CREATE | unix.FAN_DELETE | unix.FAN_ATTRIB | unix.FAN_MODIFY | unix.FAN_ONDIR
	fanotifyMove = unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO // where FAN_RENAME is not to be had, which says both at once
)

// fanotify has one mark for the whole file system of the folder. Each notification names a directory by its handle,
// and a name in it. There is no limit of watches and no race with new directories; the price is that everything on the
// file system is reported, so that what is of no concern must be dropped quickly.
//
// fanotify(7), Linux 5.9 and later; needs CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH.
type fanotify struct {
	*reader
	dirs      *dirCache
	pid       int32
	own       bool // report what this process does
	ownPrefix string
	staging   []byte // handle of the directory in which this process prepares what it installs; nil: unknown

	seen, foreign atomic.Uint64
	cached        atomic.Int64
}

func openFanotify(w *Watcher) (source, error) {
	const class = unix.FAN_CLASS_NOTIF | unix.FAN_REPORT_DFID_NAME | unix.FAN_CLOEXEC | unix.FAN_NONBLOCK
	fd, err := unix.FanotifyInit(class|unix.FAN_UNLIMITED_QUEUE, unix.O_RDONLY)
	if errors.Is(err, unix.EPERM) {
		fd, err = unix.FanotifyInit(class, unix.O_RDONLY)
	}
	if err != nil {
		return nil, os.NewSyscallError("fanotify_init", err)
	}
	r, err := newReader(w, fd)
	if err != nil {
		return nil, err
	}
	f := &fanotify{reader: r, dirs: newDirCache(int(r.root.Fd())), pid: int32(os.Getpid()), own: w.opts.Own, ownPrefix: w.opts.OwnPrefix}
	if err := f.start(w); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// start sets the mark and proves that it works on this file system.
func (f *fanotify) start(w *Watcher) error {
	if err := local(f.root); err != nil {
		return err
	}
	const flags = unix.FAN_MARK_ADD | unix.FAN_MARK_FILESYSTEM
	raw, err := f.queue.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		failed = unix.FanotifyMark(int(fd), flags, fanotifyMask|unix.FAN_RENAME, int(f.root.Fd()), "")
		if errors.Is(failed, unix.EINVAL) { // before Linux 5.17
			failed = unix.FanotifyMark(int(fd), flags, fanotifyMask|fanotifyMove, int(f.root.Fd()), "")
		}
	})
	if err := errors.Join(err, failed); err != nil {
		return fmt.Errorf("fanotify_mark: %w", err)
	}
	f.hush(raw, w.opts.Quiet)
	f.cookie = newCookie(w.root, nil)
	return f.probe(w, f.step)
}

func (f *fanotify) stats(s *Stats) {
	s.Seen, s.Foreign = f.seen.Load(), f.foreign.Load()
	s.Watches = int(f.cached.Load())
}

func (f *fanotify) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { f.queue.Close() })()
	var p pace
	for {
		before := f.ours()
		if err := f.step(); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		p.next(time.Now(), f.ours() != before)
	}
}

// ours is the number of notifications that were of concern.
func (f *fanotify) ours() uint64 { return f.seen.Load() - f.foreign.Load() }

// step reads and handles one buffer of notifications.
func (f *fanotify) step() error {
	n, err := f.queue.Read(f.buf)
	if err != nil {
		return err
	}
	now := time.Now()
	seen, foreign := uint64(0), uint64(0)
	for buf := f.buf[:n]; len(buf) > 0; {
		var ev fanEvent
		if ev, buf, err = nextFanEvent(buf); err != nil {
			return err
		}
		seen++
		if !f.handle(ev, now) {
			foreign++
		}
	}
	f.seen.Add(seen)
	f.foreign.Add(foreign)
	f.cached.Store(int64(len(f.dirs.known)))
	return nil
}

// handle reports what one notification is about; false if it is of no concern.
func (f *fanotify) handle(ev fanEvent, now time.Time) bool {
	if ev.mask&unix.FAN_RENAME != 0 {
		return f.renamed(ev, now)
	}
	return f.one(ev, now)
}

// renamed reports a rename: of a directory in the folder as such, of anything else as what happened to the two names.
func (f *fanotify) renamed(ev fanEvent, now time.Time) bool {
	from, to := ev, ev
	from.mask = ev.mask&^unix.FAN_RENAME | unix.FAN_MOVED_FROM
	to.mask = ev.mask&^unix.FAN_RENAME | unix.FAN_MOVED_TO
	to.dir, to.name = ev.newDir, ev.newName
	if ev.mask&unix.FAN_ONDIR != 0 && ev.pid == f.pid && !f.own && f.staging != nil && bytes.Equal(ev.dir, f.staging) {
		f.dirs.empty()
		return false // new, and empty: all that is done in it since then has notifications under its new name
	}
	if ev.mask&unix.FAN_ONDIR != 0 && ev.pid != f.pid {
		was, is := f.pathOf(from), f.pathOf(to)
		if !was.IsRoot() && !is.IsRoot() {
			f.dirs.empty()
			f.g.moved(was, is)
			return true
		}
	}
	left := f.one(from, now)
	return f.one(to, now) || left
}

// pathOf is the path that a notification names; the root if it is none that concerns anybody.
func (f *fanotify) pathOf(ev fanEvent) farm.Path {
	if len(ev.dir) == 0 {
		return farm.Path{}
	}
	at, err := f.dirs.resolve(ev.dir)
	if err != nil || at.kind != inside {
		return farm.Path{}
	}
	p, ok := childOf(at.path, ev.name)
	if !ok || p.Private() {
		return farm.Path{}
	}
	return p
}

// one reports what happened to one name.
func (f *fanotify) one(ev fanEvent, now time.Time) bool {
	if ev.mask&unix.FAN_Q_OVERFLOW != 0 {
		f.dirs.empty() // a lost notification may have been that of a moved directory
		f.g.lost("the system's queue overflowed")
		return true
	}
	// A moved directory is looked at whoever moved it: it changes what handles stand for, and what others did in it
	// just before may be reported under either path.
	dirMoved := ev.mask&unix.FAN_ONDIR != 0 && ev.mask&(unix.FAN_MOVED_FROM|unix.FAN_MOVED_TO) != 0
	own := ev.pid == f.pid && !f.own && (f.ownPrefix == "" || !strings.HasPrefix(string(ev.name), f.ownPrefix))
	barrier, isCookie := f.cookie.id(ev.name)
	if own && !dirMoved && !isCookie || len(ev.dir) == 0 {
		return false
	}
	at, err := f.dirs.resolve(ev.dir)
	switch {
	case err != nil: // no descriptor or memory to look: it may have been one of ours
		f.g.lost(err.Error())
		return true
	case at.kind == outside:
		return false
	case at.kind == barriers && isCookie && ev.mask&unix.FAN_MOVED_TO != 0:
		f.g.barrier(barrier)
		return true
	case at.kind != inside:
		return false
	}
	if dirMoved {
		f.dirs.empty()
	}
	p, ok := childOf(at.path, ev.name)
	if !ok || p.Private() {
		return false
	}
	f.report(p, ev.mask, now)
	return true
}

// report decides how urgent a notification about p is.
func (f *fanotify) report(p farm.Path, mask uint64, now time.Time) {
	const complete = unix.FAN_CLOSE_WRITE | unix.FAN_DELETE | unix.FAN_MOVED_FROM | unix.FAN_MOVED_TO | unix.FAN_ATTRIB
	switch {
	case mask&unix.FAN_ONDIR != 0 && mask&(unix.FAN_DELETE|unix.FAN_MOVED_FROM|unix.FAN_MOVED_TO) != 0:
		f.g.tree(p)
	case mask&unix.FAN_ONDIR != 0 || mask&complete != 0:
		f.g.changed(p)
	case mask&unix.FAN_CREATE != 0 && !closeFollows(f.root, p):
		f.g.changed(p)
	default:
		f.g.modified(p, now)
	}
}

// childOf is the entry that a notification names; "." is the directory itself.
func childOf(dir farm.Path, name []byte) (farm.Path, bool) {
	if len(name) == 0 || string(name) == "." {
		return dir, true
	}
	p, err := dir.Join(string(name))
	return p, err == nil
}
