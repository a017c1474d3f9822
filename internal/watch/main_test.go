package watch_test

import (
	"testing"

	"go.uber.org/goleak"

	"tandem/internal/watch"
	"tandem/internal/watch/watchtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPoll(t *testing.T) {
	t.Parallel()
	watchtest.Suite(t, watch.Poll, watchtest.DiskBurst, (*testing.T).TempDir)
}
