package member

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// bootTime is when the system came up, in nanoseconds since 1970, or now where that is not to be had: what has been
// changed since then was changed by somebody, and not by the power cut before.
func bootTime() int64 {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return time.Now().UnixNano()
	}
	return bootTimeIn(string(b), time.Now())
}

func bootTimeIn(stat string, now time.Time) int64 {
	for line := range strings.Lines(stat) {
		if s, ok := strings.CutPrefix(line, "btime "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64); err == nil {
				return n * int64(time.Second)
			}
		}
	}
	return now.UnixNano()
}
