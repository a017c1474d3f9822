//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/internal/farm"
)

// small puts a disk of that size under dir.
func (f *farmUnderTest) small(dir, size string) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=755,size="+size); err != nil {
		f.t.Skipf("no small disk: %v", err)
	}
	f.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// A node whose disk is full waits for room: what is small goes on, status says why, and with room all heals.
func TestFullDisk(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	f.small(f.folder("web2"), "20M")
	f.found("\n[folder.www]\npath = \"/var/www\"\nmin_free = \"1MiB\"\n", nil)
	f.inSync("web1", "web2")
	began := time.Now()
	f.write(filepath.Join(f.folder("web1"), "fill"), strings.Repeat("x", 12<<20))
	f.equal("web1", "web2")
	f.write(filepath.Join(f.folder("web1"), "big"), strings.Repeat("y", 14<<20))
	f.awaitEvent("web2", farm.EventFolderFull, began, func(e farm.Event) bool { return e.Severity == farm.Fault })
	f.write(filepath.Join(f.folder("web1"), "small"), "goes on\n")
	f.await(20*time.Second, "a small file goes on", func() error {
		_, err := os.Stat(filepath.Join(f.folder("web2"), "small"))
		return err
	})
	f.await(20*time.Second, "status says why", func() error {
		st, err := f.status("web2")
		for _, fo := range st.Folders {
			if fo.ID == "www" && strings.Contains(fo.Reason, "waiting for space") {
				return err
			}
		}
		return fmt.Errorf("%+v %w", st.Folders, err)
	})
	if err := os.Remove(filepath.Join(f.folder("web1"), "fill")); err != nil {
		t.Fatal(err)
	}
	f.equal("web1", "web2")
	f.inSync("web1", "web2")
	f.awaitEvent("web2", farm.EventFolderFull, began, func(e farm.Event) bool { return e.Severity == farm.Healed })
}
