//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
)

// numberedSites are the sites of a configuration of which each file says the same number.
var numberedSites = []string{"a", "b", "c"}

const numberHeader = "Number"

// numberedSite is large enough to be cut off by a full disk, and does not check then.
func numberedSite(name string, n int) string {
	return fmt.Sprintf("http://%s.test {\n\theader %s %d\n%s\trespond ok\n}\n", name, numberHeader, n, strings.Repeat("\t# "+strings.Repeat("x", 60)+"\n", 300))
}

// applyNumber commits one revision with the number in all files, as an admin's script does.
func (f *farmUnderTest) applyNumber(n string, number int) error {
	f.t.Helper()
	dir := f.t.TempDir()
	args := []string{"config", "apply"}
	for _, s := range numberedSites {
		path := filepath.Join(dir, s+".caddy")
		f.write(path, numberedSite(s, number))
		args = append(args, path)
	}
	_, err := f.try(n, args...)
	return err
}

var numberLine = regexp.MustCompile(`header Number (\d+)\n`)

// oneNumber is what a text says everywhere, so many times.
func oneNumber(text string, times int) (int, error) {
	found := numberLine.FindAllStringSubmatch(text, -1)
	if len(found) != times {
		return 0, fmt.Errorf("the number stands there %d times, not %d", len(found), times)
	}
	for _, m := range found[1:] {
		if m[1] != found[0][1] {
			return 0, fmt.Errorf("the numbers are %v", found)
		}
	}
	return strconv.Atoi(found[0][1])
}

// whole is the number that a member serves, has in its files and calls its revision; an error if they are not all one.
func (f *farmUnderTest) whole(p *person, n string) (int, error) {
	head, err := f.try(n, "config", "show")
	if err != nil {
		return 0, err
	}
	number, err := oneNumber(string(head), len(numberedSites))
	if err != nil {
		f.t.Errorf("%s: its revision is half: %v", n, err)
	}
	for _, s := range numberedSites {
		if b, err := os.ReadFile(filepath.Join(f.members[n].dir, "config", "sites", s+".caddy")); err != nil || string(b) != numberedSite(s, number) {
			return 0, fmt.Errorf("the revision says %d, %s does not: %w", number, s, err)
		}
		p.host = s + ".test"
		a, err := p.do(http.MethodGet, f.members[n].addr, "/", "")
		if err != nil || a.header.Get(numberHeader) != fmt.Sprint(number) {
			return 0, fmt.Errorf("the revision says %d, site %s says %v %w", number, s, a.header, err)
		}
	}
	var st control.ConfigStatus
	if out, err := f.try(n, "config", "status", "--json"); err != nil {
		return 0, err
	} else if err := json.Unmarshal(out, &st); err != nil || st.Revision != st.Wanted || len(st.Faults) > 0 {
		return 0, fmt.Errorf("it says %+v %w", st, err)
	}
	return number, nil
}

// foundNumbers makes a farm of two nodes that serve the number 1.
func (f *farmUnderTest) foundNumbers() *person {
	f.t.Helper()
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	if err := f.applyNumber("web1", 1); err != nil {
		f.t.Fatal(err)
	}
	return f.person("")
}

// TestKilledWhileCommitting: a member is killed with -9 again and again at any moment of a commit of three files. Afterwards it
// and the other one are whole, and nothing that was acknowledged is lost.
func TestKilledWhileCommitting(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2")
	p := f.foundNumbers()
	acked, unsure := 1, 0
	for round := range 4 {
		began, ended := make(chan struct{}, 100), make(chan struct{})
		go func() {
			defer close(ended)
			for {
				began <- struct{}{}
				if f.applyNumber("web1", acked+1) != nil {
					return
				}
				acked++
			}
		}()
		<-began
		<-began
		<-time.After(rand.N(300 * time.Millisecond)) // any moment of the commit
		f.kill("web1")
		<-ended
		f.start("web1")
		for _, n := range f.order {
			f.await(10*time.Second, n+" is whole", func() error {
				is, err := f.whole(p, n)
				if err == nil && is != acked && is != acked+1 {
					t.Fatalf("round %d: %d was acknowledged, %s has %d", round, acked, n, is)
				}
				if err == nil && n == "web2" {
					unsure += is - acked
					acked = is
				}
				return err
			})
		}
	}
	t.Logf("%d commits, %d of them were finished without an answer", acked, unsure)
}

// TestFullDiskWhileCommitting: the disk on which a member has its configuration and its state is filled bit by bit, and both an
// editor and a command try to change all files. Whatever the editor left, the revision that is served is whole, after a restart
// too; with room all goes on.
func TestFullDiskWhileCommitting(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2")
	f.small(f.members["web1"].dir, "48M")
	p := f.foundNumbers()
	ballast := filepath.Join(f.members["web1"].dir, "ballast")
	acked, refused := 1, 0
	for i, free := range []int{0, 8 << 10, 200 << 10} {
		f.fill(ballast)
		if st, err := os.Stat(ballast); err != nil || os.Truncate(ballast, max(0, st.Size()-int64(free))) != nil {
			t.Fatal(err)
		}
		before := acked
		if err := f.applyNumber("web1", acked+1); err == nil {
			acked++
		} else {
			refused++
		}
		f.typeAll("web1", acked+1)
		if i%2 == 1 {
			f.kill("web1")
			f.start("web1")
		}
		for range 3 {
			is := f.served(p, "web1")
			if is < before || is > acked+1 {
				t.Fatalf("with %d bytes free %d is served, %d was acknowledged", free, is, acked)
			}
		}
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		acked++
		f.typeAll("web1", acked)
		for _, n := range f.order {
			f.await(20*time.Second, fmt.Sprintf("%s has %d", n, acked), func() error {
				is, err := f.whole(p, n)
				if err == nil && is != acked {
					err = fmt.Errorf("it has %d", is)
				}
				return err
			})
		}
	}
	if refused == 0 {
		t.Error("no commit was refused: the test does not test")
	}
}

// typeAll saves all site files in place, as far as there is room.
func (f *farmUnderTest) typeAll(n string, number int) {
	for _, s := range numberedSites {
		_ = os.WriteFile(filepath.Join(f.members[n].dir, "config", "sites", s+".caddy"), []byte(numberedSite(s, number)), 0o644)
	}
}

// served is the number that all sites of a member answer with.
func (f *farmUnderTest) served(p *person, n string) (number int) {
	f.t.Helper()
	f.await(10*time.Second, n+" serves", func() error {
		for i, s := range numberedSites {
			p.host = s + ".test"
			a, err := p.do(http.MethodGet, f.members[n].addr, "/", "")
			if err != nil {
				return err
			}
			is, err := strconv.Atoi(a.header.Get(numberHeader))
			if err != nil || i > 0 && is != number {
				return fmt.Errorf("site %s says %v, the one before %d: %w", s, a.header, number, err)
			}
			number = is
		}
		return nil
	})
	return number
}
