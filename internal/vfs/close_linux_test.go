package vfs

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// TestLateCallsMeetNothing has a disk used after it was closed, when its descriptor's number would have been taken again.
func TestLateCallsMeetNothing(t *testing.T) {
	root, other := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "f"), []byte("of another folder"), 0o644); err != nil {
		t.Fatal(err)
	}
	d, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 { // the lowest number that is free is taken first
		fd, err := unix.Open(other, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
	}
	if _, err := d.Lstat(farm.MustPath("f")); err == nil {
		t.Error("a disk that is closed finds a file of another")
	}
	if err := d.Remove(farm.MustPath("f")); err == nil {
		t.Error("a disk that is closed removes a file of another")
	}
	if _, err := os.Stat(filepath.Join(other, "f")); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("closed again: %v", err)
	}
}
