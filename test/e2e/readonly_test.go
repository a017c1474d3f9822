//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// disk is a file system of its own that can break: the system sets it to read-only as it does after an error of the device.
type disk struct {
	f          *farmUnderTest
	dir, image string
}

// disk puts one under dir. What is remounted by hand stays writable as long as a program writes there (EBUSY), so that only
// the system itself takes a disk away from a running daemon.
func (f *farmUnderTest) disk(dir string) *disk {
	f.t.Helper()
	need(f.t, "mkfs.ext4", "fsck.ext4", "losetup")
	d := &disk{f, dir, filepath.Join(f.t.TempDir(), "disk")}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		f.t.Fatal(err)
	}
	file, err := os.Create(d.image)
	if err == nil {
		err = file.Truncate(64 << 20)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	file.Close()
	d.run("mkfs.ext4", "-q", d.image)
	// Daemons have mount namespaces of their own, which must see how the disk goes and comes.
	parent := filepath.Dir(dir)
	d.run("mount", "--bind", parent, parent)
	d.run("mount", "--make-shared", parent)
	f.t.Cleanup(func() { _ = syscall.Unmount(parent, syscall.MNT_DETACH) })
	d.mount()
	f.t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	if _, err := os.Stat(d.trigger()); err != nil {
		f.t.Skipf("this system's ext4 can't be told to break: %v", err)
	}
	return d
}

func (d *disk) run(command ...string) string {
	d.f.t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		d.f.t.Fatalf("%v: %v: %s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (d *disk) mount() {
	d.f.t.Helper()
	if out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", d.image, d.dir).CombinedOutput(); err != nil {
		d.f.t.Skipf("no disk: %s", out)
	}
	if err := os.Remove(filepath.Join(d.dir, "lost+found")); err != nil { // no other member has one
		d.f.t.Fatal(err)
	}
}

// trigger is the file with which the system is told that there was an error.
func (d *disk) trigger() string {
	device, _, _ := strings.Cut(d.run("losetup", "-j", d.image), ":")
	return filepath.Join("/sys/fs/ext4", filepath.Base(device), "trigger_fs_error")
}

// fail has the system set it to read-only.
func (d *disk) fail() {
	d.f.t.Helper()
	d.f.write(d.trigger(), "1")
	if err := os.WriteFile(filepath.Join(d.dir, "probe"), nil, 0o644); err == nil {
		d.f.t.Fatal("the disk is writable still")
	}
}

// mend unmounts it, which succeeds as soon as nobody has a file open there, has it checked, and mounts it again.
func (d *disk) mend() {
	d.f.t.Helper()
	d.f.await(10*time.Second, "nobody uses the disk any more", func() error { return syscall.Unmount(d.dir, 0) })
	if out, err := exec.Command("fsck.ext4", "-fy", d.image).CombinedOutput(); err != nil && err.(*exec.ExitError).ExitCode() > 1 {
		d.f.t.Fatalf("%v: %s", err, out)
	}
	d.mount()
}

// awaitReason waits until status says that the folder www of a member is halted for a reason.
func (f *farmUnderTest) awaitReason(name, reason string) {
	f.t.Helper()
	f.await(30*time.Second, name+" says that "+reason, func() error {
		st, err := f.status(name)
		for _, fo := range st.Folders {
			if fo.ID == "www" && fo.State == control.FolderHalted && strings.Contains(fo.Reason, reason) {
				return err
			}
		}
		return fmt.Errorf("%+v %w", st.Folders, err)
	})
}

// A node whose folder lies on a disk that has become read-only says so and lets go of it, so that it can be mended; the others
// go on, and so does it by itself when the disk is back.
func TestReadOnlyFolder(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	d := f.disk(f.folder("web2"))
	f.found("\n[folder.www]\npath = \"/var/www\"\nmin_free = \"1MiB\"\n", nil)
	f.write(filepath.Join(f.folder("web1"), "dir/old"), "1")
	f.write(filepath.Join(f.folder("web1"), "gone"), "1")
	f.write(filepath.Join(f.folder("web2"), "mine"), "1")
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	began := time.Now()
	d.fail()
	f.write(filepath.Join(f.folder("web1"), "dir/old"), "2")
	for i := range 300 {
		f.write(filepath.Join(f.folder("web1"), fmt.Sprintf("new/%d", i)), strings.Repeat("n", 1000))
	}
	if err := os.Remove(filepath.Join(f.folder("web1"), "gone")); err != nil {
		t.Fatal(err)
	}
	f.awaitReason("web2", "the disk of "+f.folder("web2")+" is read-only")
	d.mend()
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	if _, err := os.Stat(filepath.Join(f.folder("web1"), "mine")); err != nil {
		t.Error(err)
	}
	f.awaitEvent("web2", farm.EventFolderHalted, began, func(e farm.Event) bool { return e.Folder == "www" && e.Severity == farm.Healed })
}

// The same with the disk of the state directory: what the member can't note it does not do, and its daemon stays.
func TestReadOnlyState(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	state := filepath.Join(f.members["web2"].dir, "state")
	d := f.disk(state)
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.write(filepath.Join(f.folder("web1"), "old"), "1")
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	d.fail()
	for i := range 300 {
		f.write(filepath.Join(f.folder("web2"), fmt.Sprintf("here/%d", i)), strings.Repeat("h", 1000))
		f.write(filepath.Join(f.folder("web1"), fmt.Sprintf("there/%d", i)), strings.Repeat("t", 1000))
	}
	f.awaitReason("web2", "the disk of the state directory "+state+" is read-only")
	f.stop("web2")
	d.mend()
	f.start("web2")
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	for _, name := range []string{"old", "here/299", "there/299"} {
		if _, err := os.Stat(filepath.Join(f.folder("web2"), name)); err != nil {
			t.Error(err)
		}
	}
}
