//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// twin copies all of a server that does not run, as a cloned machine would have it, to another one.
func (f *farmUnderTest) twin(of, n string) {
	f.t.Helper()
	m := f.members[n]
	if out, err := exec.Command("cp", "-a", f.members[of].dir, m.dir).CombinedOutput(); err != nil {
		f.t.Fatalf("cp: %v: %s", err, out)
	}
	path := filepath.Join(m.dir, "config", "member.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, own := range [][2]string{{f.members[of].dir, m.dir}, {f.members[of].addr, m.addr}} {
		src = []byte(strings.ReplaceAll(string(src), own[0], own[1]))
	}
	f.write(path, string(src))
}

// A member that runs twice, because its machine was cloned, is told of on the others and on the clone. The clone is not
// let in: what is written there goes nowhere, and the farm works on, with the clone and after it.
func TestTwin(t *testing.T) {
	need(t, "rsync", "cp")
	f := newFarm(t, "web1", "web2", "clone")
	f.order = f.order[:2]
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.write(filepath.Join(f.folder("web1"), "before"), "1")
	f.equal("web1", "web2")
	f.inSync("web1", "web2")
	f.stop("web2")
	f.twin("web2", "clone")
	began := time.Now()
	f.start("web2")
	f.inSync("web1", "web2")
	f.start("clone")
	told := func(e farm.Event) bool { return e.Severity == farm.Fault && e.Subject == "web2" }
	f.awaitEvent("web1", farm.EventMemberTwin, began, told)
	f.awaitEvent("clone", farm.EventMemberTwin, began, told)
	for _, n := range []string{"web1", "clone"} {
		if out := string(f.tandem(n, "status")); !strings.Contains(out, "two programs use the name web2 at once") {
			t.Errorf("%s: status does not tell of the clone:\n%s", n, out)
		}
	}
	f.write(filepath.Join(f.folder("clone"), "of the clone"), "1")
	f.write(filepath.Join(f.folder("clone"), "before"), "of the clone")
	f.write(filepath.Join(f.folder("web1"), "of web1"), "1")
	f.write(filepath.Join(f.folder("web2"), "of web2"), "1")
	f.equal("web1", "web2")
	f.stop("clone")
	f.write(filepath.Join(f.folder("web2"), "after"), "1")
	f.equal("web1", "web2")
	f.inSync("web1", "web2")
	for name, want := range map[string]string{"before": "1", "of web1": "1", "of web2": "1", "after": "1"} {
		if got, err := os.ReadFile(filepath.Join(f.folder("web1"), name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := os.Stat(filepath.Join(f.folder("clone"), "of the clone")); err != nil {
		t.Errorf("what was written on the clone: %v", err)
	}
}
