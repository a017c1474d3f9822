package watchtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/watch"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// Rig is a Watcher that runs on a directory of its own, and what it has reported.
type Rig struct {
	*testing.T
	Root    string // the folder
	Outside string // a directory beside it, on the same file system
	W       *watch.Watcher
	Burst   int // files that a test makes at once

	Dirty    map[string]int // how often a path was reported
	Trees    map[string]int
	Moves    map[string]string // also counted as Dirty and Trees, both names
	Rescans  int
	passed   uint64
	finished chan error
}

// New opens a Watcher on a new directory, in which before has been called, and runs it until the test ends.
func New(t *testing.T, mode watch.Mode, opts watch.Options, before func(root string)) *Rig {
	t.Helper()
	r := Open(t, mode, opts, before)
	r.Run()
	return r
}

// Open is New without Run.
func Open(t *testing.T, mode watch.Mode, opts watch.Options, before func(root string)) *Rig {
	t.Helper()
	return OpenIn(t, t.TempDir(), mode, opts, before)
}

// OpenIn is Open with the place for the directories.
func OpenIn(t *testing.T, dir string, mode watch.Mode, opts watch.Options, before func(root string)) *Rig {
	t.Helper()
	r := &Rig{
		T: t, Root: filepath.Join(dir, "root"), Outside: filepath.Join(dir, "outside"),
		Dirty: map[string]int{}, Trees: map[string]int{}, Moves: map[string]string{}, finished: make(chan error, 1),
	}
	for _, d := range []string{r.Root, r.Outside} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if before != nil {
		before(r.Root)
	}
	w, err := watch.Open(r.Root, mode, opts)
	if err != nil {
		t.Fatal(err)
	}
	r.W = w
	t.Cleanup(func() { w.Close() })
	return r
}

// Run runs the Watcher until the test ends.
func (r *Rig) Run() {
	ctx, cancel := context.WithCancel(context.Background())
	go func() { r.finished <- r.W.Run(ctx) }()
	r.Cleanup(func() {
		cancel()
		for range r.W.Events() {
		}
		if err := <-r.finished; err != nil {
			r.Errorf("run: %v", err)
		}
	})
}

// Settle waits until all that has been changed was reported.
func (r *Rig) Settle() {
	r.Helper()
	id, err := r.W.Barrier()
	if err != nil {
		r.Fatal(err)
	}
	for r.passed < id {
		r.Next()
	}
}

// Next waits for one batch.
func (r *Rig) Next() watch.Batch {
	r.Helper()
	select {
	case b, ok := <-r.W.Events():
		if !ok {
			r.finished <- nil
			r.Fatal("the watcher has ended")
		}
		r.note(b)
		return b
	case <-time.After(patience):
		r.Fatalf("nothing came: %+v", r.W.Stats())
	}
	panic("unreachable")
}

func (r *Rig) note(b watch.Batch) {
	for _, p := range b.Dirty {
		r.Dirty[p.String()]++
		if p.Private() || p.IsRoot() {
			r.Errorf("%q was reported", p)
		}
	}
	for _, p := range b.Trees {
		r.Trees[p.String()]++
	}
	for _, v := range b.Moves {
		r.Moves[v.From.String()] = v.To.String()
		for _, p := range []string{v.From.String(), v.To.String()} {
			r.Dirty[p]++
			r.Trees[p]++
		}
	}
	if b.Rescan {
		r.Rescans++
	}
	for _, id := range b.Barriers {
		if id != r.passed+1 && r.passed != 0 {
			r.Errorf("barrier %d passed after %d", id, r.passed)
		}
		r.passed = id
	}
}

// Forget clears what has been reported.
func (r *Rig) Forget() {
	clear(r.Dirty)
	clear(r.Trees)
	clear(r.Moves)
	r.Rescans = 0
}

// Want checks that each path was reported: itself, or by a tree around it.
func (r *Rig) Want(paths ...string) {
	r.Helper()
	for _, s := range paths {
		if !r.covered(farm.MustPath(s)) {
			r.Errorf("%q was not reported; dirty %q, trees %q", s, keys(r.Dirty), keys(r.Trees))
		}
	}
	if r.Rescans > 0 {
		r.Errorf("notifications were lost: %s", r.W.Stats().LastLoss)
	}
}

// WantNot checks that no path was reported.
func (r *Rig) WantNot(paths ...string) {
	r.Helper()
	for _, s := range paths {
		if r.covered(farm.MustPath(s)) {
			r.Errorf("%q was reported", s)
		}
	}
}

func (r *Rig) covered(p farm.Path) bool {
	if r.Dirty[p.String()] > 0 {
		return true
	}
	for ; ; p = p.Parent() {
		if r.Trees[p.String()] > 0 {
			return true
		}
		if p.IsRoot() {
			return false
		}
	}
}

func keys(m map[string]int) []string {
	var ks []string
	for k := range m {
		if ks = append(ks, k); len(ks) == 20 {
			return append(ks, "...")
		}
	}
	return ks
}

// Path is the system's path of an entry of the folder.
func (r *Rig) Path(p string) string { return filepath.Join(r.Root, p) }

// Write makes or replaces the content of a file and closes it.
func (r *Rig) Write(p, content string) {
	r.Helper()
	r.Must(os.WriteFile(r.Path(p), []byte(content), 0o644))
}

// Mkdir makes a directory and its parents.
func (r *Rig) Mkdir(p string) {
	r.Helper()
	r.Must(os.MkdirAll(r.Path(p), 0o755))
}

// Must ends the test on an error.
func (r *Rig) Must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}
