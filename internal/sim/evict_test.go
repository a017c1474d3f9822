package sim

import (
	"fmt"
	"sync/atomic"
	"testing"
)

// A member that was away for longer than it may be begins anew: what others deleted meanwhile does not come back, and nothing
// that was written on any side is lost.
func TestEvicted(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = 8
	}
	var rejoins atomic.Int64
	t.Cleanup(func() {
		if rejoins.Load() == 0 && !t.Failed() {
			t.Error("nobody lapsed")
		}
	})
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			opt := Wide(seed)
			opt.LongAway, opt.Evict, opt.Versions = true, true, *traceAll
			f := newSim(opt)
			trace, err := f.all()
			rejoins.Add(int64(f.rejoins))
			if *traceAll {
				t.Log("\n" + trace)
			}
			if err != nil {
				t.Errorf("seed %d, %+v: %v\nreplay: go test ./internal/sim -run TestEvicted -seed %d -seeds 1 -story", seed, opt, err, seed)
			}
		})
	}
}
