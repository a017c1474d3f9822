package watch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// Limits and times.
const (
	MaxDirtyPaths       = 65_536
	MaxOpenBarriers     = 65_536
	QuietTime           = 150 * time.Millisecond // without a write, until an open file is reported
	MaxQuietTime        = 2 * time.Second        // from the first write, until an open file is reported anyway
	DefaultPollInterval = 2 * time.Second
	probeTime           = time.Second // until the notification of our own cookie must have come
)

// Mode is a way to notice changes.
type Mode string

// The modes, as they are written in farm.toml.
const (
	Auto     Mode = "auto" // the first of the following that works
	Fanotify Mode = "fanotify"
	Inotify  Mode = "inotify"
	Poll     Mode = "poll"
)

// ParseMode returns the mode named s; "" is Auto.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return Auto, nil
	case Auto, Fanotify, Inotify, Poll:
		return m, nil
	}
	return "", fmt.Errorf("%q is not a way to watch: use auto, fanotify, inotify or poll", s)
}

// Batch is what has been noticed since the batch before. Its slices belong to the receiver.
type Batch struct {
	Dirty    []farm.Path // paths to examine, in the order first noticed; never the root
	Trees    []farm.Path // directories (in Dirty too, but for the root) that appeared, vanished or moved: below them anything may differ
	Moves    []Move      // directories that were renamed: they are neither in Dirty nor in Trees
	Rescan   bool        // notifications were lost: look at everything
	Barriers []uint64    // barriers passed, ascending; a barrier passes no later than any younger one
}

// Move is a directory that was renamed within the folder, as far as notifications tell: a hint, as all else.
type Move struct{ From, To farm.Path }

// Options of a Watcher. The zero value is usable.
type Options struct {
	Folder     farm.FolderID // names the folder in events
	Own        bool          // fanotify: report what this process changes, too (inotify and poll always do)
	OwnPrefix  string        // fanotify: report that of entries whose names begin so; empty: of none
	Small      bool          // few directories on a file system where much else happens: inotify before fanotify, which hears of all
	Quiet      []string      // fanotify: directories outside of the folder in which this process alone works: what happens to files there is not even read
	NoBarriers bool          // write nothing below the root: no cookies, so no barriers and no proof that notifications come
	Interval   time.Duration // between two looks at what has to be polled; 0: DefaultPollInterval
	MaxDirty   int           // paths held; 0: MaxDirtyPaths
	MaxWatches int           // inotify watches used; 0: what the system allows
	Log        *slog.Logger  // nil: none
	Events     farm.Sink     // nil: none
}

// Stats are for status.
type Stats struct {
	Mode        Mode        `json:"mode"`
	Why         string      `json:"why"`                 // why this mode
	Held        int         `json:"held"`                // paths not yet taken by the consumer
	Quiet       int         `json:"quiet"`               // of these: open files waiting until they are quiet
	Watches     int         `json:"watches"`             // inotify: directories watched; fanotify: directories in the cache
	Unwatched   []farm.Path `json:"unwatched,omitempty"` // inotify: subtrees polled because watches ran out
	Seen        uint64      `json:"seen"`                // notifications read
	Foreign     uint64      `json:"foreign"`             // of these: of no concern (other folders, our own changes)
	Losses      uint64      `json:"losses"`              // times that notifications were lost
	LastLoss    string      `json:"lastLoss,omitempty"`  // why
	BarriersDue uint64      `json:"barriersDue"`         // barriers not yet passed
}

// source is one way to notice changes. What it notices goes to its gather.
type source interface {
	// run blocks until ctx ends, then returns nil, or until the source is broken.
	run(ctx context.Context) error
	// barrier makes gather.barrier(id) be called after all that has happened until now was noticed.
	barrier(id uint64) error
	// stats fills in what the source knows.
	stats(*Stats)
	close() error // may be called twice
}

// Watcher watches one folder.
type Watcher struct {
	mode Mode
	why  string
	src  source
	root *os.Root
	held *gather
	out  chan Batch
	opts Options

	turn sync.Mutex // one barrier at a time, so that they pass in order
	last uint64     // id of the latest barrier, guarded by turn

	closing sync.Once
	running atomic.Bool
}

// Open registers for changes below root in the given way. Whatever is changed after Open has returned will be
// reported, once Run runs. ROOT/.tandem/barrier is made if it is missing, but for NoBarriers.
//
// The error is NotFound if the root is missing, Unsupported or Denied if the mode that was asked for is not to be had
// here; Auto always finds one.
func Open(root string, mode Mode, opts Options) (*Watcher, error) {
	if opts.Interval <= 0 {
		opts.Interval = DefaultPollInterval
	}
	if opts.MaxDirty <= 0 {
		opts.MaxDirty = MaxDirtyPaths
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, openError(root, err)
	}
	w := &Watcher{root: r, held: newGather(opts.MaxDirty), out: make(chan Batch), opts: opts}
	if err := w.choose(mode); err != nil {
		r.Close()
		return nil, openError(root, err)
	}
	return w, nil
}

// opener is a mode and how to open its source. systemOpeners lists those of this system, best first.
type opener struct {
	mode Mode
	open func(*Watcher) (source, error)
}

// choose tries the sources in turn and keeps the first that works.
func (w *Watcher) choose(mode Mode) error {
	var refused error
	openers := systemOpeners()
	if w.opts.Small {
		slices.Reverse(openers)
	}
	for _, o := range append(openers, opener{Poll, openPoll}) {
		if mode != Auto && mode != o.mode {
			continue
		}
		src, err := o.open(w)
		if err == nil {
			w.mode, w.src, w.why = o.mode, src, "works here"
			switch {
			case mode != Auto:
				w.why = "by setting"
			case refused != nil:
				w.why = refused.Error()
			}
			return nil
		}
		refused = errors.Join(refused, fmt.Errorf("no %s: %w", o.mode, err))
	}
	if refused == nil {
		return farm.Errorf("watch", "", farm.Unsupported, "this system has no %s", mode)
	}
	return refused
}

func openError(root string, err error) error {
	kind := farm.KindOf(err)
	switch {
	case kind != farm.Other:
	case errors.Is(err, os.ErrNotExist):
		kind = farm.NotFound
	case errors.Is(err, os.ErrPermission):
		kind = farm.Denied
	case errors.Is(err, errors.ErrUnsupported):
		kind = farm.Unsupported
	}
	return &farm.Error{Op: "watch", Path: root, Kind: kind, Err: err}
}

// Mode tells which mode is active, and why.
func (w *Watcher) Mode() (Mode, string) { return w.mode, w.why }

// Stats tells how the watcher fares.
func (w *Watcher) Stats() Stats {
	s := Stats{Mode: w.mode, Why: w.why}
	w.held.stats(&s)
	w.src.stats(&s)
	return s
}

// Events is where batches come from. It is closed when Run ends. Nothing is lost while nobody receives: what is noticed
// meanwhile comes in one batch.
func (w *Watcher) Events() <-chan Batch { return w.out }

// Barrier makes a mark in the stream of notifications. The batch that lists the returned id, and those before it, hold
// all that was changed before the call. The batch may come before Barrier returns. A barrier that passed in a batch
// with Rescan or Trees has told all when these have been walked.
//
// The error is Full when MaxOpenBarriers have not yet passed, and Unsupported with NoBarriers.
func (w *Watcher) Barrier() (uint64, error) {
	if w.opts.NoBarriers {
		return 0, farm.Errorf("barrier", "", farm.Unsupported, "this watcher has none")
	}
	w.turn.Lock()
	defer w.turn.Unlock()
	id := w.last + 1
	if !w.held.issue(id) {
		return 0, farm.Errorf("barrier", "", farm.Full, "%d barriers have not passed", MaxOpenBarriers)
	}
	w.last = id
	if err := w.src.barrier(id); err != nil {
		return 0, openError("barrier", err)
	}
	return id, nil
}

// Run reads notifications and hands out batches until ctx ends, then returns nil; any other error means that the folder
// is no longer watched. It can be called once.
func (w *Watcher) Run(ctx context.Context) error {
	if !w.running.CompareAndSwap(false, true) {
		return farm.Errorf("watch", "", farm.Internal, "run called twice")
	}
	defer close(w.out)
	defer w.Close()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	broken := make(chan error, 1)
	go func() {
		defer cancel()
		broken <- w.src.run(inner)
	}()
	w.deliver(inner)
	cancel()
	if err := <-broken; err != nil && ctx.Err() == nil {
		return &farm.Error{Op: "watch", Kind: farm.Unavailable, Err: err}
	}
	return nil
}

// deliver hands out what is held as soon as there is some and somebody takes it.
func (w *Watcher) deliver(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		if next, waiting := w.held.ripen(time.Now()); waiting {
			timer.Reset(time.Until(next))
		}
		if b, some := w.held.take(); some {
			select {
			case w.out <- b:
				w.held.taken()
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case <-w.held.wake:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// reportUnwatched raises an event when a part of the folder begins or ceases to be polled for want of watches.
func (w *Watcher) reportUnwatched(tops []farm.Path) {
	e := farm.Event{
		ID: farm.EventFolderUnwatched, Severity: farm.Healed, Subject: string(w.opts.Folder), Folder: w.opts.Folder,
		Message: "every directory is watched again",
	}
	if len(tops) > 0 {
		e.Severity = farm.Warning
		e.Message = fmt.Sprintf("no inotify watches left: %d subtrees are polled every %v", len(tops), w.opts.Interval)
		e.Next = "raise fs.inotify.max_user_watches, or run as root to use fanotify"
	}
	w.opts.Log.Warn(e.Message, "folder", w.opts.Folder, "subtrees", len(tops))
	if w.opts.Events != nil {
		w.opts.Events(e)
	}
}

// Close frees what Open has taken. Run does so when it ends; only a Watcher that never runs needs it.
func (w *Watcher) Close() error {
	var err error
	w.closing.Do(func() { err = errors.Join(w.src.close(), w.root.Close()) })
	return err
}
