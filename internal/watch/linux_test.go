package watch_test

import (
	"os"
	"testing"

	"tandem/internal/watch"
	"tandem/internal/watch/watchtest"
)

func TestInotify(t *testing.T) { watchtest.Suite(t, watch.Inotify, nil) }

func TestFanotify(t *testing.T) {
	needFanotify(t)
	watchtest.Suite(t, watch.Fanotify, nil)
}

// TestTmpfs is the same on another file system, where handles look different.
func TestTmpfs(t *testing.T) {
	const shm = "/dev/shm"
	dir := func(t *testing.T) string {
		d, err := os.MkdirTemp(shm, "watch")
		if err != nil {
			t.Skipf("no tmpfs: %v", err)
		}
		t.Cleanup(func() { os.RemoveAll(d) })
		return d
	}
	t.Run("inotify", func(t *testing.T) { watchtest.Suite(t, watch.Inotify, dir) })
	t.Run("fanotify", func(t *testing.T) {
		needFanotify(t)
		watchtest.Suite(t, watch.Fanotify, dir)
	})
}

func needFanotify(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("fanotify on a whole file system needs root")
	}
}
