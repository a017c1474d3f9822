package replica

import (
	"context"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// Explained is what a machine knows of one path.
type Explained struct {
	Path     farm.Path
	Excluded bool         // nothing of it is replicated here
	Known    bool         // the index has it
	Disk     farm.Attr    // what is on disk, as last seen or put there
	Want     farm.Attr    // what should be there
	Content  farm.Stamp   // who wrote the content that should be there, and when
	Lost     []farm.Stamp // contents that lost against it, among those that are known
	LeftOut  bool         // what should be there is left out here
	Unkept   []string     // what the file system can't represent: "name", so that nothing of it is there, or see Unkept
	State    PathState
	Retry    time.Time // when it is tried again; zero: at no set time
	Why      string    // what went wrong the last time, or why its name can't be had
	Source   bool      // nobody has the content now: false
}

// PathState is what a path waits for.
type PathState string

// The states of a path.
const (
	PathRest     PathState = "at rest"
	PathLooking  PathState = "looking"  // the disk is being looked at
	PathInstall  PathState = "install"  // it is being installed
	PathParent   PathState = "parent"   // its directory comes first
	PathChildren PathState = "children" // what is in it comes first
	PathRetry    PathState = "retry"    // it failed and will be tried again
	PathPaused   PathState = "paused"   // the folder is paused
	PathBraked   PathState = "braked"   // it is gone here, and the brake holds its deletion
	PathCheck    PathState = "check"    // the folder's check comes first, or has refused it
	PathKept     PathState = "kept"     // a directory that was deleted elsewhere and holds what is not replicated
)

func (p phase) state() PathState {
	return [...]PathState{
		idle: PathLooking, examining: PathLooking, installing: PathInstall, forParent: PathParent, forChildren: PathChildren,
		forRetry: PathRetry, forResume: PathPaused, forBrake: PathBraked, forCheck: PathCheck,
	}[p]
}

// Explain says what is known of a path and what it waits for. It changes nothing.
func (m *Machine) Explain(p farm.Path) Explained {
	x := Explained{Path: p, Excluded: m.skip(p), State: PathRest, Source: true}
	r, ok := m.db.Get(p)
	s := reconcile.Decide(r.Known, false)
	x.Known, x.Disk, x.Want, x.Content = ok, r.Disk.Attr, s.Attr, s.Content
	for _, l := range s.Lost {
		x.Lost = append(x.Lost, l.Version.Content)
	}
	x.LeftOut = !x.Excluded && (m.rules.LeftOut(p, s.Attr) || m.rules.LeftOut(p, r.Disk.Attr))
	x.Unkept = Unkept(r)
	if p, n, ok := m.namelessAt(p); ok && r.Disk.Type == farm.Absent && s.Type != farm.Absent {
		x.Unkept, x.Why = []string{"name"}, n.why
		if p != x.Path {
			x.Why = "of its directory " + p.String() + ": " + n.why
		}
	}
	if m.kept[p] > 0 {
		x.State, x.Retry = PathKept, m.retries[p]
	}
	if w := m.work[p]; w != nil {
		x.State, x.Retry, x.Source = w.phase.state(), m.retries[p], !w.noSource
		if w.why != "" {
			x.Why = w.why
		}
	}
	return x
}

// question is asked of the machine by its runner's goroutine; done is closed when all that came before is committed.
type question struct {
	ask  func(*Machine)
	done chan struct{}
}

type answered struct{ done chan struct{} }

func (question) input()  {}
func (answered) effect() {}

// ask runs f with the machine.
func (r *Runner) ask(ctx context.Context, f func(*Machine)) error {
	q := question{f, make(chan struct{})}
	select {
	case r.local <- q:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Explain says what is known of a path and what it waits for.
func (r *Runner) Explain(ctx context.Context, p farm.Path) (x Explained, err error) {
	err = r.ask(ctx, func(m *Machine) { x = m.Explain(p) })
	return x, err
}

// Steer gives the machine an input that people made, Ruled, Pause, Release or Refuse, and returns when all that it
// changes in the index is committed.
func (r *Runner) Steer(ctx context.Context, in Input) error {
	r.tell(ctx, in)
	return r.ask(ctx, func(*Machine) {})
}
