//go:build !linux

package vfs

// OpenFiles is not known here.
func OpenFiles() (open, limit int, ok bool) { return 0, 0, false }
