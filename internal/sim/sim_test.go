package sim

import (
	"flag"
	"fmt"
	"testing"
)

var (
	firstSeed = flag.Uint64("seed", 1, "first seed")
	seeds     = flag.Uint64("seeds", 0, "number of seeds; 0: as many as fit into half a minute")
	traceAll  = flag.Bool("story", false, "print the trace")
)

// Seeds played when the command line does not say how many.
const (
	normally = 200
	shortly  = 40
)

// once are seeds that found a fault. What they found then:
//
//	420             an intent that had been answered explained a later deletion by an application
//	1452            the oracle did not know that a power cut leaves half-written files
//	1627, 1735      a change of mode brought a content back that was on no disk any more
//	26, 233, 1016   a directory was kept alive by a version of it that had been replaced
//	202, 341, 349   a directory was kept alive by a child whose every living version had been replaced
var once = []uint64{26, 202, 233, 341, 349, 420, 1016, 1452, 1627, 1735}

// TestSeeds plays many random farms. A failure names its seed; replay it with
//
//	go test ./internal/sim -run TestSeeds -seed N -seeds 1 -story
func TestSeeds(t *testing.T) {
	n := *seeds
	switch {
	case n > 0:
	case testing.Short():
		n = shortly
	default:
		n = normally
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		play(t, seed)
	}
}

// TestOnceFailed plays the seeds that have failed before.
func TestOnceFailed(t *testing.T) {
	for _, seed := range once {
		play(t, seed)
	}
}

func play(t *testing.T, seed uint64) {
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

// The same seed gives the same trace, or a failure could not be replayed.
func TestSameSeedSameTrace(t *testing.T) {
	for _, seed := range []uint64{1, 10, 420, 1735} { // with crashes, power cuts, races, skew
		first, err := Run(Mix(seed))
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if second, _ := Run(Mix(seed)); second != first {
			t.Errorf("seed %d: two traces differ", seed)
		}
	}
}
