//go:build linux

package vfs_test

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/vfs"
	"tandem/internal/vfs/vfstest"
)

// realApp is vfstest.App on a directory.
type realApp string

func (a realApp) Write(p, data string) error {
	return os.WriteFile(filepath.Join(string(a), p), []byte(data), 0o644)
}

func (a realApp) OpenWrite(p string) (io.Closer, error) {
	return os.OpenFile(filepath.Join(string(a), p), os.O_WRONLY, 0)
}

func (a realApp) Mkfifo(p string) error { return unix.Mkfifo(filepath.Join(string(a), p), 0o644) }

func open(t *testing.T, root string) vfs.FS {
	t.Helper()
	fs, err := vfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	return fs
}

func TestRealContract(t *testing.T) {
	for name, set := range map[string]func(vfs.FS){
		"openat2 and O_TMPFILE": func(vfs.FS) {},
		"walk":                  vfs.Walk,
		"named temps":           vfs.NameTemps,
	} {
		t.Run(name, func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) (vfs.FS, vfstest.App) {
				root := t.TempDir()
				fs := open(t, root)
				set(fs)
				return fs, realApp(root)
			})
		})
	}
}

func TestPrepareRefusesSecondDaemonAndOtherFolder(t *testing.T) {
	root := t.TempDir()
	first, second := open(t, root), open(t, root)
	if err := first.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	if err := second.Prepare("site"); farm.KindOf(err) != farm.Conflict {
		t.Errorf("a second daemon got in: %v", err)
	}
	if err := first.Prepare("site"); err != nil {
		t.Errorf("a second Prepare by the same: %v", err)
	}
}

func TestCheckRootSeesReplacedRoot(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	fs := open(t, root)
	if err := fs.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(root, farm.PrivateDir), filepath.Join(root, "aside")); err != nil {
		t.Fatal(err)
	}
	if err := fs.CheckRoot(); farm.KindOf(err) != farm.NotFound {
		t.Errorf("the private area is gone: %v", err)
	}
	if err := os.Rename(root, root+".old"); err != nil {
		t.Fatal(err)
	}
	if err := fs.CheckRoot(); farm.KindOf(err) != farm.NotFound {
		t.Errorf("the root is gone: %v", err)
	}
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := fs.CheckRoot(); farm.KindOf(err) != farm.Conflict {
		t.Errorf("another root is there: %v", err)
	}
}

func TestPrepareClosesOpenedArea(t *testing.T) {
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, farm.PrivateDir), 0o777); err != nil {
		t.Fatal(err)
	}
	fs := open(t, root)
	if err := fs.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	fi, err := os.Stat(filepath.Join(root, farm.PrivateDir))
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("mode %v, %v", fi.Mode(), err)
	}
}

func TestPrepareRefusesForeignArea(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a directory away")
	}
	root := t.TempDir()
	area := filepath.Join(root, farm.PrivateDir)
	if err := os.Mkdir(area, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(area, 33, 33); err != nil {
		t.Fatal(err)
	}
	if err := open(t, root).Prepare("site"); farm.KindOf(err) != farm.Denied {
		t.Errorf("took an area that somebody else made: %v", err)
	}
}

func TestMountIsNotEntered(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	root := t.TempDir()
	sub := filepath.Join(root, "mnt")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", sub, "tmpfs", 0, ""); err != nil {
		t.Skip("this environment can't mount: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(sub, unix.MNT_DETACH) })
	for name, set := range map[string]func(vfs.FS){"openat2": func(vfs.FS) {}, "walk": vfs.Walk} {
		fs := open(t, root)
		set(fs)
		if _, err := fs.Lstat(path("mnt")); farm.KindOf(err) != farm.Conflict {
			t.Errorf("%s: lstat of a mount: %v", name, err)
		}
		if _, err := fs.ReadDir(path("mnt")); farm.KindOf(err) != farm.Conflict {
			t.Errorf("%s: readdir of a mount: %v", name, err)
		}
		if err := fs.Mkdir(path("mnt/x"), 0o755); farm.KindOf(err) != farm.Conflict {
			t.Errorf("%s: mkdir in a mount: %v", name, err)
		}
	}
}

// TestSwappedParentStaysInside has somebody trade a directory for a link to a place outside, as fast as he can, while
// files are written, read and removed through it.
func TestSwappedParentStaysInside(t *testing.T) {
	t.Run("openat2", func(t *testing.T) { swapParent(t, func(vfs.FS) {}) })
	t.Run("walk", func(t *testing.T) { swapParent(t, vfs.Walk) })
}

func swapParent(t *testing.T, set func(vfs.FS)) {
	root, outside := t.TempDir(), t.TempDir()
	fs := open(t, root)
	set(fs)
	if err := fs.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, l := filepath.Join(root, "d"), filepath.Join(root, "l")
	if err := os.Mkdir(d, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, l); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, d, unix.AT_FDCWD, l, unix.RENAME_EXCHANGE)
			}
		}
	})
	mode := uint32(0o640)
	for range 2000 {
		if f, err := fs.Open(path("d/secret")); err == nil {
			t.Error("read outside")
			f.Close()
		}
		_ = fs.Mkdir(path("d/made"), 0o755)
		_ = fs.RemoveDir(path("d/made"))
		_ = fs.SetAttr(path("d/secret"), vfs.SetAttr{Mode: &mode})
		_ = fs.Remove(path("d/secret"))
		if tmp, err := fs.Temp(); err == nil {
			_ = tmp.Link(path("d/linked"))
			tmp.Close()
		}
		_ = fs.Remove(path("d/linked"))
	}
	close(stop)
	wg.Wait()
	list, err := os.ReadDir(outside)
	if err != nil || len(list) != 1 {
		t.Errorf("outside holds %v, %v", list, err)
	}
	if fi, err := os.Stat(filepath.Join(outside, "secret")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the file outside was touched: %v", err)
	}
}

func TestOwnerByName(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	fs := open(t, t.TempDir())
	if err := fs.Mkdir(path("d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if st := must(fs.Lstat(path("d"))); st.Owner.User != "root" || st.Owner.Group != "root" {
		t.Errorf("owner %+v", st.Owner)
	}
	o := farm.Owner{UID: 4242, GID: 4343, User: "no-such-user", Group: "root"}
	if err := fs.SetAttr(path("d"), vfs.SetAttr{Owner: &o}); err != nil {
		t.Fatal(err)
	}
	if st := must(fs.Lstat(path("d"))); st.UID != 4242 || st.GID != 0 || st.Owner.User != "" {
		t.Errorf("owner %+v", st.Owner)
	}
}

func BenchmarkLstatDepth3(b *testing.B) {
	root := b.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a/b/c"), 0o755); err != nil {
		b.Fatal(err)
	}
	fs := must(vfs.Open(root))
	defer fs.Close()
	p := path("a/b/c")
	for b.Loop() {
		_, _ = fs.Lstat(p)
	}
}
