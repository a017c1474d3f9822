package sim

import (
	"strings"
	"testing"
)

// TestMoves plays seeds in which directories are renamed as a whole, and sees to it that this is what happens.
func TestMoves(t *testing.T) {
	done, refused := 0, 0
	for seed := uint64(1); seed <= 60; seed++ {
		opt := Mix(seed)
		opt.Moves, opt.Pace = true, 4*opt.Pace
		trace, err := Run(opt)
		if err != nil {
			t.Errorf("seed %d: %v", seed, err)
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
	if done < 50 || refused == 0 {
		t.Errorf("%d directories were renamed, %d were not as expected: this shows nothing", done, refused)
	}
	t.Logf("%d directories were renamed, %d were not as expected", done, refused)
}
