//go:build !linux

package shell

import (
	"syscall"
	"time"
)

// plainWriteIdle is Caddy's time-out for writes on plain connections, in nanoseconds.
const plainWriteIdle = int64(DefaultStallTime)

func stallGuard(time.Duration) func(_, _ string, _ syscall.RawConn) error { return nil }
