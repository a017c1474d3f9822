//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// TestDrainUnderLoad: under 100 requests a second each node in turn is drained, stopped, started and undrained. No request
// fails, reading or writing, and no node is stopped that has visitors. Then the site is in maintenance, at once, and back.
func TestDrainUnderLoad(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2", "edge1")
	f.write(filepath.Join(f.folder("web1"), "index.html"), "a static page\n")
	for _, n := range []string{"web1", "web2"} {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			t.Fatal(err)
		}
		f.startNotes(n)
	}
	f.found(notesFarm, map[string]string{"notes.caddy": notesSite})
	f.edgeReady("edge1", 2)
	f.inSync("web1", "web2")

	const visitors, rate = 10, 100
	var lost atomic.Int32
	steps := make([]func() error, visitors)
	for i := range steps {
		w := &writer{person: f.person("notes.test"), edge: f.members["edge1"].addr, name: fmt.Sprintf("visitor%d", i), lost: &lost}
		steps[i] = w.step
	}
	load := gather(t, rate, steps)
	f.awaitRequests(load, rate)
	for _, n := range []string{"web2", "web1"} {
		began := time.Now()
		out := f.tandem("edge1", "drain", n)
		took := time.Since(began)
		if !strings.Contains(string(out), n+" is safe to stop") {
			t.Errorf("drain %s says %q", n, out)
		}
		before := f.requestsOf(n)
		f.awaitRequests(load, rate/2)
		if more := f.requestsOf(n) - before; more > 0 {
			t.Errorf("%s got %d requests after it was safe to stop", n, more)
		}
		f.stop(n)
		f.awaitRequests(load, rate/2)
		f.start(n)
		f.awaitState("edge1", n, control.HealthDraining)
		f.awaitRequests(load, rate/2)
		f.tandem(n, "undrain")
		f.edgeReady("edge1", 2)
		f.inSync("web1", "web2")
		t.Logf("%s was safe to stop after %s", n, took.Round(time.Millisecond))
	}
	load.leave()
	t.Logf("%d requests, %d failed, %d POST requests without an answer", load.sent, len(load.failed), lost.Load())
	for _, line := range load.failed {
		t.Error(line)
	}
	if lost.Load() > 0 {
		t.Errorf("%d POST requests had no answer", lost.Load())
	}

	p := f.person("notes.test")
	f.tandem("web1", "maintenance", "on", "notes", "--message", "back soon")
	if a, err := p.do(http.MethodGet, f.members["edge1"].addr, "/index.html", ""); err != nil || a.status != 503 || a.body != "back soon\n" || a.header.Get("Retry-After") != "300" {
		t.Errorf("in maintenance: %+v, %v", a, err)
	}
	f.tandem("web2", "maintenance", "off", "notes")
	if err := p.get(f.members["edge1"].addr, "/index.html", "a static page\n"); err != nil {
		t.Errorf("back in service: %v", err)
	}
}

// requestsOf is how many requests the edge has sent to a node.
func (f *farmUnderTest) requestsOf(n string) uint64 {
	f.t.Helper()
	st, err := f.status("edge1")
	if err != nil {
		f.t.Fatal(err)
	}
	for _, node := range st.Nodes {
		if node.Member == farm.MemberID(n) {
			return node.Requests
		}
	}
	return 0
}

// awaitState waits until an edge thinks so of a node.
func (f *farmUnderTest) awaitState(edge, n string, want control.HealthState) {
	f.t.Helper()
	f.await(30*time.Second, n+" is "+string(want), func() error {
		st, err := f.status(edge)
		if err != nil {
			return err
		}
		for _, node := range st.Nodes {
			if node.Member == farm.MemberID(n) && node.State == want {
				return nil
			}
		}
		return fmt.Errorf("the nodes are %+v", st.Nodes)
	})
}
