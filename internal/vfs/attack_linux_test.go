package vfs_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

var attackTime = flag.Duration("attack", 1500*time.Millisecond, "how long each attack of another user lasts")

const (
	attackedEnv = "TANDEM_ATTACKED" // the directory that the attacking process works in
	secret      = "nobody may read this"
	attackerID  = 65534
)

// TestAttacker is the attacking process: it owns a directory in the tree and trades what is in it for links to places
// outside, as fast as it can, until it is killed.
func TestAttacker(t *testing.T) {
	dir := os.Getenv(attackedEnv)
	if dir == "" {
		t.Skip("runs as a process of its own")
	}
	swap := func(a, b string) {
		_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, a), unix.AT_FDCWD, filepath.Join(dir, b), unix.RENAME_EXCHANGE)
	}
	for {
		swap("d", "l") // a directory and a link to one
		swap("f", "k") // a file and a link to one
		swap("d", "l")
		swap("f", "k")
		_ = os.Link(filepath.Join(dir, "hard"), filepath.Join(dir, "hard2"))
		_ = os.Chmod(filepath.Join(dir, "hard"), 0o600)
		_ = os.Remove(filepath.Join(dir, "hard2"))
		for _, name := range []string{"d/f", "d/made", "d/sub", "f"} { // what the other side takes away
			_ = os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o644)
		}
	}
}

// attack starts the attacking process as another user.
func attack(t *testing.T, dir string) {
	self, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer self.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/fd/3", Args: []string{"attacker", "-test.run=^TestAttacker$"}, Env: []string{attackedEnv + "=" + dir},
		Dir: "/", ExtraFiles: []*os.File{self},
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: attackerID, Gid: attackerID}},
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
			t.Errorf("the attacker has given up: %v", err)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// outside describes every inode below dir: nothing can be done to one without a new ctime.
func outside(t *testing.T, dir string) string {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %o %d:%d %d links, ino %d, ctime %d\n", p, st.Mode, st.Uid, st.Gid, st.Nlink, st.Ino, st.Ctim.Nano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestAttackedTree runs every operation of FS as root on a directory that another user owns and keeps swapping.
func TestAttackedTree(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be attacked by somebody else")
	}
	for name, set := range map[string]func(vfs.FS){"openat2": func(vfs.FS) {}, "walk": vfs.Walk, "named temps": vfs.NameTemps} {
		t.Run(name, func(t *testing.T) {
			base, err := os.MkdirTemp("", "attacked")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(base) })
			root, out := filepath.Join(base, "root"), filepath.Join(base, "out")
			dir := filepath.Join(root, "his")
			for _, d := range []string{out + "/sub", dir + "/d/sub"} {
				if err := os.MkdirAll(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{out + "/f", out + "/made", out + "/only-outside", out + "/sub/f"} {
				if err := os.WriteFile(f, []byte(secret), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{"d/f", "d/sub/f", "f", "hard"} {
				if err := os.WriteFile(filepath.Join(dir, f), []byte("mine"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, err := range []error{os.Symlink(out, dir+"/l"), os.Symlink(out+"/f", dir+"/k"), os.Chmod(base, 0o755), os.Chmod(root, 0o755)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			err = filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
				if e.IsDir() {
					_ = os.Chmod(p, 0o755)
				}
				return os.Lchown(p, attackerID, attackerID)
			})
			if err != nil {
				t.Fatal(err)
			}
			fs := open(t, root)
			set(fs)
			if err := fs.Prepare("site"); err != nil {
				t.Fatal(err)
			}
			before := outside(t, out)
			attack(t, dir)
			v := &victim{t: t, fs: fs, counts: map[string]int{}}
			for end := time.Now().Add(*attackTime); time.Now().Before(end); {
				v.everything()
			}
			if after := outside(t, out); after != before {
				t.Errorf("outside was\n%sand is\n%s", before, after)
			}
			t.Logf("succeeded, of %d rounds: %v", v.rounds, v.counts)
			if v.counts["setattr"] == 0 || v.counts["read"] == 0 || v.counts["refused"] == 0 {
				t.Error("the two have not met")
			}
		})
	}
}

type victim struct {
	t      *testing.T
	fs     vfs.FS
	rounds int
	counts map[string]int
}

func (v *victim) done(op string, err error) bool {
	switch {
	case err == nil:
		v.counts[op]++
	case farm.KindOf(err) == farm.Conflict:
		v.counts["refused"]++
	}
	return err == nil
}

// everything does each operation once on each of the paths that are being swapped.
func (v *victim) everything() {
	v.rounds++
	x, err := farm.MakeXAttrs([]farm.XAttr{{Name: "user.tandem", Value: "1"}, {Name: farm.XAttrACL, Value: "g=4,u:1=4"}})
	if err != nil {
		v.t.Fatal(err)
	}
	mode, mtime, owner := uint32(0o666), int64(v.rounds), farm.Owner{UID: attackerID, GID: attackerID}
	all := vfs.SetAttr{Mode: &mode, MTime: &mtime, Owner: &owner, XAttrs: &x}
	for _, s := range []string{"his/d/f", "his/d/sub/f", "his/f", "his/d", "his/d/sub", "his/hard2"} {
		p := path(s)
		_, err := v.fs.Lstat(p)
		v.done("lstat", err)
		v.done("setattr", v.fs.SetAttr(p, all))
		_, err = v.fs.XAttrs(p)
		v.done("xattrs", err)
		target, err := v.fs.Readlink(p)
		if v.done("readlink", err) && strings.Contains(target, secret) {
			v.t.Error("read a link outside")
		}
		v.read(p)
		list, err := v.fs.ReadDir(p)
		v.done("readdir", err)
		for _, e := range list {
			if e.Name == "only-outside" {
				v.t.Error("listed a directory outside")
			}
		}
	}
	v.mutate()
}

func (v *victim) read(p farm.Path) {
	f, err := v.fs.Open(p)
	if !v.done("open", err) {
		return
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	v.done("read", err)
	if strings.Contains(string(b), secret) {
		v.t.Errorf("read %s outside", p)
	}
}

func (v *victim) mutate() {
	staged := path(vfs.StagingDir + "/x")
	for _, s := range []string{"his/d/made", "his/d/sub/made"} {
		p := path(s)
		v.done("mkdir", v.fs.Mkdir(p, 0o755))
		v.done("rmdir", v.fs.RemoveDir(p))
		v.done("symlink", v.fs.Symlink("x", p))
		v.done("remove", v.fs.Remove(p))
		if tmp, err := v.fs.Temp(); v.done("temp", err) {
			_, err = io.WriteString(tmp, "installed")
			v.done("write", err)
			v.done("link", tmp.Link(p))
			_ = tmp.Close()
		}
		l, err := v.fs.OpenLog(path("his/d/log"))
		if v.done("openlog", err) {
			_ = l.Close()
		}
		if tmp, err := v.fs.Partial(path("his/d/partial")); v.done("partial", err) {
			_ = tmp.Close()
		}
	}
	for _, s := range []string{"his/d/f", "his/f", "his/d/made", "his/d/sub/f"} {
		p := path(s)
		if v.done("rename out", v.fs.RenameNoReplace(p, staged)) {
			v.read(staged)
			v.done("rename in", v.fs.RenameNoReplace(staged, p))
		}
		_ = v.fs.Remove(staged)
		if tmp, err := v.fs.Temp(); err == nil {
			_ = tmp.Link(staged)
			_ = tmp.Close()
		}
		if v.done("exchange", v.fs.Exchange(staged, p)) {
			v.read(staged)
			v.done("exchange back", v.fs.Exchange(staged, p))
		}
		_ = v.fs.Remove(staged)
		v.done("remove", v.fs.Remove(p))
	}
}
