//go:build linux

package vfs_test

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain runs the tests under a strict umask: none of it may show in a mode that was asked for.
func TestMain(m *testing.M) {
	unix.Umask(0o077)
	os.Exit(m.Run())
}
