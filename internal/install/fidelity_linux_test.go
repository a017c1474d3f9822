package install

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

const fidelityEnv = "TANDEM_FIDELITY"

// TestFidelityAsUser is TestFidelity as somebody who is not root.
func TestFidelityAsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("TestFidelity is run by an ordinary user already")
	}
	const uid = 65534
	dir := must(os.MkdirTemp("", "fidelity"))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	check(os.Chown(dir, uid, uid))
	self := must(os.Open("/proc/self/exe"))
	defer self.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/fd/3", Args: []string{"user", "-test.run=^TestFidelity$", "-test.v"}, Dir: "/",
		Env: []string{fidelityEnv + "=" + dir}, ExtraFiles: []*os.File{self},
		SysProcAttr: &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFidelity") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestFidelity puts every kind of entry on a real disk, looks whether it is as wanted, and installs it once more, which
// must change nothing: what has been put there is not taken for a change.
func TestFidelity(t *testing.T) {
	root := os.Getenv(fidelityEnv)
	if root == "" {
		root = t.TempDir()
	}
	fs := must(vfs.Open(root))
	defer fs.Close()
	check(fs.Prepare("site"))
	k := New(fs, Config{Folder: "site"})
	check(k.Recover())
	defer k.Close()
	for name, want := range fidelityCases(must(fs.Lstat(farm.Path{})).XAttrs) {
		t.Run(name, func(t *testing.T) {
			p := path(strings.TrimPrefix(name, "name: "))
			plan := farm.Plan{Path: p, Want: want}
			if want.Type == farm.File {
				plan.Content = []byte("content")
			}
			r := k.Install(context.Background(), plan, nil)
			if r.Outcome != farm.Done || !r.Attr.Same(want) {
				t.Fatalf("%v, %v: told %+v, want %+v", r.Outcome, r.Err, r.Attr, want)
			}
			st := must(fs.Lstat(p))
			is := st.Attr()
			is.Digest, is.XAttrs = want.Digest, want.XAttrs
			if want.Type == farm.Symlink {
				is.Target = must(fs.Readlink(p))
			}
			if want.Mode&0o400 != 0 || os.Geteuid() == 0 {
				is.XAttrs = must(fs.XAttrs(p))
			}
			if !is.Same(want) {
				t.Fatalf("there is %+v, want %+v", is, want)
			}
			again := k.Install(context.Background(), farm.Plan{Path: p, Want: want, Expect: farm.Disk{Attr: r.Attr, Stat: st.Fingerprint}}, nil)
			if now := must(fs.Lstat(p)); want.Mode&0o400 != 0 && (again.Outcome != farm.Done || now.CTime != st.CTime || now.Ino != st.Ino) {
				t.Errorf("a second time: %v, %v: %+v, was %+v", again.Outcome, again.Err, now, st)
			}
		})
	}
	inClosedDirs(t, k, root)
}

func fidelityCases(xattrs bool) map[string]farm.Attr {
	cases := map[string]farm.Attr{}
	file := func(name string, mode uint32, mtime int64) { cases[name] = fileAttr("content", mode, mtime) }
	for name, at := range map[string]time.Time{
		"1901": time.Unix(1-1<<31, 1), "before 1970": time.Unix(-86400, 999_999_999), "1970": time.Unix(0, 0), "ns": time.Unix(1_700_000_000, 123_456_789),
		"2038": time.Unix(1<<31, 1), "2106": time.Unix(1<<32, 1), "2400": time.Unix(13_569_465_600, 1),
	} {
		if at.Unix() < 1<<33 { // what fits into 64 bits of nanoseconds on every file system
			file("mtime "+name, 0o644, at.UnixNano())
		}
	}
	for _, mode := range []uint32{0, 0o400, 0o444, 0o600, 0o755, 0o1777} {
		file(fmt.Sprintf("file %o", mode), mode, mtime)
		cases[fmt.Sprintf("dir %o", mode)] = dirAttr(mode)
	}
	for name, target := range map[string]string{
		"absolute": "/etc/passwd", "dangling": "nowhere/at/all", "loop": "symlink loop", "long": strings.Repeat("x/", 2047), "outside": "../../../..",
		"bytes": "\xff\n",
	} {
		cases["symlink "+name] = linkAttr(target, mtime)
	}
	for _, name := range []string{"\xff\xfe", "new\nline", strings.Repeat("n", 255), "-rf", "trailing.", "trailing ", "CON", "back\\slash", "tmp-1"} {
		file("name: "+name, 0o640, mtime)
	}
	if xattrs {
		for _, mode := range []uint32{0o644, 0o400, 0o570} {
			a, d := fileAttr("content", mode, mtime), dirAttr(mode)
			a.XAttrs = must(farm.MakeXAttrs([]farm.XAttr{{Name: "user.note", Value: "\x00\xff"}, {Name: "user.empty"}, {Name: farm.XAttrACL, Value: "g=4,u:4242=6"}}))
			d.XAttrs = must(farm.MakeXAttrs([]farm.XAttr{{Name: farm.XAttrDefaultACL, Value: "u=7,g=5,m=7,o=0,u:4242=7"}}))
			cases[fmt.Sprintf("rich file %o", mode)], cases[fmt.Sprintf("rich dir %o", mode)] = a, d
		}
	}
	return cases
}

// inClosedDirs installs into directories that forbid it and leaves them as they are.
func inClosedDirs(t *testing.T, k *Keeper, root string) {
	for _, mode := range []os.FileMode{0o555, 0o500, 0} {
		if mode == 0 && os.Geteuid() != 0 {
			continue // not even a look into it is allowed
		}
		t.Run(fmt.Sprintf("into a directory of mode %o", mode), func(t *testing.T) {
			name := fmt.Sprintf("closed-%o", mode)
			dir := filepath.Join(root, name)
			check(os.Mkdir(dir, 0o755), os.Chmod(dir, mode))
			want := fileAttr("content", 0o600, mtime)
			r := k.Install(context.Background(), farm.Plan{Path: path(name + "/f"), Want: want, Content: []byte("content")}, nil)
			if r.Outcome != farm.Done {
				t.Fatalf("%v, %v", r.Outcome, r.Err)
			}
			if fi := must(os.Lstat(dir)); fi.Mode().Perm() != mode {
				t.Errorf("mode is %o", fi.Mode().Perm())
			}
			check(os.Chmod(dir, 0o700))
		})
	}
}
