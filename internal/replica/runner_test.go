package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is all ports of a runner in one: a disk of files without content, an index, and a transport that writes down
// what is sent. What happened is in story, in order.
type world struct {
	mu        sync.Mutex
	story     []string
	cat       catalogue
	broken    error // of the next commits
	disk      map[farm.Path]farm.Attr
	noticed   chan replica.Noticed
	nextID    uint64
	frames    [][]farm.Change
	states    []farm.FolderState
	events    []farm.Event
	behind    bool          // a push did not get through
	meanwhile func()        // is done before the next reading of the index
	blocked   chan struct{} // installations wait for it; nil: they don't
}

func newWorld() *world {
	return &world{
		cat:  catalogue{records: map[farm.Path]farm.Record{}, meta: farm.Meta{Actor: farm.Actor{Member: "a", Epoch: 1}}},
		disk: map[farm.Path]farm.Attr{}, noticed: make(chan replica.Noticed, 16),
	}
}

func (w *world) tell(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.story = append(w.story, fmt.Sprintf(format, args...))
}

func (w *world) told() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.story)
}

// file puts a file on the disk, as an application does.
func (w *world) file(name, text string) farm.Path {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := farm.MustPath(name)
	a := farm.Attr{Type: farm.File, Mode: 0o644, Size: int64(len(text))}
	copy(a.Digest[:], text)
	w.disk[p] = a
	return p
}

// The index.

func (w *world) Get(p farm.Path) (farm.Record, bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, ok := w.cat.Get(p)
	return r, ok, nil
}

func (w *world) Commit(put []farm.Record, drop []farm.Path, meta *farm.Meta) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	for _, r := range put {
		w.cat.Put(r)
	}
	for _, p := range drop {
		w.cat.Drop(p)
	}
	if len(put) > 0 {
		w.story = append(w.story, fmt.Sprintf("commit %d", len(put)))
	}
	return nil
}

func (w *world) All(dir farm.Path) iter.Seq2[farm.Record, error] {
	w.mu.Lock()
	meanwhile := w.meanwhile
	w.meanwhile = nil
	w.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	w.mu.Lock()
	all := slices.Collect(w.cat.Under(dir))
	w.mu.Unlock()
	return func(yield func(farm.Record, error) bool) {
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (w *world) Children(farm.Path) (map[string]farm.Disk, error) { return nil, nil }
func (w *world) ByDigest(farm.Digest) ([]farm.Path, error)        { return nil, nil }
func (w *world) Names(farm.Disk) ([]farm.Path, error)             { return nil, nil }
func (w *world) Sync() error                                      { return nil }
func (w *world) Live(dir farm.Path) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cat.Live(dir), nil
}

func (w *world) Empty(dir farm.Path) (bool, error) {
	all := 0
	for r := range w.All(dir) {
		if r.Path != dir {
			all++
		}
	}
	return all == 0, nil
}

// The watcher.

func (w *world) Events() <-chan replica.Noticed { return w.noticed }

func (w *world) Barrier() (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nextID++
	w.noticed <- replica.Noticed{Barriers: []uint64{w.nextID}}
	return w.nextID, nil
}

// The scanner.

func (w *world) Examine(_ context.Context, p farm.Path, _ farm.Disk) (farm.Observation, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return farm.Observation{Path: p, Attr: w.disk[p]}, nil
}

func (w *world) ExamineAll(ctx context.Context, looks []replica.Examine, answer func(replica.Observed), putOff func(replica.Examine)) {
	for _, e := range looks {
		seen, err := w.Examine(ctx, e.Path, e.Prior)
		answer(replica.Observed{Path: e.Path, Seen: seen, Err: err})
	}
}

func (w *world) Walk(context.Context, farm.Path, bool, replica.Log, func(farm.Path) error) error {
	return nil
}

// The installer.

func (w *world) Together(farm.Plan) bool { return false }

func (w *world) InstallAll(context.Context, []farm.Plan, func(farm.Path) replica.Source) []farm.Installed {
	panic("nothing goes together")
}

func (w *world) Install(ctx context.Context, plan farm.Plan, _ replica.Source) farm.Installed {
	if w.blocked != nil {
		select {
		case <-w.blocked:
		case <-ctx.Done():
			return farm.Installed{Plan: plan, Outcome: farm.Failed, Err: ctx.Err()}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disk[plan.Path] = plan.Want
	w.story = append(w.story, "install "+plan.Path.String())
	return farm.Installed{Plan: plan, Outcome: farm.Done, Attr: plan.Want}
}

func (w *world) Open(_ context.Context, p farm.Path, d farm.Digest) (io.ReadCloser, int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.disk[p].Digest != d {
		return nil, 0, farm.Errorf("open", p.String(), farm.NotFound, "not there")
	}
	size := w.disk[p].Size
	return io.NopCloser(bytes.NewReader(make([]byte, size))), size, nil
}

func (w *world) Sweep(context.Context) {}

func (w *world) Move(_ context.Context, mv farm.Move, _ farm.Disk, _ func(farm.Path) (map[string]farm.Disk, error)) farm.Installed {
	w.tell("rename %s", mv.To)
	return farm.Installed{}
}

func (w *world) Moved(context.Context, farm.Path, farm.Path, farm.Disk, replica.Log) (farm.Fingerprint, []farm.Path, bool, error) {
	return farm.Fingerprint{}, nil, false, nil
}

func (w *world) PushMove(to []farm.MemberID, mv farm.Move) []farm.MemberID {
	w.tell("move %s", mv.To)
	return to
}

// The transport.

func (w *world) Room(context.Context)     {}
func (w *world) CatchUp(to farm.MemberID) { w.tell("catch up %s", to) }
func (w *world) Behind(farm.MemberID, farm.Actor) (farm.Seq, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return 0, w.behind
}
func (w *world) Relay(_ []farm.MemberID, c farm.Change)       { w.tell("relay %s", c.Entry.Path) }
func (w *world) Push(c farm.Change)                           { w.tell("push %s", c.Entry.Path) }
func (w *world) Want(to farm.MemberID, _ farm.Vector, _ bool) { w.tell("want %s", to) }
func (w *world) Linked() []farm.MemberID                      { return nil }
func (w *world) Had(_ context.Context, to farm.MemberID, _ farm.Vector) error {
	w.tell("had %s", to)
	return nil
}

func (w *world) Send(_ context.Context, _ farm.MemberID, changes []farm.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, changes)
	return nil
}

func (w *world) Fetch(context.Context, farm.MemberID, farm.Path, farm.Digest, int64) (io.ReadCloser, error) {
	return nil, farm.Errorf("fetch", "", farm.Unavailable, "nobody")
}

// run starts a runner in the bubble of a test. Stop ends it and gives what Run returned.
func (w *world) run(t *testing.T) (r *replica.Runner, stop func() error) {
	t.Helper()
	r = replica.NewRunner(replica.RunnerConfig{
		Folder: "shop", Machine: replica.Config{Folder: "shop", Meta: w.cat.meta, Anew: w.cat.meta.Seq == 0},
		Log: w, Watcher: w, Scanner: w, Installer: w, Transport: w,
		Publish: func(s farm.FolderState, _ replica.Summary) {
			w.mu.Lock()
			w.states = append(w.states, s)
			w.mu.Unlock()
		},
		Sink: func(e farm.Event) {
			w.mu.Lock()
			w.events = append(w.events, e)
			w.mu.Unlock()
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return r, func() error { cancel(); return <-ended }
}

// from is the n-th change of member b: a file called name.
func from(n farm.Seq, name string) replica.Arrived {
	dot := farm.Position{Actor: farm.Actor{Member: "b", Epoch: 1}, Seq: n}
	own := farm.Stamp{Dot: dot, Time: farm.HLC(n)}
	e := farm.Entry{Path: farm.MustPath(name), Attr: farm.Attr{Type: farm.File, Mode: 0o644, Size: 1, Digest: farm.Digest{byte(n), byte(n >> 8)}}}
	e.Version = farm.Version{Dot: dot, Vector: farm.VectorOf(dot), Time: own.Time, Content: own, Meta: own}
	return replica.Arrived{From: "b", Change: farm.Change{Entry: e, Content: []byte{1}}}
}

// Nobody is told of a change before it is in the index.
func TestCommitComesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		_, stop := w.run(t)
		w.noticed <- replica.Noticed{Dirty: []farm.Path{w.file("f", "1")}}
		synctest.Wait()
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		story := w.told()
		commit, push := slices.Index(story, "commit 1"), slices.Index(story, "push f")
		if commit < 0 || push < commit {
			t.Errorf("story %q", story)
		}
	})
}

// An index that fails stops the runner, and nothing that it should have recorded happens.
func TestFailingIndexStopsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r, stop := w.run(t)
		synctest.Wait()
		w.mu.Lock()
		w.broken = farm.Errorf("commit", "index", farm.Full, "no space left")
		w.mu.Unlock()
		r.Deliver(t.Context(), from(1, "f"))
		w.noticed <- replica.Noticed{Dirty: []farm.Path{w.file("g", "1")}}
		synctest.Wait()
		if err := stop(); farm.KindOf(err) != farm.Full {
			t.Errorf("error %v, want one of kind full", err)
		}
		if story := w.told(); len(story) > 0 {
			t.Errorf("happened all the same: %q", story)
		}
	})
}

// A barrier gives the position that includes what was written before it, and Wait returns when it is visible.
func TestBarrierAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r, stop := w.run(t)
		w.noticed <- replica.Noticed{Dirty: []farm.Path{w.file("f", "1"), w.file("g", "2")}}
		pos, err := r.Barrier(t.Context())
		if err != nil || pos.Seq != 2 {
			t.Errorf("barrier at %v, %v; want 2", pos, err)
		}
		if err := r.Wait(t.Context(), pos); err != nil {
			t.Error(err)
		}

		remote := from(1, "h").Change.Entry.Version.Dot
		waited := make(chan error)
		go func() { waited <- r.Wait(t.Context(), remote) }()
		synctest.Wait()
		select {
		case err := <-waited:
			t.Errorf("did not wait: %v", err)
		default:
		}
		r.Deliver(t.Context(), from(1, "h"))
		if err := <-waited; err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Whoever waits too long is told so, and leaves nothing behind.
func TestWaitersGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r, stop := w.run(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := r.Wait(ctx, farm.Position{Actor: farm.Actor{Member: "b", Epoch: 1}, Seq: 9})
		if farm.KindOf(err) != farm.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("wait: %v", err)
		}
		if _, err := r.Barrier(ctx); farm.KindOf(err) != farm.Unavailable {
			t.Errorf("barrier: %v", err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// While the disk is slow, peers wait instead of filling the memory; local changes and time go on.
func TestSlowDiskHoldsPeersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.blocked = make(chan struct{})
		r, stop := w.run(t)
		const many = 20_000
		var sent int
		go func() {
			for n := range farm.Seq(many) {
				r.Deliver(t.Context(), from(n+1, fmt.Sprintf("f%d", n)))
				w.mu.Lock()
				sent++
				w.mu.Unlock()
			}
		}()
		synctest.Wait()
		w.mu.Lock()
		taken := sent
		w.mu.Unlock()
		if taken < 8_000 || taken > 9_500 {
			t.Errorf("%d changes were taken, want a little more than 8192", taken)
		}
		if pos, err := func() (farm.Position, error) {
			w.noticed <- replica.Noticed{Dirty: []farm.Path{w.file("local", "1")}}
			return r.Barrier(t.Context())
		}(); err != nil || pos.Seq != 1 {
			t.Errorf("a local change waited: %v, %v", pos, err)
		}
		close(w.blocked)
		if err := r.Wait(t.Context(), from(many, "x").Change.Entry.Version.Dot); err != nil {
			t.Error(err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A peer that knows nothing gets everything, in frames of bounded size, and is told when that was all.
func TestCatchUpComesInFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		const files = 1000
		var dirty []farm.Path
		for i := range files {
			dirty = append(dirty, w.file(fmt.Sprintf("f%d", i), "some"))
		}
		r, stop := w.run(t)
		w.noticed <- replica.Noticed{Dirty: dirty}
		if _, err := r.Barrier(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.Deliver(t.Context(), replica.Wanted{From: "b"})
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		got := map[farm.Path]bool{}
		for _, f := range w.frames {
			if len(f) > 256 {
				t.Errorf("a frame of %d changes", len(f))
			}
			for _, c := range f {
				got[c.Entry.Path] = true
				if len(c.Content) != 4 {
					t.Errorf("%s: %d bytes came along, want 4", c.Entry.Path, len(c.Content))
				}
			}
		}
		if story := w.told(); len(got) != files || len(w.frames) < 4 || story[len(story)-1] != "had b" {
			t.Errorf("%d files in %d frames, then %q", len(got), len(w.frames), story[len(story)-1])
		}
	})
}

// Many files at once don't drown the journal: after the first few of a second they are only counted.
func TestStormOfFilesIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		r, stop := w.run(t)
		for n := range farm.Seq(500) {
			r.Deliver(t.Context(), from(n+1, fmt.Sprintf("f%d", n)))
		}
		if err := r.Wait(t.Context(), from(500, "x").Change.Entry.Version.Dot); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second) // virtual
		r.Deliver(t.Context(), from(501, "last"))
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		single, counted := map[string]int{}, ""
		for _, e := range w.events {
			if e.Fields["count"] != "" {
				counted += e.Fields["count"]
			} else {
				single[string(e.ID)]++
			}
		}
		if want := map[string]int{string(farm.EventFileInstalled): 21}; !maps.Equal(single, want) || counted != "480" {
			t.Errorf("events %v and a count of %q", single, counted)
		}
	})
}
