//go:build linux

package scan_test

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/scan"
)

// TestMount: what is mounted inside the folder, be it of another file system or the same, is named and not entered.
func TestMount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a mount needs root")
	}
	root := t.TempDir()
	for _, d := range []string{"tmp/below", "bind", "elsewhere"} {
		if err := os.MkdirAll(filepath.Join(root, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() { // the thread ends with its mount namespace
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		for _, err := range []error{
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("scan", filepath.Join(root, "tmp"), "tmpfs", 0, ""),
			unix.Mount(filepath.Join(root, "elsewhere"), filepath.Join(root, "bind"), "", unix.MS_BIND, ""),
			os.WriteFile(filepath.Join(root, "tmp/f"), nil, 0o644),
			os.WriteFile(filepath.Join(root, "elsewhere/f"), nil, 0o644),
		} {
			if err != nil {
				t.Errorf("mount: %v", err)
				return
			}
		}
		r := newDisk(t, scan.Config{}, root)
		for _, p := range []string{"tmp", "tmp/f", "tmp/none", "bind", "bind/f"} {
			_, err := r.s.Examine(t.Context(), farm.MustPath(p), farm.Disk{})
			if farm.KindOf(err) != farm.Conflict || !strings.Contains(err.Error(), "mounted") {
				t.Errorf("%s: %v", p, err)
			}
		}
		got, err := r.walk(r.s, ".", r.learn("elsewhere", "elsewhere/f"))
		if err != nil || !slices.Equal(got, []string{"bind", "tmp"}) {
			t.Errorf("walk: %q, %v", got, err)
		}
	}()
	<-done
}
