package sim

import (
	"flag"
	"fmt"
	"testing"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed")
	seeds     = flag.Uint64("seeds", 300, "number of seeds")
	traceAll  = flag.Bool("story", false, "print the trace")
)

// TestSeeds plays many random farms. A failure names its seed; replay it with
//
//	go test ./internal/sim -run TestSeeds -seed N -seeds 1 -story
func TestSeeds(t *testing.T) {
	for seed := *firstSeed; seed < *firstSeed+*seeds; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			trace, err := Run(Mix(seed))
			if *traceAll {
				t.Log("\n" + trace)
			}
			if err != nil {
				t.Errorf("seed %d, %+v: %v\nreplay: go test ./internal/sim -run TestSeeds -seed %d -seeds 1 -story", seed, Mix(seed), err, seed)
			}
		})
	}
}
