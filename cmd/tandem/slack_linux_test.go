package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestRelaxTimers: all threads get the slack where we have the right to, and what has no such file stays as it is.
func TestRelaxTimers(t *testing.T) {
	relaxTimers(t.TempDir(), timerSlackNanos)
	if os.Geteuid() != 0 {
		t.Skip("needs CAP_SYS_NICE")
	}
	slack := func(thread string) int {
		b, err := os.ReadFile("/proc/" + thread + "/timerslack_ns")
		if err != nil {
			return timerSlackNanos // it has ended
		}
		n, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := slack("self")
	defer relaxTimers("/proc", before)
	relaxTimers("/proc", timerSlackNanos)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		if n := slack(thread.Name()); n != timerSlackNanos {
			t.Errorf("thread %s: %d ns", thread.Name(), n)
		}
	}
}
