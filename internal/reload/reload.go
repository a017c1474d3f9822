package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Config is what a Reloader needs. The directories are made when they are missing.
type Config struct {
	Self        farm.MemberID
	ConfigDir   string    // that admins edit: farm.toml, sites/*.caddy
	RevisionDir string    // the replicated folder .farm
	StateDir    string    // of the member; last good revisions are kept here
	Parts       []Part    // in the order in which they prepare and commit
	Found       bool      // may make the first revision of a farm; false on a member that joins one, lest it brings its own
	Sink        farm.Sink // must not call methods that wait (see the package's Concurrency)
	Log         *slog.Logger
	Published   func(farm.Verdict) // called at each change of Status; it must not wait; may be nil
	Now         func() time.Time   // nil: time.Now
	Watch       Watcher            // nil: a revision that is tried is judged by whether it comes to life
}

const (
	pollTime     = 2 * time.Second       // between looks when nobody called Touched or Arrived
	retryTime    = 2 * time.Second       // before a refused revision is tried again; doubles each time
	maxRetryTime = 64 * time.Second      // at most
	lookTime     = 10 * time.Millisecond // between looks at a directory that is being changed
	gapTime      = 10 * time.Second      // that parents may come later than what was made from them
	historySize  = 200                   // revisions that are kept
	historySlack = 50                    // more than that before the oldest are removed
	dirMode      = os.FileMode(0o750)    // of directories that are made
	fileMode     = os.FileMode(0o640)    // of files that are made
)

// Reloader is the life of revisions on one member. Make it with New.
type Reloader struct {
	cfg     Config
	touched chan struct{}
	arrived chan struct{}
	again   atomic.Bool // see Again
	state   atomic.Pointer[state]

	mu      sync.Mutex // held for a whole edit, arrival or call; guards all below
	booted  bool
	clock   farm.Clock
	store   *store
	dir     *directory
	written config.Revision // whose files were last in ConfigDir; without a digest: not known
	handled snapshot        // of ConfigDir that needs no further thought: written, or refused
	held    bool            // texts in handled wait
	settle  settling
	refused refusal // of a text in ConfigDir
	failed  refusal // of the head
	trials  map[farm.Digest]*watched
	samples []Sample  // of the time before a trial, pollTime apart
	sampled time.Time // when the last was taken
	retry   backoff
	gap     time.Time // since when parents are missing; zero: none are
}

// state is what can be read at any time. It is immutable.
type state struct {
	live    config.Revision // without a digest: none
	config  *config.Config  // of live
	head    config.Revision
	trial   config.Revision // that is being tried somewhere; without a digest: none
	verdict farm.Verdict
	refused config.Faults
	edits   []config.FileChange // in ConfigDir, that wait
	history []config.Revision
}

// refusal remembers a fault that was reported, so that it is reported once and healed once.
type refusal struct {
	subject string // empty: there is none
	faults  config.Faults
}

// backoff says when a revision that was refused, wholly or in part, is tried again.
type backoff struct {
	at   time.Time // zero: not at all
	wait time.Duration
}

func (b *backoff) again(now time.Time) {
	b.wait = min(max(2*b.wait, retryTime), maxRetryTime)
	b.at = now.Add(b.wait)
}

func (b *backoff) due(now time.Time) bool { return !b.at.IsZero() && !now.Before(b.at) }

// New returns a Reloader. Nothing is read or live before Boot or Run.
func New(cfg Config) *Reloader {
	if cfg.Sink == nil {
		cfg.Sink = func(farm.Event) {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Reloader{
		cfg:     cfg,
		touched: make(chan struct{}, 1),
		arrived: make(chan struct{}, 1),
		store:   newStore(cfg.RevisionDir),
		dir:     &directory{path: cfg.ConfigDir, now: cfg.Now},
	}
	r.state.Store(&state{})
	return r
}

// Touched says that the configuration directory may have changed. It never blocks.
func (r *Reloader) Touched() { nudge(r.touched) }

// Arrived says that the folder .farm may have changed. It never blocks.
func (r *Reloader) Arrived() { nudge(r.arrived) }

// Again has the revision that is live prepared and committed once more: something has changed that it depends on, such
// as the addresses of this member. It never blocks.
func (r *Reloader) Again() {
	r.again.Store(true)
	nudge(r.arrived)
}

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run boots, unless Boot was called, and then follows both directories until ctx ends. It returns nil.
func (r *Reloader) Run(ctx context.Context) error {
	if err := r.Boot(ctx); err != nil {
		r.cfg.Log.Error("no configuration is live", "err", err)
	}
	poll := time.NewTicker(pollTime)
	defer poll.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	for {
		arrivals := false
		select {
		case <-ctx.Done():
			return nil
		case <-r.touched:
		case <-look.C:
		case <-r.arrived:
			arrivals = true
		case <-poll.C:
			arrivals = true
		}
		if wait := r.step(ctx, arrivals); wait > 0 {
			look.Reset(wait)
		}
	}
}

// step does what there is to do now, and returns after how long it wants to be called again; 0: when something happens.
func (r *Reloader) step(ctx context.Context, arrivals bool) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if arrivals {
		r.refresh()
		r.advance(ctx)
	}
	again := r.watchTrials(ctx)
	wait := r.follow(ctx)
	if again > 0 && (wait == 0 || again < wait) {
		return again
	}
	return wait
}

// follow brings the configuration directory and the head together, as far as the directory is quiet.
func (r *Reloader) follow(ctx context.Context) time.Duration {
	r.release()
	wait := r.look(ctx)
	if wait == 0 {
		r.show(ctx)
	}
	r.noteEdits()
	return wait
}

// Status is how this member fares with the head.
func (r *Reloader) Status() farm.Verdict { return r.state.Load().verdict }

// Refused is why a text that stands in the configuration directory was refused; nil if none was.
func (r *Reloader) Refused() config.Faults { return r.state.Load().refused }

// Edits is what stands in the configuration directory and waits for somebody who applies it.
func (r *Reloader) Edits() []config.FileChange { return r.state.Load().edits }

// Current is the configuration that is live; nil: none.
func (r *Reloader) Current() *config.Config { return r.state.Load().config }

// Live is the revision that is live; without a digest: none.
func (r *Reloader) Live() config.Revision { return r.state.Load().live }

// Head is the revision that should be live; without a digest: none.
func (r *Reloader) Head() config.Revision { return r.state.Load().head }

// History is the revisions that are kept, the latest first, without their files.
func (r *Reloader) History() []config.Revision { return r.state.Load().history }

// Revision is the revision of that digest with its files; NotFound if it is not kept.
func (r *Reloader) Revision(d farm.Digest) (config.Revision, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store.load(d)
}

// publish swaps the state for a changed copy.
func (r *Reloader) publish(change func(*state)) {
	s := *r.state.Load()
	change(&s)
	r.state.Store(&s)
	if r.cfg.Published != nil {
		r.cfg.Published(s.verdict)
	}
}

func (r *Reloader) now() farm.HLC { return r.clock.Now(r.cfg.Now()) }

func (r *Reloader) event(id farm.EventID, severity farm.Severity, subject, next string, fields map[string]string, format string, args ...any) {
	r.cfg.Sink(farm.Event{ID: id, Severity: severity, Subject: subject, Message: fmt.Sprintf(format, args...), Next: next, Fields: fields})
}

// faultsOf is err as faults, whatever it is.
func faultsOf(err error) config.Faults {
	var faults config.Faults
	var sites config.SiteFaults
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sites):
		return sites.All()
	case errors.As(err, &faults):
		return faults
	}
	return config.Faults{{Message: err.Error()}}
}
