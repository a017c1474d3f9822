package trial

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
)

// Folder is what a trial is made on. Its methods return when the folder has taken what they say.
type Folder interface {
	Waits() Waits
	Pass(context.Context) error
	Try(ctx context.Context, on bool) error
	Back(ctx context.Context, disks map[farm.Path]farm.Disk) error
}

// Waits is what waits in the folder.
type Waits struct {
	farm.Checks
	Known farm.Vector // what it has heard of
}

// Commands are what a folder's files are checked and put to use by. They are given to the system's shell.
type Commands struct {
	Check, Apply         string        // empty: none
	CheckTime, ApplyTime time.Duration // that they may take
}

// Config is what a Trial needs.
type Config struct {
	ID       farm.FolderID
	Dir      string // of its own, in the state directory
	Folder   Folder
	Commands Commands
	Env      []string // NAME=value, added to that of the process
	WorkDir  string   // of the commands
	Sink     farm.Sink
	Told     func() // called when Refused has changed
	// Execute runs a command for a bounded time and returns the end of what it printed; nil: with the system's shell.
	Execute func(ctx context.Context, command string, limit time.Duration, dir string, env []string) (string, error)
}

// Pace of a trial.
const (
	quietTime = 150 * time.Millisecond // without a change before what is there is checked
	longTime  = 2 * time.Second        // after which it is checked all the same
	tryTime   = 20 * time.Second       // that installing, or going back, may take
	againTime = 30 * time.Second       // before a command that has failed is run again, where that changes nothing
)

// Trial has the changes of one folder checked. Make it with New.
type Trial struct {
	cfg     Config
	store   *store
	changed chan struct{}
	retry   chan struct{}

	mu      sync.Mutex
	refused string // why what waits was refused, for people; empty: nothing is

	// Of Run alone.
	ownAt    uint64      // what was changed here and refused
	othersAt farm.Vector // what others changed and was refused
	refusal  string      // of which an event was raised; empty: none is open
	fresh    bool        // what is on disk has passed and is to be put to use
	failed   bool        // that was tried, and failed
}

// New returns a trial of a folder. It fails if what an earlier life has kept can't be read.
func New(cfg Config) (*Trial, error) {
	s, err := openStore(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.Execute == nil {
		cfg.Execute = execute
	}
	return &Trial{cfg: cfg, store: s, changed: make(chan struct{}, 1), retry: make(chan struct{}, 1)}, nil
}

// Changed says that something waits, or waits no more. It never blocks.
func (t *Trial) Changed() { nudge(t.changed) }

// Again has what was refused tried again. It never blocks.
func (t *Trial) Again() { nudge(t.retry) }

func nudge(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Keep notes what is on disk at a path that is about to be replaced, if that is for a trial. An error means that it must
// not be replaced.
func (t *Trial) Keep(p farm.Path, d farm.Disk, open func() (io.ReadCloser, error)) error {
	return t.store.keep(p, d, open)
}

// Open opens a content that a trial has replaced; NotFound if none has.
func (t *Trial) Open(d farm.Digest) (io.ReadCloser, int64, error) { return t.store.open(d) }

// Refused is why what waits was refused; empty: it was not.
func (t *Trial) Refused() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.refused
}

// Run checks what comes until ctx ends. It returns nil then, or why it can't go on.
func (t *Trial) Run(ctx context.Context) error {
	if t.store.undecided() {
		if err := t.judge(ctx); err != nil {
			return ending(ctx, err)
		}
	}
	for {
		if err := t.step(ctx); err != nil {
			return ending(ctx, err)
		}
	}
}

func ending(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// step does what there is to do, or waits until there may be something.
func (t *Trial) step(ctx context.Context) error {
	w := t.cfg.Folder.Waits()
	switch {
	case w.Own > 0 && w.Asked != t.ownAt:
		return t.own(ctx)
	case w.Own == 0 && w.Others > 0 && !w.Known.Equal(t.othersAt):
		return t.others(ctx)
	case t.fresh:
		t.use(ctx)
		return ctx.Err()
	case w.Own == 0 && w.Others == 0:
		t.heal("nothing that was refused waits any more")
	}
	var again <-chan time.Time
	if w.Own > 0 || t.failed {
		timer := time.NewTimer(againTime)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.changed:
	case <-t.retry:
		t.ownAt, t.othersAt = 0, farm.Vector{}
	case <-again:
		t.ownAt, t.fresh = 0, t.failed
	}
	return nil
}

// settle waits until nothing has come for a moment.
func (t *Trial) settle(ctx context.Context) (Waits, error) {
	end := time.Now().Add(longTime)
	for {
		was := t.cfg.Folder.Waits()
		select {
		case <-ctx.Done():
			return was, ctx.Err()
		case <-time.After(quietTime):
		}
		is := t.cfg.Folder.Waits()
		if is.Checks == was.Checks && is.Known.Equal(was.Known) || time.Now().After(end) {
			return is, nil
		}
	}
}

// own has what was changed here checked, and sent if it passes.
func (t *Trial) own(ctx context.Context) error {
	w, err := t.settle(ctx)
	if err != nil || w.Own == 0 {
		return err
	}
	if said, err := t.check(ctx); err != nil {
		t.ownAt = w.Asked
		t.refuse(said, err, "what was changed here stays here, and is not sent to the others",
			"mend it here: it is checked again when a file is saved, and every half minute")
		return ctx.Err()
	}
	if err := t.cfg.Folder.Pass(ctx); err != nil {
		return err
	}
	t.fresh, t.othersAt = true, farm.Vector{}
	_, err = t.until(ctx, func(is Waits) bool { return is.Own == 0 && is.Open == 0 || is.Asked != w.Asked })
	return err
}

// others tries what others have changed.
func (t *Trial) others(ctx context.Context) error {
	w, err := t.settle(ctx)
	if err != nil || w.Own > 0 || w.Others == 0 {
		return err
	}
	if err := t.store.begin(); err != nil {
		return err
	}
	if err := t.cfg.Folder.Try(ctx, true); err != nil {
		return err
	}
	if _, err := t.until(ctx, func(w Waits) bool { return w.Open == 0 && w.Others == 0 }); err != nil {
		return err
	}
	return t.judge(ctx)
}

// judge ends a trial.
func (t *Trial) judge(ctx context.Context) error {
	if err := t.cfg.Folder.Try(ctx, false); err != nil {
		return err
	}
	w, err := t.until(ctx, func(w Waits) bool { return w.Open == 0 }) // installations that are out
	if err != nil {
		return err
	}
	said, bad := t.check(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if bad == nil {
		if err := t.store.end(); err != nil {
			return err
		}
		t.heal("what others changed has passed")
		t.fresh = true
		return nil
	}
	if err := t.cfg.Folder.Back(ctx, t.store.replaced()); err != nil {
		return err
	}
	back, err := t.until(ctx, func(w Waits) bool { return w.Back == 0 })
	if err != nil {
		return err
	}
	t.othersAt = w.Known
	what := "the previous files are back here"
	if back.Back > 0 {
		what = fmt.Sprintf("%d paths are still to be put back here", back.Back)
	} else if err := t.store.end(); err != nil {
		return err
	}
	t.refuse(said, bad, "what others changed does not pass on this member: "+what,
		fmt.Sprintf("mend it on any node, or what it needs on this one and run: tandem folder retry %s", t.cfg.ID))
	return nil
}

// until waits for a condition, for a bounded time.
func (t *Trial) until(ctx context.Context, done func(Waits) bool) (Waits, error) {
	limit := time.NewTimer(tryTime)
	defer limit.Stop()
	for {
		w := t.cfg.Folder.Waits()
		if done(w) {
			return w, nil
		}
		select {
		case <-ctx.Done():
			return w, ctx.Err()
		case <-limit.C:
			return w, nil
		case <-t.changed:
		}
	}
}

// check runs the check. An error says that it refuses, and why; what it printed comes along.
func (t *Trial) check(ctx context.Context) (said string, err error) {
	c := t.cfg.Commands
	if c.Check == "" {
		return "", nil
	}
	return t.cfg.Execute(ctx, c.Check, c.CheckTime, t.cfg.WorkDir, t.cfg.Env)
}

// use puts what is on disk to use.
func (t *Trial) use(ctx context.Context) {
	c := t.cfg.Commands
	if c.Apply == "" {
		t.fresh = false
		return
	}
	said, err := t.cfg.Execute(ctx, c.Apply, c.ApplyTime, t.cfg.WorkDir, t.cfg.Env)
	if ctx.Err() != nil {
		return
	}
	e := farm.Event{ID: farm.EventFolderApply, Severity: farm.Info, Message: c.Apply, Fields: map[string]string{"command": c.Apply, "output": said}}
	switch {
	case err != nil && t.failed:
		t.fresh = false
		return
	case err != nil:
		e.Severity, e.Message = farm.Fault, fmt.Sprintf("%s: %s", c.Apply, brief(said, err))
		e.Next = "it is run again every half minute"
	case t.failed:
		e.Severity = farm.Healed
	}
	t.fresh, t.failed = false, err != nil
	t.raise(e)
}

// refuse tells people of a refusal, once.
func (t *Trial) refuse(said string, err error, what, next string) {
	why := fmt.Sprintf("%s: %s", t.cfg.Commands.Check, brief(said, err))
	t.say(why)
	if t.refusal == what+why {
		return
	}
	t.refusal = what + why
	t.raise(farm.Event{ID: farm.EventFolderCheck, Severity: farm.Fault, Message: what + ": " + why, Next: next,
		Fields: map[string]string{"command": t.cfg.Commands.Check, "output": said}})
}

// heal says that nothing is refused any more.
func (t *Trial) heal(message string) {
	t.say("")
	if t.refusal == "" {
		return
	}
	t.refusal = ""
	t.raise(farm.Event{ID: farm.EventFolderCheck, Severity: farm.Healed, Message: message})
}

func (t *Trial) say(why string) {
	t.mu.Lock()
	was := t.refused
	t.refused = why
	t.mu.Unlock()
	if was != why {
		t.cfg.Told()
	}
}

func (t *Trial) raise(e farm.Event) {
	e.Folder, e.Subject = t.cfg.ID, string(t.cfg.ID)
	t.cfg.Sink(e)
}

// brief is what a command said, on one line: the line with the fault, else the last one.
func brief(said string, err error) string {
	lines := strings.Split(strings.TrimSpace(said), "\n")
	line := lines[len(lines)-1]
	for _, l := range lines {
		if low := strings.ToLower(l); strings.Contains(low, "emerg") || strings.Contains(low, "error") {
			line = l
			break
		}
	}
	if line == "" {
		return err.Error()
	}
	return fmt.Sprintf("%s (%v)", line, err)
}
