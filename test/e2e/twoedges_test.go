//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// TestTwoEdges: an edge that drains or is told to stop gives its address away first. No visitor is refused or left waiting, and what
// was under way is answered; only who was just connecting, in the moment in which the address moved, may find the connection broken.
func TestTwoEdges(t *testing.T) {
	need(t, "keepalived")
	f := balanced{newFarm(t, "web1", "web2", "edge1", "edge2")}
	for _, n := range f.order[:2] {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			t.Fatal(err)
		}
		f.startSpeaker(n)
	}
	f.found("\n[folder.www]\npath = \"/var/www\"\n\n[edge]\nhttp = \":80\"\nhttps = []\nvirtual_address = \""+virtualAddress+"/24\"\n", map[string]string{"balanced.caddy": balancedSites})
	for _, e := range []string{"edge1", "edge2"} {
		f.edgeReady(e, 2)
		f.startKeepalived(e)
	}
	f.awaitAddress("edge1")
	f.sameSeat(t)

	visitors := make([]func() error, 12)
	for i := range visitors {
		visitors[i] = f.visits(i)
	}
	load := gather(t, 120, visitors)
	f.awaitRequests(load, 100)
	for _, c := range []struct {
		name       string
		away, back func()
	}{
		{"drain", func() { f.tandem("web1", "drain", "edge1") }, func() { f.tandem("web1", "undrain", "edge1") }},
		{"SIGTERM", func() { f.stop("edge1") }, nil},
	} {
		began := time.Now()
		c.away()
		took := time.Since(began)
		f.awaitAddress("edge2")
		t.Logf("%s: it took %s, edge2 has the address after %s", c.name, took.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		f.awaitRequests(load, 100)
		if c.back == nil {
			continue
		}
		began = time.Now()
		c.back()
		f.awaitAddress("edge1")
		t.Logf("%s: edge1 has it again after %s", c.name, time.Since(began).Round(time.Millisecond))
		f.awaitRequests(load, 50)
	}
	load.leave()
	const moves = 3 // of the address; at each no visitor has more than one request on its way
	t.Logf("%d requests, %d failed", load.sent, len(load.failed))
	for i, line := range load.failed {
		if t.Log(line); i >= moves*len(visitors) || !strings.Contains(line, "reset by peer") && !strings.HasSuffix(line, ": EOF") {
			t.Errorf("request %d that failed: %s", i+1, line)
		}
	}
}

// sameSeat: the edges bind visitors alike.
func (f balanced) sameSeat(t *testing.T) {
	p := f.person("bound.test")
	var at [4]string
	for i := range at {
		a, err := p.do(http.MethodGet, f.members[[]string{"edge1", "edge2"}[i%2]].addr, "/", "")
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("status %d, %v", a.status, err)
		}
		at[i] = a.body
		if set := a.header.Get("Set-Cookie"); at[i] != at[0] || i > 0 && set != "" {
			t.Errorf("visit %d is at %s, the first one at %s; it sets %q", i, at[i], at[0], set)
		}
	}
}

// visits are a visitor's who keeps connections and asks for what takes a moment, and posts now and then.
func (f balanced) visits(i int) func() error {
	p := f.person("plain.test")
	p.client.Timeout = 5 * time.Second
	calls := i
	return func() error {
		calls++
		<-time.After(time.Duration(i) * 8 * time.Millisecond) // not all at once
		if calls%5 == 0 {
			a, err := p.do(http.MethodPost, virtualAddress, "/upload", strings.Repeat("x", 2000))
			if err == nil && (a.status != http.StatusOK || !strings.HasPrefix(a.body, "2000 ")) {
				err = fmt.Errorf("POST: status %d, %.100q", a.status, a.body)
			}
			return err
		}
		a, err := p.do(http.MethodGet, virtualAddress, "/wait/20", "")
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("GET: status %d, %.100q", a.status, a.body)
		}
		return err
	}
}
