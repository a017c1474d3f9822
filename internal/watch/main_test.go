package watch_test

import (
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/farm"
	"tandem/internal/watch"
	"tandem/internal/watch/watchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPoll(t *testing.T) {
	t.Parallel()
	watchtest.Suite(t, watch.Poll, watchtest.DiskBurst, (*testing.T).TempDir)
}

// TestNoBarriers: nothing is written into the directory, and changes are reported all the same.
func TestNoBarriers(t *testing.T) {
	for _, mode := range []watch.Mode{watch.Auto, watch.Inotify, watch.Poll} {
		t.Run(string(mode), func(t *testing.T) {
			r := watchtest.Open(t, mode, watch.Options{Own: true, NoBarriers: true, Interval: time.Millisecond}, nil)
			if _, err := r.W.Barrier(); farm.KindOf(err) != farm.Unsupported {
				t.Errorf("barrier: %v", err)
			}
			if _, err := os.Stat(r.Path(farm.PrivateDir)); !os.IsNotExist(err) {
				t.Errorf("private area: %v", err)
			}
			r.Run()
			r.Write("f", "x")
			r.Next()
			r.Want("f")
		})
	}
}
