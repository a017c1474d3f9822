//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCoherentCache: an edge answers from memory, and not once with what was replaced before: after a node has said what
// it has, and to a visitor who has been told of a write at once.
func TestCoherentCache(t *testing.T) {
	need(t)
	site := strings.Replace(notesSite, "read_your_writes www", "read_your_writes www\n\tedge {\n\t\tcache 16MiB\n\t}\n\thandle_path /raw/* {\n\t\troot * {folder.www}/notes\n\t\tfile_server\n\t}", 1)
	f := newFarm(t, "web1", "web2", "edge1")
	for _, n := range []string{"web1", "web2"} {
		f.write(filepath.Join(f.folder("web1"), "page.txt"), "0")
		f.write(filepath.Join(f.folder(n), "notes", "kept"), "")
		f.startNotes(n)
	}
	f.found(notesFarm, map[string]string{"notes.caddy": site})
	f.edgeReady("edge1", 2)
	f.inSync("web1", "web2")
	edge, anybody := f.members["edge1"].addr, f.person("notes.test")
	ask := func(p *person, path string) answer {
		t.Helper()
		a, err := p.do(http.MethodGet, edge, path, "")
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("GET %s: status %d, %v", path, a.status, err)
		}
		return a
	}
	fromMemory := func(a answer) bool { return a.header.Get("Tandem-Cache") == "hit" }
	f.await(10*time.Second, "the page comes from memory", func() error {
		if a := ask(anybody, "/page.txt"); !fromMemory(a) || a.body != "0" {
			return fmt.Errorf("%q, %v", a.body, a.header)
		}
		return nil
	})

	// A visitor writes, by the application, a file that others ask for all the time.
	writer, hits, asked := f.person("notes.test"), 0, 0
	for i := range 30 {
		text := fmt.Sprint("version ", i)
		if a, err := writer.do(http.MethodPost, edge, "/notes/seen", text); err != nil || a.status != http.StatusNoContent {
			t.Fatalf("saving: status %d, %v", a.status, err)
		}
		for range 10 {
			ask(anybody, "/raw/seen")
			if a := ask(writer, "/raw/seen"); a.body != text {
				t.Fatalf("the writer sees %q after %q", a.body, text)
			}
		}
	}
	// Anybody else sees a file that changed behind everybody's back some milliseconds later, and never the old one again.
	for i := 1; i <= 10; i++ {
		text := fmt.Sprint(i)
		f.write(filepath.Join(f.folder("web2"), "page.txt"), text)
		f.awaitEvery(time.Millisecond, 10*time.Second, "the new page is seen", func() error {
			if a := ask(anybody, "/page.txt"); a.body != text {
				return fmt.Errorf("still %q", a.body)
			}
			return nil
		})
		for range 50 {
			a := ask(anybody, "/page.txt")
			if a.body != text {
				t.Fatalf("%q came back after %q", a.body, text)
			}
			if asked++; fromMemory(a) {
				hits++
			}
		}
	}
	t.Logf("%d of %d answers came from memory, between 10 changes of the file", hits, asked)
	if hits < asked/4 {
		t.Errorf("only %d of %d answers came from memory", hits, asked)
	}
}
