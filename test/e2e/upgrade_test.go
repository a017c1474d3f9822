//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// oldEnv names a program of the release before, for TestRollingUpgrade.
const oldEnv = "TANDEM_OLD"

// TestRollingUpgrade: a farm of two programs works, and then the old member is upgraded as docs/upgrade.md says.
func TestRollingUpgrade(t *testing.T) {
	old := os.Getenv(oldEnv)
	if old == "" {
		t.Skip("set " + oldEnv + " to a tandem of the release before")
	}
	need(t, "rsync")
	f := newFarm(t, "web1", "web2", "web3")
	f.members["web2"].program = old
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	u := &upgrade{f}
	f.inSync("web1", "web3")
	u.speaks(1)
	u.files("mixed")
	u.conflict("mixed")
	u.attributes()

	f.stop("web2")
	f.members["web2"].program = program
	f.start("web2")
	u.speaks(2)
	f.inSync("web1", "web2", "web3")
	u.files("upgraded")
	u.conflict("upgraded")
	f.inSync("web1", "web2", "web3")
	u.rewritten()
	f.equal("web1", "web2")
	f.equal("web1", "web3")
	for _, n := range []string{"web1", "web2", "web3"} {
		if refused := f.events(n, farm.EventFrameRefused, time.Time{}); len(refused) > 0 {
			t.Errorf("%s: %v", n, refused)
		}
	}
}

// upgrade is a farm in which web2 is of the release before, at first.
type upgrade struct{ *farmUnderTest }

// speaks waits until status of web1 says which protocol it speaks with web2.
func (u *upgrade) speaks(protocol uint32) {
	u.t.Helper()
	u.await(20*time.Second, fmt.Sprintf("protocol %d", protocol), func() error {
		st, err := u.status("web1")
		if err != nil {
			return err
		}
		for _, m := range st.Members {
			if m.Name == "web2" && m.Link == control.LinkUp && m.Protocol == protocol {
				return nil
			}
		}
		return fmt.Errorf("%+v", st.Members)
	})
}

func (u *upgrade) at(n, name string) string { return filepath.Join(u.folder(n), name) }

// files go both ways: small, large, changed, renamed, deleted.
func (u *upgrade) files(dir string) {
	u.t.Helper()
	large := bytes.Repeat([]byte("0123456789abcde\n"), 1<<18)
	for i, from := range []string{"web1", "web2", "web3"} {
		p := func(name string) string { return u.at(from, fmt.Sprintf("%s/%d/%s", dir, i, name)) }
		for _, step := range []func() error{
			func() error { return os.MkdirAll(p("d"), 0o755) },
			func() error {
				return errors.Join(os.WriteFile(p("small"), []byte(from), 0o644), os.WriteFile(p("large"), large, 0o600),
					os.WriteFile(p("d/gone"), nil, 0o644), os.Symlink("small", p("link")))
			},
			func() error { return errors.Join(appendTo(p("large"), "more\n"), os.Chmod(p("small"), 0o640)) },
			func() error { return errors.Join(os.Rename(p("large"), p("bulky")), os.RemoveAll(p("d"))) },
		} {
			if err := step(); err != nil {
				u.t.Fatal(err)
			}
			want, err := treeOf(u.folder(from), excluded)
			if err != nil {
				u.t.Fatal(err)
			}
			u.same(from, want)
		}
	}
}

// same waits until all three have the tree.
func (u *upgrade) same(what string, want tree) {
	u.t.Helper()
	u.await(30*time.Second, what+" is everywhere", func() error {
		for _, n := range []string{"web1", "web2", "web3"} {
			got, err := treeOf(u.folder(n), excluded)
			if err != nil {
				return err
			}
			if d := want.diff(got); d != "" {
				return fmt.Errorf("%s: %s", n, d)
			}
		}
		return nil
	})
}

// conflict has web1 and web2 write one file while they are apart. All take the same one, and the other is preserved.
func (u *upgrade) conflict(dir string) {
	u.t.Helper()
	since := time.Now()
	u.lan.cut("web2")
	u.await(20*time.Second, "the link is lost", func() error {
		st, err := u.status("web1")
		if err == nil && st.Members[1].Link == control.LinkUp {
			err = errors.New("web2 is linked")
		}
		return err
	})
	name := dir + "/both"
	for _, n := range []string{"web1", "web2"} {
		if err := os.WriteFile(u.at(n, name), []byte("by "+n), 0o644); err != nil {
			u.t.Fatal(err)
		}
	}
	u.lan.mend("web2")
	u.await(30*time.Second, "one version is everywhere", func() error {
		a, err := describe(u.at("web1", name))
		for _, n := range []string{"web2", "web3"} {
			b, errB := describe(u.at(n, name))
			if err = errors.Join(err, errB); err == nil && a != b {
				err = fmt.Errorf("web1 has %s, %s has %s", a, n, b)
			}
		}
		return err
	})
	u.await(20*time.Second, "the loser is preserved", func() error {
		if len(u.events("web1", farm.EventFileConflict, since))+len(u.events("web2", farm.EventFileConflict, since)) == 0 {
			return errors.New("no conflict was told")
		}
		return nil
	})
}

const attribute = "user.tandem.test"

// attributes are only known to the new program: the old one rewrites the file and they stay on the new members.
func (u *upgrade) attributes() {
	u.t.Helper()
	name := u.at("web1", "attributes")
	if err := os.WriteFile(name, []byte("one"), 0o644); err != nil {
		u.t.Fatal(err)
	}
	if err := unix.Setxattr(name, attribute, []byte("kept"), 0); err != nil {
		u.t.Skipf("no extended attributes here: %v", err)
	}
	u.has("web3", "one", "kept")
	u.has("web2", "one", "")
	u.awaitEvent("web1", farm.EventMemberVersion, time.Time{}, func(e farm.Event) bool { return e.Severity == farm.Warning })
	if err := os.WriteFile(u.at("web2", "attributes"), []byte("two"), 0o644); err != nil {
		u.t.Fatal(err)
	}
	u.has("web1", "two", "kept")
	u.has("web3", "two", "kept")
}

// rewritten: the first change of the file after the upgrade brings the attributes to the upgraded member.
func (u *upgrade) rewritten() {
	u.t.Helper()
	if err := os.WriteFile(u.at("web1", "attributes"), []byte("three"), 0o644); err != nil {
		u.t.Fatal(err)
	}
	for _, n := range []string{"web1", "web2", "web3"} {
		u.has(n, "three", "kept")
	}
}

// has waits until the file has the content and attribute on the member.
func (u *upgrade) has(n, content, value string) {
	u.t.Helper()
	name := u.at(n, "attributes")
	u.await(20*time.Second, fmt.Sprintf("%s has %q with %q", n, content, value), func() error {
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		buf := make([]byte, 64)
		size, err := unix.Getxattr(name, attribute, buf)
		if errors.Is(err, unix.ENODATA) {
			size, err = 0, nil
		}
		if err == nil && (string(b) != content || string(buf[:size]) != value) {
			err = fmt.Errorf("it has %q with %q", b, buf[:size])
		}
		return err
	})
}
