package watch_test

import (
	"os"
	"testing"

	"tandem/internal/watch"
	"tandem/internal/watch/watchtest"
)

func TestInotify(t *testing.T) {
	t.Parallel()
	watchtest.Suite(t, watch.Inotify, watchtest.DiskBurst, (*testing.T).TempDir)
}

func TestFanotify(t *testing.T) {
	t.Parallel()
	needFanotify(t)
	watchtest.Suite(t, watch.Fanotify, watchtest.DiskBurst, (*testing.T).TempDir)
}

// TestTmpfs is the same on another file system, where handles look different.
func TestTmpfs(t *testing.T) {
	t.Parallel()
	t.Run("poll", func(t *testing.T) { watchtest.Suite(t, watch.Poll, watchtest.MemoryBurst, inMemory) })
	t.Run("inotify", func(t *testing.T) { watchtest.Suite(t, watch.Inotify, watchtest.MemoryBurst, inMemory) })
	t.Run("fanotify", func(t *testing.T) {
		needFanotify(t)
		watchtest.Suite(t, watch.Fanotify, watchtest.MemoryBurst, inMemory)
	})
}

// inMemory makes a directory on a tmpfs.
func inMemory(t *testing.T) string {
	d, err := os.MkdirTemp("/dev/shm", "watch")
	if err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	t.Cleanup(func() { os.RemoveAll(d) })
	return d
}

func needFanotify(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("fanotify on a whole file system needs root")
	}
}
