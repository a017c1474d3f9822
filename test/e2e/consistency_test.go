//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestReadYourWrites: a visitor who goes from node to node, with no edge in between, never sees less than they wrote.
func TestReadYourWrites(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2")
	nodes := [2]string{"web1", "web2"}
	for _, n := range nodes {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			t.Fatal(err)
		}
		f.startNotes(n)
	}
	f.found(notesFarm, map[string]string{"notes.caddy": notesSite})
	f.inSync("web1", "web2")

	p := f.person("notes.test")
	save := func(n, text string) {
		t.Helper()
		a, err := p.do(http.MethodPost, f.members[n].addr, "/notes/mine", text)
		if err != nil || a.status != http.StatusNoContent {
			t.Fatalf("saving on %s: status %d, %v: %.200q", n, a.status, err, a.body)
		}
	}
	read := func(n, want string) {
		t.Helper()
		if err := p.get(f.members[n].addr, "/notes/mine", want); err != nil {
			t.Fatalf("reading on %s: %v", n, err)
		}
	}
	var took []time.Duration
	for i := range 200 {
		here, other := nodes[i%2], nodes[1-i%2]
		text := fmt.Sprintf("text %d\n", i)
		save(here, text)
		began := time.Now()
		read(other, text)
		took = append(took, time.Since(began))
	}
	t.Logf("200 reads on the other node, at once: p50 %s, max %s", percentile(took, 50), percentile(took, 100))

	// A node that stood still, as a paused virtual machine does, does not know what it has missed.
	for i := range 3 {
		text := fmt.Sprintf("written while web2 stood still, %d\n", i)
		f.pause("web2")
		began := time.Now()
		save("web1", text)
		t.Logf("saved in %s while the other node stood still", time.Since(began).Round(time.Millisecond))
		f.resume("web2")
		read("web2", text)
		read("web1", text)
	}
}

// pause stops a daemon in its tracks; resume lets it go on.
func (f *farmUnderTest) pause(n string) { f.post(n, syscall.SIGSTOP) }

func (f *farmUnderTest) resume(n string) { f.post(n, syscall.SIGCONT) }

func (f *farmUnderTest) post(n string, s syscall.Signal) {
	f.t.Helper()
	if err := f.members[n].cmd.Process.Signal(s); err != nil {
		f.t.Fatal(err)
	}
}
