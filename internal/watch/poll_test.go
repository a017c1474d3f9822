package watch_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/watch"
)

// polled runs test with a polling Watcher in virtual time.
func polled(t *testing.T, interval time.Duration, test func(t *testing.T, root string, w *watch.Watcher)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		root := filepath.Join(dir, "root")
		if err := os.MkdirAll(root, 0o755); err != nil {
			t.Fatal(err)
		}
		w, err := watch.Open(root, watch.Poll, watch.Options{Interval: interval})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		test(t, root, w)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestPollInterval(t *testing.T) {
	polled(t, 0, func(t *testing.T, root string, w *watch.Watcher) {
		if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		b := <-w.Events()
		if took := time.Since(start); len(b.Dirty) != 1 || took != watch.DefaultPollInterval {
			t.Errorf("%+v after %v", b, took)
		}
	})
}

// TestPollRootGone: a root that can't be read is a rescan, once, and barriers pass with it; its return is noticed.
func TestPollRootGone(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root can read everything")
	}
	polled(t, time.Second, func(t *testing.T, root string, w *watch.Watcher) {
		if err := os.WriteFile(filepath.Join(root, "f"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		<-w.Events()
		if err := os.Chmod(root, 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(root, 0o755)
		id, err := w.Barrier()
		if err != nil {
			t.Fatal(err)
		}
		if b := <-w.Events(); !b.Rescan || len(b.Barriers) != 1 || b.Barriers[0] != id || len(b.Dirty) > 0 {
			t.Errorf("%+v", b)
		}
		time.Sleep(10 * time.Second) // virtual
		select {
		case b := <-w.Events():
			t.Errorf("again: %+v", b)
		default:
		}
		if err := os.Chmod(root, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, "g"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if b := <-w.Events(); b.Rescan || len(b.Dirty) != 1 {
			t.Errorf("back: %+v", b)
		}
	})
}
