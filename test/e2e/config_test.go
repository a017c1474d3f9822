//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

const versionHeader = "Site-Version"

// versionedSite is a site whose answers say which version of its file made them.
func versionedSite(version int) string {
	return fmt.Sprintf(`http://notes.test {
	header %s %d
	root * {folder.www}
	file_server
}
`, versionHeader, version)
}

// TestConfigEdits: fifty edits of a site file in a row, on both nodes in turn and in both ways that editors save, are
// each live on the other node within half a second. Nobody's request fails meanwhile, through the edge or at a node's own
// front. A broken edit goes nowhere.
func TestConfigEdits(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2", "edge1")
	f.write(filepath.Join(f.folder("web1"), "index.html"), "a static page\n")
	f.found(notesFarm, map[string]string{"notes.caddy": versionedSite(0)})
	f.edgeReady("edge1", 2)
	f.inSync("web1", "web2")
	before := f.processes()

	var steps []func() error
	for _, n := range []string{"edge1", "edge1", "web1", "web2"} {
		p, addr := f.person("notes.test"), f.members[n].addr
		steps = append(steps, func() error { return p.get(addr, "/index.html", "a static page\n") })
	}
	load := gather(t, 100, steps)

	nodes := [2]string{"web1", "web2"}
	probe := f.person("notes.test")
	var took []time.Duration
	for i := range 50 {
		here, other := nodes[i%2], nodes[1-i%2]
		began := f.edit(here, versionedSite(i+1), i/2%2 == 0)
		f.awaitVersion(probe, other, i+1)
		took = append(took, time.Since(began))
		f.awaitVersion(probe, here, i+1)
		f.await(5*time.Second, "the file is on "+other, func() error { return f.hasSite(other, versionedSite(i+1)) })
	}
	f.brokenEdit(probe, versionedSite(50), versionedSite(51))
	load.leave()

	for _, line := range load.failed {
		t.Error(line)
	}
	for n, p := range f.processes() {
		if p != before[n] {
			t.Errorf("%s: the process was restarted: %s, was %s", n, p, before[n])
		}
	}
	p50, most := percentile(took, 50), percentile(took, 100)
	t.Logf("%d edits live on the other node: p50 %s, max %s; %d requests meanwhile, %d failed",
		len(took), p50.Round(time.Millisecond), most.Round(time.Millisecond), load.sent, len(load.failed))
	if most > 500*time.Millisecond {
		t.Errorf("an edit took %s, want 500ms at most", most)
	}
}

func (f *farmUnderTest) site(n string) string {
	return filepath.Join(f.members[n].dir, "config", "sites", "notes.caddy")
}

// edit saves the site file as an editor does, beside it and renamed or in place, and says when that was done.
func (f *farmUnderTest) edit(n, text string, rename bool) time.Time {
	f.t.Helper()
	path := f.site(n)
	if !rename {
		f.write(path, text)
		return time.Now()
	}
	f.write(path+"~", text)
	if err := os.Rename(path+"~", path); err != nil {
		f.t.Fatal(err)
	}
	return time.Now()
}

func (f *farmUnderTest) hasSite(n, want string) error {
	b, err := os.ReadFile(f.site(n))
	if err == nil && string(b) != want {
		err = fmt.Errorf("it is %q, want %q", b, want)
	}
	return err
}

// awaitVersion asks a node's own front until the version answers.
func (f *farmUnderTest) awaitVersion(p *person, n string, version int) {
	f.t.Helper()
	f.awaitEvery(2*time.Millisecond, 10*time.Second, fmt.Sprintf("version %d is live on %s", version, n), func() error {
		a, err := p.do(http.MethodGet, f.members[n].addr, "/index.html", "")
		if err == nil && a.header.Get(versionHeader) != fmt.Sprint(version) {
			err = fmt.Errorf("version %q answers", a.header.Get(versionHeader))
		}
		return err
	})
}

// brokenEdit saves a file with a fault, finds it refused with its position while the good one goes on, and repairs it.
func (f *farmUnderTest) brokenEdit(p *person, good, repaired string) {
	f.t.Helper()
	broken := strings.Replace(good, "file_server", "file_sever", 1)
	const place = "sites/notes.caddy:4"
	since := f.edit("web2", broken, true)
	e := f.awaitEvent("web2", farm.EventConfigRefused, since, func(e farm.Event) bool { return e.Severity == farm.Fault })
	if !strings.Contains(e.Fields["faults"], place) {
		f.t.Errorf("the event names no position: %+v", e)
	}
	var st control.ConfigStatus
	if err := json.Unmarshal(f.tandem("web2", "config", "status", "--json"), &st); err != nil {
		f.t.Fatal(err)
	}
	if len(st.Faults) != 1 || !strings.HasPrefix(st.Faults[0].String(), place) {
		f.t.Errorf("config status has the faults %v, want one at %s", st.Faults, place)
	}
	for _, n := range []string{"web1", "web2"} {
		f.awaitVersion(p, n, 50)
	}
	if err := errors.Join(f.hasSite("web1", good), f.hasSite("web2", broken)); err != nil {
		f.t.Errorf("the broken file should stay where it was typed, and only there: %v", err)
	}
	f.edit("web2", repaired, true)
	for _, n := range []string{"web1", "web2"} {
		f.awaitVersion(p, n, 51)
	}
	f.awaitEvent("web2", farm.EventConfigRefused, since, func(e farm.Event) bool { return e.Severity == farm.Healed })
}

// processes says which process every member is, and since when.
func (f *farmUnderTest) processes() map[string]string {
	f.t.Helper()
	all := map[string]string{}
	for n, m := range f.members {
		st, err := f.status(n)
		if err != nil {
			f.t.Fatal(err)
		}
		all[n] = fmt.Sprintf("process %d since %s", m.cmd.Process.Pid, st.Since.Format(time.RFC3339Nano))
	}
	return all
}

// TestEditStorm: files of a configuration are saved on both nodes at once, the same ones too, as fast as people never do. Nobody's
// request fails meanwhile, and all members end with the same files without anybody's doing.
func TestEditStorm(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2", "edge1")
	f.write(filepath.Join(f.folder("web1"), "index.html"), "a static page\n")
	f.found(notesFarm, map[string]string{"notes.caddy": versionedSite(0)})
	f.edgeReady("edge1", 2)
	f.inSync("web1", "web2")
	var steps []func() error
	for _, n := range []string{"edge1", "edge1", "web1", "web2"} {
		p, addr := f.person("notes.test"), f.members[n].addr
		steps = append(steps, func() error { return p.get(addr, "/index.html", "a static page\n") })
	}
	load := gather(t, 100, steps)
	var editors sync.WaitGroup
	for _, n := range []string{"web1", "web2"} {
		editors.Go(func() { f.typeMany(n, 20) })
	}
	editors.Wait()
	var files string
	f.await(20*time.Second, "all members have the same configuration", func() error {
		files = ""
		for i, n := range f.order {
			head, err := f.try(n, "config", "show")
			if err != nil {
				return err
			}
			if i > 0 && string(head) != files {
				return fmt.Errorf("%s has another one than %s", n, f.order[0])
			}
			files = string(head)
		}
		return nil
	})
	load.leave()
	for _, line := range load.failed {
		t.Error(line)
	}
	for _, n := range []string{"notes", "web1", "web2"} {
		if !strings.Contains(files, "-- sites/"+n+".caddy --") {
			t.Errorf("%s.caddy is lost:\n%s", n, files)
		}
	}
	conflicts := len(f.events("web1", farm.EventConfigConflict, time.Time{}))
	t.Logf("%d requests meanwhile, %d failed; %d conflicts were told of", load.sent, len(load.failed), conflicts)
	if conflicts == 0 {
		t.Error("there was no conflict: the test does not test")
	}
}

// typeMany saves a file of the member's own and one that others save, too, in turn.
func (f *farmUnderTest) typeMany(n string, times int) {
	for i := range times {
		name, text := n, fmt.Sprintf("http://%s.test {\n\trespond %d\n}\n", n, i)
		if i%2 == 0 {
			name, text = "notes", versionedSite(1000+i)
		}
		if err := os.WriteFile(filepath.Join(f.members[n].dir, "config", "sites", name+".caddy"), []byte(text), 0o644); err != nil {
			f.t.Error(err)
		}
		<-time.After(rand.N(250 * time.Millisecond))
	}
}
