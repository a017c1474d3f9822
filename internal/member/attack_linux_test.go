package member

import (
	"bytes"
	"context"
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

	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/install"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

var attackTime = flag.Duration("attack", 1500*time.Millisecond, "how long the attack of another user lasts")

const (
	attackedEnv = "TANDEM_ATTACKED"
	secret      = "nobody may read this"
	attackerID  = 65534
)

// TestAttacker is the attacking process (see package vfs, which has the same for every single operation).
func TestAttacker(t *testing.T) {
	dir := os.Getenv(attackedEnv)
	if dir == "" {
		t.Skip("runs as a process of its own")
	}
	for i := 0; ; i++ {
		for _, s := range [][2]string{{"d", "l"}, {"f", "k"}} {
			_ = unix.Renameat2(unix.AT_FDCWD, filepath.Join(dir, s[0]), unix.AT_FDCWD, filepath.Join(dir, s[1]), unix.RENAME_EXCHANGE)
		}
		if i%8 == 0 {
			_ = os.WriteFile(filepath.Join(dir, "d/f"), fmt.Append(nil, "mine ", i), 0o644)
			_ = os.WriteFile(filepath.Join(dir, "f"), fmt.Append(nil, "mine ", i), 0o644)
		}
	}
}

// TestAttackedFolder has the scanner look, the keeper install, set attributes, delete and serve, as root, in a directory
// that another user owns and keeps swapping for links to a place outside.
func TestAttackedFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be attacked by somebody else")
	}
	base, err := os.MkdirTemp("", "attacked")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(base) })
	out, his := filepath.Join(base, "out"), filepath.Join(base, "root/his")
	a := &attacked{T: t, saw: map[string]int{}}
	a.must(os.MkdirAll(out, 0o755), os.MkdirAll(his+"/d", 0o755), os.Chmod(base, 0o755),
		os.WriteFile(out+"/f", []byte(secret), 0o600), os.WriteFile(out+"/only-outside", []byte(secret), 0o600),
		os.WriteFile(his+"/d/f", []byte("mine"), 0o644), os.WriteFile(his+"/f", []byte("mine"), 0o644),
		os.Symlink(out, his+"/l"), os.Symlink(out+"/f", his+"/k"))
	for _, p := range []string{"", "/d", "/d/f", "/f", "/l", "/k"} {
		a.must(os.Lchown(his+p, attackerID, attackerID))
	}
	fs, err := vfs.Open(filepath.Join(base, "root"))
	a.must(err, fs.Prepare("site"))
	defer fs.Close()
	a.fs, a.scanner, a.keeper = fs, scan.New(fs, scan.Config{}), install.New(fs, install.Config{Folder: "site"})
	a.must(a.keeper.Recover())
	defer a.keeper.Close()
	before := a.inodes(out)
	a.start(his)
	for end := time.Now().Add(*attackTime); time.Now().Before(end); a.rounds++ {
		for _, p := range []string{"his/d/f", "his/f", "his/d", "his/d/new"} {
			a.path(farm.MustPath(p))
		}
		a.must(a.walk())
		a.keeper.Sweep(t.Context())
	}
	if after := a.inodes(out); after != before {
		t.Errorf("outside was\n%sand is\n%s", before, after)
	}
	t.Logf("%d rounds: %v", a.rounds, a.saw)
	if a.saw["done"] == 0 || a.saw["served"] == 0 {
		t.Error("nothing was installed or served: the two have not met")
	}
}

type attacked struct {
	*testing.T
	fs      vfs.FS
	scanner *scan.Scanner
	keeper  *install.Keeper
	rounds  int
	saw     map[string]int
}

func (a *attacked) must(errs ...error) {
	a.Helper()
	for _, err := range errs {
		if err != nil {
			a.Fatal(err)
		}
	}
}

func (a *attacked) start(dir string) {
	self, err := os.Open("/proc/self/exe")
	a.must(err)
	defer self.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/fd/3", Args: []string{"attacker", "-test.run=^TestAttacker$"}, Env: []string{attackedEnv + "=" + dir},
		Dir: "/", ExtraFiles: []*os.File{self},
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: attackerID, Gid: attackerID}},
	}
	a.must(cmd.Start())
	a.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// inodes describes what is in dir: nothing can be done to an inode without a new ctime.
func (a *attacked) inodes(dir string) string {
	var b strings.Builder
	for _, name := range []string{"", "f", "only-outside"} {
		var st unix.Stat_t
		a.must(unix.Lstat(filepath.Join(dir, name), &st))
		fmt.Fprintf(&b, "%q %o %d:%d %d links, ctime %d\n", name, st.Mode, st.Uid, st.Gid, st.Nlink, st.Ctim.Nano())
	}
	return b.String()
}

// path looks at p and then wants, in turn, other content, other attributes, and nothing there.
func (a *attacked) path(p farm.Path) {
	content := []byte(fmt.Sprintf("installed in round %d", a.rounds))
	file := farm.Attr{Type: farm.File, Mode: 0o666, Size: int64(len(content)), Digest: blake3.Sum256(content), MTime: int64(a.rounds),
		Owner: farm.Owner{UID: attackerID, GID: attackerID}}
	for step := range 3 {
		o, err := a.scanner.Examine(a.Context(), p, farm.Disk{})
		if err != nil {
			continue
		}
		if bytes.Contains(o.Content, []byte(secret)) {
			a.Errorf("read %s outside", p)
		}
		a.serve(p, o.Attr.Digest)
		want := file
		switch step {
		case 1:
			want = o.Attr
			want.Mode, want.Owner = 0o777, file.Owner
		case 2:
			want = farm.Attr{}
		}
		r := a.keeper.Install(a.Context(), farm.Plan{Path: p, Want: want, Expect: farm.Disk{Attr: o.Attr, Stat: o.Stat}, Content: content}, nil)
		a.saw[r.Outcome.String()]++
	}
}

func (a *attacked) serve(p farm.Path, d farm.Digest) {
	r, _, err := a.keeper.Open(context.Background(), p, d)
	if err != nil {
		return
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err == nil {
		a.saw["served"]++
	}
	if bytes.Contains(b, []byte(secret)) {
		a.Errorf("served %s from outside", p)
	}
}

func (a *attacked) walk() error {
	return a.scanner.Walk(a.Context(), farm.Path{}, nothingKnown{}, func(p farm.Path) error {
		if p.Base() == "only-outside" {
			a.Errorf("walked outside: %s", p)
		}
		return nil
	})
}

type nothingKnown struct{}

func (nothingKnown) Children(farm.Path) (map[string]farm.Disk, error) {
	return map[string]farm.Disk{}, nil
}
