package sim

import (
	"strings"
	"testing"
)

// TestMoves plays seeds in which directories are renamed as a whole, and sees to it that this is what happens.
func TestMoves(t *testing.T) {
	done, refused := 0, 0
	n := uint64(60)
	if *seeds > 0 {
		n = *seeds
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		opt := Mix(seed)
		opt.Moves, opt.Pace, opt.Versions = true, 4*opt.Pace, *traceAll
		trace, err := Run(opt)
		if *traceAll {
			t.Log("\n" + trace)
		}
		if err != nil {
			t.Errorf("seed %d: %v\nreplay: go test ./internal/sim -run TestMoves -seed %d -seeds 1 -story", seed, err, seed)
		}
		for line := range strings.Lines(trace) {
			if strings.Contains(line, " rename m to n: ") || strings.Contains(line, " rename n to m: ") {
				if strings.Contains(line, ": done") {
					done++
				} else {
					refused++
				}
			}
		}
	}
	if n >= 60 && (done < 50 || refused == 0) {
		t.Errorf("%d directories were renamed, %d were not as expected: this shows nothing", done, refused)
	}
	t.Logf("%d directories were renamed, %d were not as expected", done, refused)
}
