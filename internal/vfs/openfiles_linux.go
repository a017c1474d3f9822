package vfs

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenFiles are the number of files that the process has open, sockets too, and its limit. ok is false if that is not known.
func OpenFiles() (open, limit int, ok bool) {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 0, 0, false
	}
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, 0, false
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	return len(names) - 1, int(min(r.Cur, 1<<30)), err == nil
}
