package replica

import (
	"context"
	"io"
	"slices"
	"strconv"
	"time"

	"tandem/internal/farm"
)

// Bounds of one frame of a catch-up stream.
const (
	streamChanges = 256
	streamBytes   = 1 << 20
)

// execute commits what the machine put and then does what it asked for.
func (r *Runner) execute(ctx context.Context, effects []Effect) error {
	if r.db.commit(); r.db.err != nil {
		return &farm.Error{Op: "index", Path: string(r.cfg.Folder), Kind: farm.KindOf(r.db.err), Err: r.db.err,
			Next: "see that the disk of the state directory works and has room"}
	}
	if reach := r.machine.Reach(); !r.reach.Load().Equal(reach) {
		r.reach.Store(&reach) // before anything of it gets on disk, or anybody is told of a position
	}
	var looks []Examine
	var plans []farm.Plan
	for _, e := range effects {
		switch e := e.(type) {
		case Examine:
			looks = r.gather(looks, e)
		case Install:
			plans = r.collect(plans, e.Plan)
		case Compare, Shift, PushMove, RelayMove:
			r.move(ctx, e)
		case Twins:
			r.looks.add(func(ctx context.Context) { r.twins(ctx, e) })
		case Walk:
			r.walks.add(func(ctx context.Context) { r.walk(ctx, e) })
		case Push:
			r.cfg.Transport.Push(e.Change)
			r.budget.raise(r.cfg.Sink, farm.Event{ID: farm.EventFileSent, Severity: farm.Info, Folder: r.cfg.Folder,
				Subject: e.Change.Entry.Path.String(), Message: "sent", Fields: map[string]string{"type": e.Change.Entry.Type.String()}})
		case Relay:
			r.cfg.Transport.Relay(e.To, e.Change)
		case Want:
			r.cfg.Transport.Want(e.To, e.Known, e.Bare)
		case Stream:
			r.stream(ctx, e)
		case FindExtras:
			r.group.Go(func() { r.findExtras(ctx) })
		case Sync:
			r.group.Go(func() {
				err := r.cfg.Installer.Sync()
				if err == nil {
					err = r.cfg.Log.Sync()
				}
				r.tell(ctx, Synced{e.Upto, err})
			})
		case BarrierDone:
			r.mu.Lock()
			if got := r.waiting[e.ID]; got != nil {
				got <- e.Position
				delete(r.waiting, e.ID)
			}
			r.mu.Unlock()
		case Sweep:
			r.group.Go(func() { r.propose(ctx) })
		case Rejoin:
			return ErrRejoin
		case Raise:
			r.budget.raise(r.cfg.Sink, e.Event)
		case answered:
			close(e.done)
		}
	}
	r.lookAt(looks)
	r.makeAll(plans)
	return nil
}

// move executes what is about a directory that was renamed.
func (r *Runner) move(ctx context.Context, e Effect) {
	switch e := e.(type) {
	case Compare:
		r.looks.add(func(ctx context.Context) {
			in := Compared{From: e.From, To: e.To}
			in.Stat, in.New, in.Same, in.Err = r.cfg.Scanner.Moved(ctx, e.From, e.To, e.Is, r.cfg.Log)
			r.inbox.put(in)
		})
	case Shift:
		r.writes.add(func(ctx context.Context) {
			done := r.cfg.Installer.Move(ctx, e.Move, e.Is, r.cfg.Log.Children)
			r.inbox.put(Shifted{Move: e.Move, Outcome: done.Outcome, Stat: done.Stat, Err: done.Err})
		})
	case PushMove:
		if cannot := r.cfg.Transport.PushMove(r.cfg.Transport.Linked(), e.Move); len(cannot) > 0 {
			for _, k := range e.Changes {
				r.cfg.Transport.Relay(cannot, farm.Change{Entry: k, Sent: e.Move.Sent})
			}
		}
		r.budget.raise(r.cfg.Sink, farm.Event{ID: farm.EventFileSent, Severity: farm.Info, Folder: r.cfg.Folder,
			Subject: e.Move.To.String(), Message: "sent as renamed from " + e.Move.From.String(), Fields: map[string]string{"type": farm.Dir.String()}})
	case RelayMove:
		r.cfg.Transport.PushMove(e.To, e.Move)
	}
}

// twins has the other names of a file looked at.
func (r *Runner) twins(ctx context.Context, e Twins) {
	paths, err := r.cfg.Log.Names(e.Was)
	if err != nil {
		r.cfg.Logger.Warn("hard links are not known", "folder", r.cfg.Folder, "path", e.Path, "err", err)
	}
	paths = slices.DeleteFunc(paths, func(p farm.Path) bool { return p == e.Path })
	if len(paths) > 0 {
		r.tell(ctx, Dirty{Paths: paths})
	}
}

func (r *Runner) walk(ctx context.Context, e Walk) {
	dir := e.Dir
	const chunk = 512
	var found []farm.Path
	flush := func() error {
		if len(found) > 0 {
			r.find(ctx, e.Dirty(found))
			found = nil
		}
		return ctx.Err()
	}
	err := r.cfg.Scanner.Walk(ctx, dir, e.Deep, r.cfg.Log, func(p farm.Path) error {
		if found = append(found, p); len(found) < chunk {
			return nil
		}
		return flush()
	})
	if ferr := flush(); err == nil {
		err = ferr
	}
	if err != nil && ctx.Err() == nil && dir.IsRoot() {
		r.cfg.Sink(farm.Event{ID: farm.EventFolderHalted, Severity: farm.Fault, Folder: r.cfg.Folder,
			Subject: string(r.cfg.Folder), Message: "scan failed: " + err.Error(), Next: "see that the folder's path is there and is the one that was replicated"})
	}
	r.find(ctx, Walked{e.ID, dir, err})
}

// small reads content that is small enough to travel with its entry. Whatever goes wrong, it can still be fetched.
func (r *Runner) small(ctx context.Context, rec farm.Record, k farm.Entry) []byte {
	if k.Type != farm.File || k.Size > farm.InlineBytes || rec.Disk.Digest != k.Digest {
		return nil
	}
	rc, _, err := r.cfg.Installer.Open(ctx, rec.Path, k.Digest)
	if err != nil {
		return nil
	}
	defer rc.Close()
	content := make([]byte, k.Size)
	if _, err := io.ReadFull(rc, content); err != nil {
		return nil
	}
	if n, err := rc.Read(make([]byte, 1)); n != 0 || err != io.EOF { // the end is where it proves to be what it should
		return nil
	}
	return content
}

// propose looks for deletions in the index, for the machine to forget those that are old enough.
func (r *Runner) propose(ctx context.Context) {
	const chunk = 512
	var old []farm.Path
	for rec, err := range r.cfg.Log.All(farm.Path{}) {
		if err != nil || ctx.Err() != nil {
			return
		}
		if rec.Disk.Type != farm.Absent || !allAbsent(rec.Known) {
			continue
		}
		if old = append(old, rec.Path); len(old) == chunk {
			r.tell(ctx, Expire{old})
			old = nil
		}
	}
	r.tell(ctx, Expire{old})
}

// source finds content for an install.
type source struct {
	r    *Runner
	path farm.Path
}

// Local implements Source.
func (s source) Local(d farm.Digest) []farm.Path {
	ps, err := s.r.cfg.Log.ByDigest(d)
	if err != nil {
		s.r.cfg.Logger.Warn("digest look-up failed", "folder", s.r.cfg.Folder, "err", err)
	}
	return ps
}

// Fetch implements Source: the first linked member that has it.
func (s source) Fetch(ctx context.Context, d farm.Digest, size int64) (io.ReadCloser, error) {
	var last error = farm.Errorf("fetch", s.path.String(), farm.Unavailable, "no linked member has the content")
	for _, m := range s.r.cfg.Transport.Linked() {
		rc, err := s.r.cfg.Transport.Fetch(ctx, m, s.path, d, size)
		if err == nil {
			return rc, nil
		}
		last = err
	}
	return nil, last
}

// eventBudget keeps storms of file events from drowning the journal. One goroutine.
type eventBudget struct {
	second  time.Time
	spent   int
	skipped int
}

func (b *eventBudget) raise(sink farm.Sink, e farm.Event) {
	if e.ID != farm.EventFileUndone && (e.Severity != farm.Info || e.ID != farm.EventFileSent && e.ID != farm.EventFileInstalled) {
		sink(e)
		return
	}
	if now := time.Now(); now.Sub(b.second) >= time.Second {
		if b.skipped > 0 {
			sink(farm.Event{ID: e.ID, Severity: e.Severity, Folder: e.Folder, Subject: string(e.Folder),
				Message: "many files at once: single events left out", Fields: map[string]string{"count": strconv.Itoa(b.skipped)}})
		}
		*b = eventBudget{second: now}
	}
	if b.spent >= eventsASecond {
		b.skipped++
		return
	}
	b.spent++
	sink(e)
}
