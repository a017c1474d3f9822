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

	"tandem/internal/control"
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

// A member whose state directory is on a full disk says so, halts its folders, and goes on by itself when there is room:
// what applications wrote meanwhile, here and elsewhere, is not lost.
func TestFullStateDisk(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	state := filepath.Join(f.members["web2"].dir, "state")
	f.small(state, "24M")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.inSync("web1", "web2")
	began := time.Now()
	ballast := filepath.Join(state, "ballast")
	f.fill(ballast)
	for i := range 300 {
		f.write(filepath.Join(f.folder("web2"), fmt.Sprintf("here/%d", i)), strings.Repeat("h", 1000))
		f.write(filepath.Join(f.folder("web1"), fmt.Sprintf("there/%d", i)), strings.Repeat("t", 1000))
	}
	f.await(30*time.Second, "status says why", func() error {
		st, err := f.status("web2")
		for _, fo := range st.Folders {
			if fo.ID == "www" && fo.State == control.FolderHalted && strings.Contains(fo.Reason, "state directory "+state+" is full") {
				return err
			}
		}
		return fmt.Errorf("%+v %w", st.Folders, err)
	})
	f.write(filepath.Join(f.folder("web2"), "while halted"), "1")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	if _, err := os.Stat(filepath.Join(f.folder("web1"), "while halted")); err != nil {
		t.Error(err)
	}
	f.awaitEvent("web2", farm.EventFolderHalted, began, func(e farm.Event) bool {
		return e.Folder == "www" && e.Severity == farm.Fault && strings.Contains(e.Next, state)
	})
}

// fill takes all space of the disk that the file is on.
func (f *farmUnderTest) fill(name string) {
	f.t.Helper()
	file, err := os.Create(name)
	if err != nil {
		f.t.Fatal(err)
	}
	for size := 1 << 20; size >= 1; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if err := file.Close(); err != nil {
		f.t.Fatal(err)
	}
}
