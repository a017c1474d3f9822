package member

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/internal/farm"
	"tandem/internal/index"
	"tandem/internal/install"
	"tandem/internal/replica"
	"tandem/internal/scan"
	"tandem/internal/trial"
	"tandem/internal/vfs"
	"tandem/internal/watch"
)

// folderSpec says how this member holds a folder.
type folderSpec struct {
	id       farm.FolderID
	root     string
	rules    flowRules
	watch    watch.Mode
	audit    time.Duration
	preserve preserveSpec
	minFree  int64 // bytes
	attrs    vfs.Options
	commands trial.Commands // zero: changes are not checked
}

// folder is a running replicated folder.
type folder struct {
	m        *Member
	spec     folderSpec
	flow     atomic.Pointer[flowRules]
	note     folderNote                // guarded by folders.noting once it runs
	paused   atomic.Pointer[pauseNote] // that of note
	fs       vfs.FS
	index    *index.Index
	watcher  *watch.Watcher
	keeper   *install.Keeper
	scanner  *scan.Scanner
	runner   *replica.Runner
	trial    *trial.Trial // nil: changes are not checked
	noticed  chan replica.Noticed
	ctx      context.Context // ends when it stops
	stop     context.CancelFunc
	done     chan struct{}
	steering sync.Mutex // while people say something to it

	broken     chan error             // why it can't go on, from what installs
	unkept     atomic.Pointer[unkept] // as of the last whole scan
	sink       farm.Sink
	meter      meter
	company    company
	rest       atomic.Pointer[restOf]
	introduced map[farm.MemberID]bool // linked members that the runner has been told of at its beginning
	err        error                  // why it stopped, after done
}

// opening says how a folder is seeded if its index is new.
type opening struct {
	others bool // other members hold it, too: it is
	joined bool // they held it before this member
	anew   bool // its index was given up, see rejoin
}

// openFolder opens all that the folder stands on.
func (m *Member) openFolder(spec folderSpec, how opening) (_ *folder, err error) {
	f := &folder{m: m, sink: m.sink, spec: spec, noticed: make(chan replica.Noticed), done: make(chan struct{}), broken: make(chan error, 1), introduced: map[farm.MemberID]bool{}}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	f.flow.Store(&spec.rules)
	if err = roomForFiles(spec.id); err != nil {
		return nil, err
	}
	if f.note, err = m.paths.readNote(spec.id); err != nil {
		return nil, err
	}
	f.paused.Store(f.note.Paused)
	if f.index, err = m.openIndex(spec.id); err != nil {
		return nil, err
	}
	entries, _ := f.index.Counts()
	if err = checkRoot(spec.root, entries); err != nil {
		return nil, err
	}
	if err = os.MkdirAll(spec.root, 0o755); err != nil {
		return nil, &farm.Error{Op: "make folder", Path: spec.root, Kind: kindOf(err), Err: err}
	}
	if f.fs, err = vfs.OpenWith(spec.root, spec.attrs); err != nil {
		return nil, err
	}
	if err = errors.Join(f.fs.Prepare(spec.id), tryWriting(f.fs)); err != nil {
		return nil, err
	}
	exact, err := vfs.Exact(f.fs)
	if err != nil {
		return nil, err
	}
	f.fs = exact
	log := m.log.With("folder", spec.id)
	if f.watcher, err = watch.Open(spec.root, spec.watch, watch.Options{
		Folder: spec.id, Own: spec.id.Own(), Small: spec.id.Own(), OwnPrefix: probePrefix, Quiet: []string{m.paths.index(spec.id)},
		Log: log, Events: m.sink,
	}); err != nil {
		return nil, err
	}
	f.keeper = install.New(f.fs, install.Config{
		Folder: spec.id, Sink: m.sink, Log: log, Now: time.Now, QuotaBytes: spec.preserve.bytes,
		MaxAge: spec.preserve.age, KeepDeleted: spec.preserve.deleted, Moved: f.needless,
		MinFreeBytes: spec.minFree, Recipes: f.index,
	})
	if err = f.keeper.Recover(); err != nil {
		return nil, err
	}
	before, err := f.index.Meta()
	if err != nil {
		return nil, err
	}
	fresh := before.Actor.Epoch == 0
	meta, cut := m.resume(spec.id, before, m.folders.cutAt(spec.id))
	if fresh && how.others {
		if meta.Seed, err = f.newSeed(how.anew); err != nil {
			return nil, err
		}
	}
	if !fresh {
		// That it is open again must be durable before anything is written: a power cut would else bring back an index that
		// says it was closed in order, and its numbers would be given twice.
		if err = errors.Join(f.index.Commit(index.Batch{Meta: &meta}), f.index.Sync()); err != nil {
			return nil, err
		}
	}
	f.scanner = scan.New(f.fs, scan.Config{Filter: spec.rules.filter, Now: time.Now, Log: log, Progress: f.meter.scanned, Recipes: f.index})
	if f.trial, err = m.newTrial(f); err != nil {
		return nil, err
	}
	f.runner = replica.NewRunner(replica.RunnerConfig{
		Folder: spec.id,
		Machine: replica.Config{Folder: spec.id, Meta: meta, Anew: meta.Actor != before.Actor, Draw: draw(), Joined: how.joined, Cut: cut, Sweep: m.sweepEvery,
			Rules: f.rules(), Before: f.before(), Paused: f.note.Paused != nil, Finished: f.keeper.Finished(),
			FinishedMoves: f.keeper.FinishedMoves()},
		Log:       logPort{f.index},
		Watcher:   f,
		Scanner:   scanPort{f},
		Installer: installPort{f.keeper, f},
		Transport: transport{m, spec.id},
		Parts:     f.keeper,
		Fetcher:   transport{m, spec.id},
		Audit:     spec.audit,
		Publish:   func(s farm.FolderState, _ replica.Summary) { m.publishFolder(spec.id, f, s) },
		Sink:      m.sink,
		Logger:    log,
	})
	return f, nil
}

// openIndex opens the folder's index; one that is damaged is moved aside and a new one begun: the disk and the other
// members hold all that it knew.
func (m *Member) openIndex(id farm.FolderID) (*index.Index, error) {
	dir := m.paths.index(id)
	x, err := index.Open(dir, id)
	if farm.KindOf(err) != farm.Corrupt {
		return x, err
	}
	aside, rerr := index.Reset(dir, time.Now())
	if rerr != nil {
		return nil, errors.Join(err, rerr)
	}
	m.sink(farm.Event{ID: farm.EventFolderEpoch, Severity: farm.Warning, Folder: id, Subject: string(id),
		Message: "the index is damaged and a new one is begun: " + err.Error(), Next: "the damaged one is kept in " + aside})
	return index.Open(dir, id)
}

// tryWriting refuses a disk that is read-only: the folder would begin, and end with the first file that it is sent.
func tryWriting(fs vfs.FS) error {
	t, err := fs.Temp()
	if err != nil {
		return err
	}
	return t.Close()
}

// resume goes on as the same actor if the index is known to hold all that was sent under it, otherwise as a new one. After
// a power cut, or when the disk took no more writes since cutAt, it also says until when what was not durable may have got lost.
func (m *Member) resume(id farm.FolderID, meta farm.Meta, cutAt int64) (_ farm.Meta, cut int64) {
	boot := bootID()
	why := ""
	switch {
	case meta.Actor.Epoch == 0:
		why = "the index is new"
	case meta.Actor.Member != m.self:
		why = "the index was " + string(meta.Actor.Member) + "'s"
	case !meta.Clean && meta.Boot != boot:
		why, cut = "the system went down without notice", bootTime()
	case !meta.Clean && cutAt != 0:
		why, cut = "the disk was read-only", cutAt
	}
	if why != "" {
		meta.Actor = farm.Actor{Member: m.self, Epoch: meta.Actor.Epoch.Next(time.Now(), draw())}
		meta.Seq = 0
		m.sink(farm.Event{ID: farm.EventFolderEpoch, Severity: farm.Info, Folder: id, Subject: string(id), Message: why,
			Fields: map[string]string{"epoch": strconv.FormatUint(uint64(meta.Actor.Epoch), 36)}})
	}
	meta.Boot, meta.Clean = boot, false
	return meta, cut
}

func draw() uint16 { return uint16(rand.Uint32()) }

// bootID names the time since the system started; empty where that is not to be had.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// run works until ctx ends.
func (f *folder) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return f.watcher.Run(ctx) })
	g.Go(func() error { return f.translate(ctx) })
	g.Go(func() error { return f.guard(ctx) })
	g.Go(func() error {
		select {
		case err := <-f.broken:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	g.Go(func() error { return f.runner.Run(ctx) })
	if f.trial != nil {
		g.Go(func() error { return f.trial.Run(ctx) })
	}
	return g.Wait()
}

// translate turns the watcher's batches into the runner's: the watcher does not know what is excluded.
func (f *folder) translate(ctx context.Context) error {
	for b := range f.watcher.Events() {
		b.Dirty = slices.DeleteFunc(b.Dirty, f.scanner.Excluded)
		b.Trees = slices.DeleteFunc(b.Trees, f.scanner.Excluded)
		n := replica.Noticed{Dirty: b.Dirty, Trees: b.Trees, Rescan: b.Rescan, Barriers: b.Barriers}
		for _, v := range b.Moves {
			n.Moves = append(n.Moves, farm.Move{From: v.From, To: v.To})
		}
		select {
		case f.noticed <- n:
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// deliver gives the runner an input, unless the folder has stopped.
func (f *folder) deliver(ctx context.Context, in replica.Input) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(f.ctx, cancel)()
	f.runner.Deliver(ctx, in)
}

// Events implements replica.Watcher.
func (f *folder) Events() <-chan replica.Noticed { return f.noticed }

// Barrier implements replica.Watcher.
func (f *folder) Barrier() (uint64, error) { return f.watcher.Barrier() }

// close ends what run does not own. A folder that ran to its end in order is marked clean.
func (f *folder) close() {
	if f.index != nil {
		f.err = errors.Join(f.err, f.index.Close())
	}
	if f.watcher != nil {
		f.err = errors.Join(f.err, f.watcher.Close())
	}
	if f.keeper != nil {
		f.err = errors.Join(f.err, f.keeper.Close())
	}
	if f.fs != nil {
		f.err = errors.Join(f.err, f.fs.Close())
	}
}

// finish syncs all and says in the index that it did.
func (f *folder) finish(log *slog.Logger) {
	err := f.fs.Sync()
	if err == nil {
		var meta farm.Meta
		if meta, err = f.index.Meta(); err == nil && meta.Actor.Epoch != 0 {
			meta.Clean = true
			err = f.index.Commit(index.Batch{Meta: &meta})
		}
	}
	if err == nil {
		err = f.index.Sync()
	}
	if err != nil {
		log.Warn("folder closed without a last sync", "folder", f.spec.id, "err", err)
	}
}

// logPort adapts the index to the runner.
type logPort struct{ *index.Index }

func (l logPort) Commit(put []farm.Record, drop []farm.Path, meta *farm.Meta) error {
	return l.Index.Commit(index.Batch{Put: put, Drop: drop, Meta: meta})
}

// scanPort adapts the scanner to the runner.
type scanPort struct{ f *folder }

func (s scanPort) Walk(ctx context.Context, dir farm.Path, deep bool, log replica.Log, report func(farm.Path) error) error {
	if !deep {
		return s.f.scanner.List(ctx, dir, log, report)
	}
	err := s.f.scanner.Walk(ctx, dir, log, report)
	if dir.IsRoot() && ctx.Err() == nil {
		err = errors.Join(err, s.f.countUnkept(log))
	}
	return err
}

func (s scanPort) Moved(ctx context.Context, from, to farm.Path, is farm.Disk, log replica.Log) (farm.Fingerprint, []farm.Path, bool, error) {
	return s.f.scanner.Moved(ctx, from, to, is, log)
}

func (s scanPort) Examine(ctx context.Context, p farm.Path, prior farm.Disk) (farm.Observation, error) {
	return s.f.scanner.Examine(ctx, p, prior)
}

func (s scanPort) ExamineAll(ctx context.Context, looks []replica.Examine, answer func(replica.Observed), putOff func(replica.Examine)) {
	near := s.f.scanner.Near(looks[0].Path.Parent())
	defer near.Close()
	var gone []replica.Observed
	for _, e := range looks {
		seen, err := near.Examine(ctx, e.Path, e.Prior)
		switch o := (replica.Observed{Path: e.Path, Seen: seen, Err: err}); {
		case err == scan.ErrLarge:
			putOff(e)
		case err == nil && !seen.Unchanged && seen.Attr.Type == farm.Absent:
			gone = append(gone, o)
		default:
			answer(o)
		}
	}
	if len(gone) == 0 {
		return
	}
	err := near.Stands()
	for _, o := range gone {
		if o.Err = err; err != nil {
			o.Seen = farm.Observation{}
		}
		answer(o)
	}
}

// installPort adapts the keeper to the runner. A disk that is read-only ends the folder: none of its paths could go on.
// What a trial is made with is installed file by file.
type installPort struct {
	*install.Keeper
	f *folder
}

// looked is the result of an installation, after a look at whether the folder can go on.
func (i installPort) looked(r farm.Installed) farm.Installed {
	if errors.Is(r.Err, syscall.EROFS) {
		select {
		case i.f.broken <- r.Err:
		default: // it ends already
		}
	}
	return r
}

func (i installPort) Install(ctx context.Context, p farm.Plan, src replica.Source) farm.Installed {
	if i.f.trial == nil {
		return i.looked(i.Keeper.Install(ctx, p, src))
	}
	return i.looked(i.try(ctx, p, src))
}

func (i installPort) Together(p farm.Plan) bool { return i.f.trial == nil && install.Together(p) }

func (i installPort) InstallAll(ctx context.Context, plans []farm.Plan, src func(farm.Path) replica.Source) []farm.Installed {
	all := i.Keeper.InstallAll(ctx, plans, func(p farm.Path) install.Source { return src(p) })
	for _, r := range all {
		i.looked(r)
	}
	return all
}

func (i installPort) Open(ctx context.Context, p farm.Path, d farm.Digest) (io.ReadCloser, int64, error) {
	return i.Keeper.Open(ctx, p, d)
}

func (i installPort) Move(ctx context.Context, mv farm.Move, is farm.Disk, children func(farm.Path) (map[string]farm.Disk, error)) farm.Installed {
	return i.looked(i.Keeper.Move(ctx, mv, is, children))
}

func (i installPort) Sync() error {
	err := i.f.fs.Sync()
	if err == nil {
		i.Keeper.Synced()
	}
	return err
}
