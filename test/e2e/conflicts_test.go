//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
)

// conflicts lists what the farm keeps, as seen from n.
func (f *farmUnderTest) conflicts(n string, args ...string) (c control.Conflicts) {
	f.t.Helper()
	if err := json.Unmarshal(f.tandem(n, append([]string{"conflicts", "list", "--json", "--limit", "10000"}, args...)...), &c); err != nil {
		f.t.Fatal(err)
	}
	return c
}

// A thousand files that are deleted on one node come back there from the other, and a file that lost a conflict is compared
// and restored on the node that does not keep it.
func TestConflictsAndDeletions(t *testing.T) {
	need(t, "rsync")
	const files = 1000
	f := newFarm(t, "web1", "web2")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.inSync("web1", "web2")
	for i := range files {
		f.write(filepath.Join(f.folder("web1"), "many", fmt.Sprint(i%10), fmt.Sprint(i)), strings.Repeat(fmt.Sprintln(i), 50))
	}
	f.write(filepath.Join(f.folder("web1"), "page"), "title\n")
	f.equal("web1", "web2")
	f.inSync("web1", "web2")
	if err := os.RemoveAll(filepath.Join(f.folder("web1"), "many")); err != nil {
		t.Fatal(err)
	}
	const all = files + 11 // directories too
	f.await(30*time.Second, "web1 lists what web2 keeps", func() error {
		if n := len(f.conflicts("web1", "--reason", "deleted", "--member", "web2").List); n != all {
			return fmt.Errorf("%d of %d", n, all)
		}
		return nil
	})
	f.tandem("web1", "conflicts", "restore", "--path", "many")
	f.await(30*time.Second, "all is back", func() error {
		got, err := filepath.Glob(filepath.Join(f.folder("web2"), "many/*/*"))
		if err == nil && len(got) != files {
			err = fmt.Errorf("%d of %d", len(got), files)
		}
		return err
	})
	f.equal("web1", "web2")

	f.stop("web2")
	f.write(filepath.Join(f.folder("web1"), "page"), "title\nby web1\n")
	f.write(filepath.Join(f.folder("web2"), "page"), "title\nby web2\n")
	f.start("web2")
	f.equal("web1", "web2")
	var k control.Conflict
	for _, n := range []string{"web1", "web2"} {
		f.await(30*time.Second, n+" lists the conflict", func() error {
			list := f.conflicts(n, "--reason", "conflict").List
			if len(list) != 1 {
				return fmt.Errorf("%d conflicts", len(list))
			}
			k = list[0]
			return nil
		})
	}
	other := "web1"
	if k.Members[0] == "web1" {
		other = "web2"
	}
	diff := string(f.tandem(other, "conflicts", "diff", k.ID[:6]))
	loser := "by " + string(k.Members[0])
	if !strings.Contains(diff, "-"+loser) || !strings.Contains(diff, "+by "+other) {
		t.Errorf("the diff is\n%s", diff)
	}
	if _, err := f.try(other, "conflicts", "restore", k.ID); err == nil || !strings.Contains(err.Error(), "--force") {
		t.Errorf("a newer file was replaced: %v", err)
	}
	f.tandem(other, "conflicts", "restore", k.ID, "--force")
	f.await(30*time.Second, "both have what was restored", func() error {
		for _, n := range []string{"web1", "web2"} {
			b, err := os.ReadFile(filepath.Join(f.folder(n), "page"))
			if err != nil || string(b) != "title\n"+loser+"\n" {
				return fmt.Errorf("%s has %q, %v", n, b, err)
			}
		}
		return nil
	})
	f.equal("web1", "web2")
	if n := len(f.conflicts("web1", "--reason", "conflict").List); n != 1 {
		t.Errorf("%d conflicts after restoring", n)
	}
	if n := len(f.conflicts("web2", "--reason", "replaced").List); n != 1 {
		t.Errorf("%d files that a restore replaced", n)
	}
}
