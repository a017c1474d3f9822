//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tandem/internal/farm"
)

// noticeTime is how long the edge may send visitors to a node that is lost.
const noticeTime = time.Second

// TestKillUnderLoad: under 200 requests a second a node dies and comes back, and then has its network cut and mended.
// No GET fails, no visitor misses what was saved, the edge notices within a second, and the node is as the other one
// afterwards.
func TestKillUnderLoad(t *testing.T) {
	need(t, "rsync")
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

	const visitors, rate = 20, 200
	var lost atomic.Int32 // POST requests without an answer: they may have been carried out, so nobody repeats them
	steps := make([]func() error, visitors)
	for i := range steps {
		w := &writer{person: f.person("notes.test"), edge: f.members["edge1"].addr, name: fmt.Sprintf("visitor%d", i), lost: &lost}
		steps[i] = w.step
	}
	began := time.Now()
	load := gather(t, rate, steps)
	f.awaitRequests(load, 2*rate)

	killed := time.Now()
	f.kill("web2")
	noticed := f.lost("web2", killed)
	f.awaitRequests(load, 2*rate)
	restarted := time.Now()
	f.start("web2")
	f.edgeReady("edge1", 2)
	recovered := time.Since(restarted)
	f.awaitRequests(load, 2*rate)

	cut := time.Now()
	f.lan.cut("web2") // unlike a process that ends, it closes no connection
	noticedCut := f.lost("web2", cut)
	f.awaitRequests(load, rate)
	f.lan.mend("web2")
	f.edgeReady("edge1", 2)
	f.awaitRequests(load, rate)
	load.leave()
	t.Logf("%d requests at %.0f a second, %d failed, %d POST requests without an answer; death noticed after %s; serving again %s after the start; cut network noticed after %s",
		load.sent, float64(load.sent)/time.Since(began).Seconds(), len(load.failed), lost.Load(),
		noticed.Round(time.Millisecond), recovered.Round(time.Millisecond), noticedCut.Round(time.Millisecond))
	for _, line := range load.failed {
		t.Error(line)
	}
	f.equal("web1", "web2")
}

// lost waits until the edge has noticed that a node is, and returns how long that took.
func (f *farmUnderTest) lost(n string, since time.Time) time.Duration {
	f.t.Helper()
	e := f.awaitEvent("edge1", farm.EventNodeDown, since, func(e farm.Event) bool { return e.Subject == n })
	took := e.Time.Sub(since)
	if took > noticeTime {
		f.t.Errorf("the edge noticed after %s that %s is lost, want %s at most", took, n, noticeTime)
	}
	return took
}

// writer is a visitor who edits a note of their own, and reads it and the static page.
type writer struct {
	*person
	edge, name string
	lost       *atomic.Int32

	calls int
	saved []string // what the note may be: the text saved last, and those whose saving had no answer
}

func (w *writer) step() error {
	w.calls++
	switch {
	case w.calls%10 == 1:
		return w.save(fmt.Sprintf("%s, text %d\n", w.name, w.calls))
	case w.calls%2 == 0:
		return w.get(w.edge, "/index.html", "a static page\n")
	}
	a, err := w.do(http.MethodGet, w.edge, "/notes/"+w.name, "")
	if err != nil {
		return err
	}
	if a.status != http.StatusOK && len(w.saved) > 0 || a.status == http.StatusOK && !slices.Contains(w.saved, a.body) {
		return fmt.Errorf("GET %s by %s: status %d, %.200q, want one of %q", w.name, a.header.Get("Tandem-Node"), a.status, a.body, w.saved)
	}
	return nil
}

func (w *writer) save(text string) error {
	a, err := w.do(http.MethodPost, w.edge, "/notes/"+w.name, text)
	switch {
	case err != nil || a.status == http.StatusBadGateway || a.status == http.StatusGatewayTimeout:
		w.lost.Add(1)
		w.saved = append(w.saved, text)
		return nil
	case a.status != http.StatusNoContent:
		return fmt.Errorf("POST %s by %s: status %d: %.200q", w.name, a.header.Get("Tandem-Node"), a.status, a.body)
	}
	w.saved = []string{text}
	return nil
}
