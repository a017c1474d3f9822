package replica

import (
	"testing"
	"time"

	"tandem/internal/farm"
)

// quietAt is the cause of an Unstable error, as scan has it.
type quietAt time.Time

func (quietAt) Error() string        { return "is being written" }
func (q quietAt) RetryAt() time.Time { return time.Time(q) }

// A file that is being written is looked at again when whoever looked says that it may be quiet, otherwise soon.
func TestUnstableIsLookedAtAgain(t *testing.T) {
	now, p := time.Unix(1_700_000_000, 0), farm.MustPath("log")
	for _, tt := range []struct {
		cause error
		wait  time.Duration
	}{
		{nil, unstableRetry},
		{quietAt(now.Add(30 * time.Millisecond)), 30 * time.Millisecond},
		{quietAt(now.Add(2 * time.Second)), 2 * time.Second},
	} {
		m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: farm.Actor{Member: "web1", Epoch: 1}}}, rows{})
		m.Step(now, Start{})
		m.Step(now, Dirty{Paths: []farm.Path{p}})
		m.Step(now, Observed{Path: p, Err: &farm.Error{Op: "examine", Kind: farm.Unstable, Err: tt.cause}})
		examines := func(at time.Time) (n int) {
			for _, e := range m.Step(at, Tick{}) {
				if _, ok := e.(Examine); ok {
					n++
				}
			}
			return n
		}
		if n := examines(now.Add(tt.wait - time.Millisecond)); n != 0 {
			t.Errorf("%v: looked too early", tt.cause)
		}
		if n := examines(now.Add(tt.wait)); n != 1 {
			t.Errorf("%v: looked %d times when it was time", tt.cause, n)
		}
	}
}
