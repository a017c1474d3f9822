package replica

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// Limits of a runner.
const (
	batchInputs    = 256                // inputs decided on before a commit
	remoteQueue    = 256                // changes from peers not yet decided on; then the peers wait
	workLimit      = 8192               // paths in work above which no further changes are taken from peers, and no finds of walks
	inlineLimit    = maxInlineBytes / 2 // the same of content in work: what is not held has to be fetched
	lingerAbove    = 256                // answers that are out above which the runner waits for more than the first
	lingerTime     = time.Millisecond
	examineWorkers = 3
	installWorkers = 6
	walkWorkers    = 2
	tickEvery      = 50 * time.Millisecond
	idleTick       = 2 * time.Second // while nothing waits for its time
	eventsASecond  = 20              // of single files; above, they are counted only
)

// RunnerConfig is what a runner stands on. All fields are needed, but for Parts and Fetcher: without them contents travel
// whole.
type RunnerConfig struct {
	Folder    farm.FolderID
	Machine   Config
	Log       Log
	Watcher   Watcher
	Scanner   Scanner
	Installer Installer
	Transport Transport
	Parts     Parts
	Fetcher   Fetcher
	Audit     time.Duration                   // between whole scans; 0: none
	Publish   func(farm.FolderState, Summary) // called by the runner's goroutine when the state has changed
	Sink      farm.Sink
	Logger    *slog.Logger
}

// Summary is what status shows of a folder besides its vectors.
type Summary struct {
	Trusted bool // scanned and seeded
	Seeding bool
	Waiting int
	Cramped int // of them, how many wait for space
	NoName  int // paths whose name the file system can't have; what is below them does not count
	Paused  bool
	Held    int // deletions that the brake holds; 0: it is off
	Limit   int // deletions that it would have believed
	Seed    SeedState
	Checks  farm.Checks
	Evicted string // holders that are not waited for any more, by name, separated by spaces
}

// Runner executes a machine's effects. Its goroutine is the only one that touches the machine; workers read and write
// the disk.
type Runner struct {
	cfg     RunnerConfig
	machine *Machine
	db      *batch

	local  chan Input // notifications
	remote chan Input // what peers send
	inbox  *inbox     // answers
	found  chan Input // what walks find: a hint that can wait
	looks  *queue     // Examine
	writes *queue     // Install
	walks  *queue     // Walk

	mu      sync.Mutex
	waiting map[uint64]chan farm.Position // barriers
	streams map[farm.MemberID]context.CancelFunc
	state   atomic.Pointer[farm.FolderState]
	summary atomic.Pointer[Summary]
	reach   atomic.Pointer[farm.Vector]
	changed chan struct{} // closed and replaced at each change of state
	group   sync.WaitGroup
	budget  eventBudget
}

// NewRunner returns a runner; Run starts it.
func NewRunner(cfg RunnerConfig) *Runner {
	db := newBatch(cfg.Log)
	r := &Runner{
		cfg: cfg, db: db, machine: New(cfg.Machine, db),
		local: make(chan Input, batchInputs), remote: make(chan Input, remoteQueue), inbox: newInbox(), found: make(chan Input),
		looks: newQueue(), writes: newQueue(), walks: newQueue(),
		waiting: map[uint64]chan farm.Position{}, changed: make(chan struct{}),
		streams: map[farm.MemberID]context.CancelFunc{},
	}
	r.state.Store(&farm.FolderState{})
	r.summary.Store(&Summary{})
	r.reach.Store(&cfg.Machine.Meta.Known)
	return r
}

// ErrRejoin is what Run ends with when the folder must be seeded anew.
var ErrRejoin = errors.New("others have forgotten deletions that this index lacks")

// Run works until ctx ends, the log fails, or the index is of no use any more (ErrRejoin). All that it started has stopped when it returns.
func (r *Runner) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer r.group.Wait()
	defer cancel()
	r.group.Go(func() { r.looks.run(ctx, examineWorkers) })
	r.group.Go(func() { r.walks.run(ctx, walkWorkers) })
	r.group.Go(func() { r.writes.run(ctx, installWorkers) })
	r.group.Go(func() { r.notice(ctx) })
	r.group.Go(func() { r.sweep(ctx) })
	pace := tickEvery
	tick := time.NewTicker(pace)
	defer tick.Stop()
	effects := r.step(nil, Start{})
	for {
		if err := r.execute(ctx, effects); err != nil {
			return err
		}
		r.publish()
		remote, found := r.remote, r.found
		if r.busy() {
			remote, found = nil, nil
		}
		effects = effects[:0]
		if p := r.pace(); p != pace {
			pace = p
			tick.Reset(pace)
		}
		select {
		case <-ctx.Done():
			return nil
		case in := <-r.local:
			effects = r.step(effects, in)
		case <-r.inbox.ready:
			r.linger()
		case in := <-remote:
			effects = r.step(effects, in)
		case in := <-found:
			effects = r.step(effects, in)
		case <-tick.C:
			effects = r.step(effects, Tick{Full: remote == nil})
		}
		effects = r.more(effects, remote)
	}
}

// busy tells whether more work would only be more to remember. Answers are always taken, and what applications do now.
func (r *Runner) busy() bool {
	return (r.machine.Waiting() > workLimit || r.machine.Inline() > inlineLimit) && r.machine.Flying() > 0
}

// linger waits a moment for more answers while many are out: each commit costs much the same, however little is in it.
func (r *Runner) linger() {
	if r.machine.Flying() > lingerAbove && r.inbox.len() < lingerAbove/2 {
		time.Sleep(lingerTime)
	}
}

// pace is how often the machine hears of the time.
func (r *Runner) pace() time.Duration {
	if r.machine.Idle() {
		return min(idleTick, r.machine.sweepEvery)
	}
	return tickEvery
}

// more decides on what else has come in meanwhile, so that one commit serves all.
func (r *Runner) more(effects []Effect, remote chan Input) []Effect {
	for _, in := range r.inbox.take() {
		effects = r.step(effects, in)
	}
	for range batchInputs {
		select {
		case in := <-r.local:
			effects = r.step(effects, in)
			continue
		default:
		}
		select {
		case in := <-remote:
			effects = r.step(effects, in)
		default:
			return effects
		}
	}
	return effects
}

func (r *Runner) step(effects []Effect, in Input) []Effect {
	if q, ok := in.(question); ok {
		q.ask(r.machine)
		return append(effects, answered{q.done})
	}
	return append(effects, r.machine.Step(time.Now(), in)...)
}

// tell gives the machine an input, unless the runner has stopped.
func (r *Runner) tell(ctx context.Context, in Input) {
	select {
	case r.local <- in:
	case <-ctx.Done():
	}
}

// find gives the machine what a walk has found, when there is room for it.
func (r *Runner) find(ctx context.Context, in Input) {
	select {
	case r.found <- in:
	case <-ctx.Done():
	}
}

// Deliver gives the machine what came from a peer, or about one. It blocks while the folder has too much in work.
func (r *Runner) Deliver(ctx context.Context, in Input) {
	if down, ok := in.(PeerDown); ok {
		r.hangUp(down.Peer)
	}
	select {
	case r.remote <- in:
	case <-ctx.Done():
	}
}

func (r *Runner) notice(ctx context.Context) {
	audit := make(<-chan time.Time)
	if r.cfg.Audit > 0 {
		t := time.NewTicker(r.cfg.Audit)
		defer t.Stop()
		audit = t.C
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-audit:
			r.tell(ctx, Audit{})
		case n, ok := <-r.cfg.Watcher.Events():
			if !ok {
				return
			}
			if len(n.Dirty) > 0 {
				r.tell(ctx, Dirty{Paths: n.Dirty})
			}
			for _, v := range n.Moves {
				r.tell(ctx, Moved{v.From, v.To})
			}
			for _, dir := range n.Trees {
				r.tell(ctx, Tree{dir})
			}
			if n.Rescan {
				r.cfg.Sink(farm.Event{ID: farm.EventFolderOverflow, Severity: farm.Warning, Folder: r.cfg.Folder,
					Subject: string(r.cfg.Folder), Message: "notifications were lost, the whole folder is scanned"})
				r.tell(ctx, Rescan{})
			}
			for _, id := range n.Barriers {
				r.tell(ctx, Barrier{id})
			}
		}
	}
}

func (r *Runner) sweep(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.cfg.Installer.Sweep(ctx)
		}
	}
}

// publish makes the state known when it has changed.
func (r *Runner) publish() {
	s := r.machine.State()
	sum := Summary{Trusted: r.machine.Trusted(), Seeding: r.machine.Seeding(), Waiting: r.machine.Waiting(), Cramped: r.machine.Cramped(), NoName: len(r.machine.nameless),
		Paused: r.machine.Paused(), Seed: r.machine.seedState(), Evicted: r.machine.evictedNames(), Checks: r.machine.Checks()}
	sum.Held, sum.Limit = r.machine.Braked()
	last := r.state.Load()
	if last.Actor == s.Actor && last.Waiting == s.Waiting && last.Known.Equal(s.Known) && last.Applied.Equal(s.Applied) &&
		last.Durable.Equal(s.Durable) && last.Forgot.Equal(s.Forgot) && *r.summary.Load() == sum {
		return
	}
	r.state.Store(&s)
	r.summary.Store(&sum)
	r.mu.Lock()
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
	r.cfg.Publish(s, sum)
}

// State is the latest state.
func (r *Runner) State() (farm.FolderState, Summary) { return *r.state.Load(), *r.summary.Load() }

// Reach includes all that may be visible on disk at the time of the call, whether it is in the state's applied or not, but
// for what applications have written here and no barrier has passed since.
func (r *Runner) Reach() farm.Vector { return *r.reach.Load() }

// Arrivals are the paths of which more is known than is on disk.
func (r *Runner) Arrivals() *Arrivals { return r.machine.Arrivals() }

// Wait returns when all up to pos is visible here, or with ctx's error.
func (r *Runner) Wait(ctx context.Context, pos farm.Position) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if r.state.Load().Applied.Covers(pos) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return &farm.Error{Op: "wait", Path: pos.String(), Kind: farm.Unavailable, Err: ctx.Err()}
		}
	}
}

// Barrier returns the position in our feed that includes all that any process of this machine wrote into the folder,
// and closed, before the call.
func (r *Runner) Barrier(ctx context.Context) (farm.Position, error) {
	got := make(chan farm.Position, 1)
	r.mu.Lock() // so that the answer can't come before it is waited for
	id, err := r.cfg.Watcher.Barrier()
	if err == nil {
		r.waiting[id] = got
	}
	r.mu.Unlock()
	if err != nil {
		return farm.Position{}, err
	}
	select {
	case pos := <-got:
		return pos, nil
	case <-ctx.Done():
		r.mu.Lock()
		delete(r.waiting, id)
		r.mu.Unlock()
		return farm.Position{}, &farm.Error{Op: "barrier", Path: string(r.cfg.Folder), Kind: farm.Unavailable, Err: ctx.Err()}
	}
}

// Open opens content of the folder for another member: of the path, if the index says that it is there, of any other that
// has it, or a preserved file.
func (r *Runner) Open(ctx context.Context, p farm.Path, d farm.Digest) (io.ReadCloser, int64, error) {
	paths, err := r.cfg.Log.ByDigest(d)
	if err != nil {
		return nil, 0, err
	}
	if rec, ok, err := r.cfg.Log.Get(p); err == nil && ok && rec.Disk.Digest == d {
		paths = append([]farm.Path{p}, paths...)
	}
	for _, q := range append(paths, farm.Path{}) { // the root is no file: then only preserved ones count
		var rc io.ReadCloser
		var size int64
		if rc, size, err = r.cfg.Installer.Open(ctx, q, d); err == nil {
			return rc, size, nil
		}
	}
	return nil, 0, err
}
