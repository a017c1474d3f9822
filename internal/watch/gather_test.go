package watch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
)

// step is a modification, or a look, at a time since the start.
type step struct {
	at     time.Duration
	do     func(g *gather, now time.Time)
	report string // paths that ripen at this time
}

func TestQuiet(t *testing.T) {
	f := farm.MustPath("f")
	modify := func(g *gather, now time.Time) { g.modified(f, now) }
	closed := func(g *gather, _ time.Time) { g.changed(f) }
	const ms = time.Millisecond
	var busy []step // a write every 100 ms
	for i := range 20 {
		busy = append(busy, step{time.Duration(i) * 100 * ms, modify, ""})
	}
	for name, steps := range map[string][]step{
		"quiet":           {{0, modify, ""}, {149 * ms, nil, ""}, {150 * ms, nil, "f"}, {time.Hour, nil, ""}},
		"quiet again":     {{0, modify, ""}, {100 * ms, modify, ""}, {150 * ms, nil, ""}, {249 * ms, nil, ""}, {250 * ms, nil, "f"}},
		"never quiet":     append(slices.Clone(busy), step{1999 * ms, nil, ""}, step{2000 * ms, modify, "f"}, step{2149 * ms, nil, ""}, step{2150 * ms, nil, "f"}),
		"closed":          {{0, modify, ""}, {10 * ms, closed, "f"}, {150 * ms, nil, ""}},
		"written after":   {{0, closed, "f"}, {10 * ms, modify, ""}, {160 * ms, nil, "f"}},
		"barrier":         {{0, modify, ""}, {10 * ms, func(g *gather, _ time.Time) { g.issue(1); g.barrier(1) }, "f"}, {160 * ms, nil, ""}},
		"written anew":    {{0, modify, ""}, {150 * ms, nil, "f"}, {160 * ms, modify, ""}, {310 * ms, nil, "f"}},
		"nothing to tell": {{0, nil, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			g, start := newGather(10), time.Unix(0, 0)
			for _, s := range steps {
				now := start.Add(s.at)
				g.ripen(now)
				if s.do != nil {
					s.do(g, now)
				}
				b, _ := g.take()
				g.taken()
				if got := join(b.Dirty); got != s.report {
					t.Errorf("at %v: got %q, want %q", s.at, got, s.report)
				}
			}
		})
	}
}

func join(ps []farm.Path) string {
	s := ""
	for _, p := range ps {
		s += p.String()
	}
	return s
}

func TestBounded(t *testing.T) {
	g := newGather(100)
	fill := func(do func(p farm.Path)) {
		for i := range 1000 {
			do(farm.MustPath(fmt.Sprint(i)))
			var s Stats
			if g.stats(&s); s.Held > 100 {
				t.Fatalf("%d paths are held", s.Held)
			}
		}
	}
	fill(func(p farm.Path) { g.modified(p, time.Unix(0, 0)) })
	b, ok := g.take()
	if !ok || !b.Rescan {
		t.Errorf("after 1000 writes: %+v", b)
	}
	g.changed(farm.MustPath("a"))
	b, _ = g.take() // offered, and not taken yet
	fill(g.changed)
	fill(g.tree)
	if b2, _ := g.take(); !b2.Rescan || len(b2.Dirty)+len(b2.Trees)+len(b.Dirty) > 100 {
		t.Errorf("%d and %d paths", len(b2.Dirty), len(b2.Trees))
	}
	g.taken()
	var s Stats
	if g.stats(&s); s.Losses == 0 || s.LastLoss == "" {
		t.Errorf("losses are not told: %+v", s)
	}
}

func TestBarriersPassInOrder(t *testing.T) {
	g := newGather(10)
	for id := range uint64(5) {
		g.issue(id + 1)
	}
	g.barrier(2)
	g.barrier(1) // late: has passed with 2
	g.barrier(9) // not ours
	b, _ := g.take()
	if !slices.Equal(b.Barriers, []uint64{1, 2}) || b.Rescan {
		t.Errorf("got %+v", b)
	}
	g.lost("test") // with the notifications of barriers
	g.barrier(4)
	b, _ = g.take()
	if !slices.Equal(b.Barriers, []uint64{3, 4, 5}) || !b.Rescan {
		t.Errorf("got %+v", b)
	}
	if !g.issue(5+MaxOpenBarriers) || g.issue(6+MaxOpenBarriers) {
		t.Errorf("the number of barriers is not bounded where it should be")
	}
}

func TestTreesAreDirtyToo(t *testing.T) {
	g := newGather(10)
	g.tree(farm.MustPath("d"))
	g.tree(farm.MustPath("d"))
	g.tree(farm.Path{})
	b, _ := g.take()
	if join(b.Dirty) != "d" || join(b.Trees) != "d." {
		t.Errorf("got %+v", b)
	}
}

// script is a source that does what a test says.
type script struct {
	play func(ctx context.Context) error
}

func (s script) run(ctx context.Context) error { return s.play(ctx) }
func (s script) barrier(uint64) error          { return nil }
func (s script) stats(*Stats)                  {}
func (s script) close() error                  { return nil }

// played returns a Watcher whose source runs play.
func played(t *testing.T, play func(ctx context.Context, g *gather) error) *Watcher {
	w, err := Open(t.TempDir(), Poll, Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.src = script{func(ctx context.Context) error { return play(ctx, w.held) }}
	return w
}

func TestDeliverTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := played(t, func(ctx context.Context, g *gather) error {
			g.modified(farm.MustPath("open"), time.Now())
			time.Sleep(QuietTime / 2) // virtual
			g.modified(farm.MustPath("late"), time.Now())
			g.changed(farm.MustPath("closed"))
			<-ctx.Done()
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- w.Run(ctx) }()
		for _, want := range []struct {
			path string
			at   time.Duration
		}{{"closed", QuietTime / 2}, {"open", QuietTime}, {"late", QuietTime * 3 / 2}} {
			b := <-w.Events()
			if at := time.Since(start); join(b.Dirty) != want.path || at != want.at {
				t.Errorf("%v after %v, want %v", b, at, want)
			}
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
		if _, ok := <-w.Events(); ok {
			t.Errorf("events go on after run")
		}
	})
}

// TestSlowConsumer: what comes while nobody takes is one batch.
func TestSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := played(t, func(ctx context.Context, g *gather) error {
			for i := range 1000 {
				g.changed(farm.MustPath(fmt.Sprint(i % 10)))
				time.Sleep(time.Millisecond) // virtual
			}
			<-ctx.Done()
			return nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		time.Sleep(2 * time.Second) // virtual
		first, second := <-w.Events(), <-w.Events()
		if len(first.Dirty) != 1 || len(second.Dirty) != 10 {
			t.Errorf("%d and %d paths", len(first.Dirty), len(second.Dirty))
		}
		cancel()
		<-done
	})
}

func TestBrokenSource(t *testing.T) {
	w := played(t, func(context.Context, *gather) error { return fmt.Errorf("broken") })
	if err := w.Run(t.Context()); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("got %v", err)
	}
	if err := w.Run(t.Context()); farm.KindOf(err) != farm.Internal {
		t.Errorf("second run: %v", err)
	}
}

func TestParseMode(t *testing.T) {
	for s, want := range map[string]Mode{"": Auto, "auto": Auto, "fanotify": Fanotify, "inotify": Inotify, "poll": Poll, "Poll": "", "x": ""} {
		if got, err := ParseMode(s); got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}
