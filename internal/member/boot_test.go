package member

import (
	"testing"
	"time"
)

func TestBootTime(t *testing.T) {
	now := time.Unix(2000, 5)
	for stat, want := range map[string]int64{
		"cpu 1 2 3\nbtime 1234\nprocesses 9\n": 1234e9,
		"cpu 1 2 3\n":                          now.UnixNano(),
		"btime x\n":                            now.UnixNano(),
	} {
		if got := bootTimeIn(stat, now); got != want {
			t.Errorf("%q: %d, want %d", stat, got, want)
		}
	}
	if got := bootTime(); got > time.Now().UnixNano() {
		t.Errorf("the system came up in the future: %d", got)
	}
}
