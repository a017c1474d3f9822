//go:build linux

package e2e

import (
	"fmt"
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

const balancedSites = `http://plain.test {
	reverse_proxy ` + speakerHTTP + `
}

http://narrow.test {
	edge {
		max_per_node 1
	}
	reverse_proxy ` + speakerHTTP + `
}

http://bound.test {
	edge {
		affinity cookie seat drain 1s
	}
	reverse_proxy ` + speakerHTTP + `
}

http://probed.test {
	edge {
		probe /health {
			status 200
			contains "well"
			interval 300ms
		}
		retry_after 2m
		sorry_page "<p>Back soon, says the site."
	}
	reverse_proxy ` + speakerHTTP + `
}

http://judged.test {
	edge {
		eject 50% of 4 within 10s for 1s
	}
	reverse_proxy ` + speakerHTTP + `
}
`

const (
	balancedFarm = `
[folder.www]
path = "/var/www"

[edge]
http = ":80"
https = []
slow_start = "0s"
max_per_node = 4
max_queue = 8
`
	mostPerNode, mostWaiting = 4, 8 // as balancedFarm has it
)

// balanced is a farm of two nodes, a spare one and an edge.
type balanced struct{ *farmUnderTest }

// TestBalancing: what docs/balancing.md promises, of real processes.
func TestBalancing(t *testing.T) {
	need(t)
	f := balanced{newFarm(t, "web1", "web2", "web3", "edge1")}
	for _, n := range f.order[:3] {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			t.Fatal(err)
		}
		f.startSpeaker(n)
		f.says(n, "probed.test", "200 well")
	}
	f.found(balancedFarm, map[string]string{"balanced.caddy": balancedSites})
	path := filepath.Join(f.members["web1"].dir, "config", "farm.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.write(path, strings.Replace(string(src), "[member.web3]", "[member.web3]\nspare = true", 1))
	f.edgeReady("edge1", 3)
	f.await(10*time.Second, "web3 is a spare node", func() error { return f.only("plain.test", "web1", "web2") })
	for _, part := range []struct {
		name string
		test func(balanced, *testing.T)
	}{
		{"a full node", balanced.fullNodes},
		{"a probe of a site", balanced.siteProbe},
		{"answers that fail", balanced.ejection},
		{"affinity", balanced.affinity},
		{"spare nodes, and none at all", balanced.lastNodes},
	} {
		t.Run(part.name, func(t *testing.T) {
			whole := f.t
			f.t = t
			defer func() { f.t = whole }()
			part.test(f, t)
		})
	}
}

// ask is one visitor's first request.
func (f balanced) ask(host, path string) (reply, error) {
	c := f.visitor(nil)
	defer c.CloseIdleConnections()
	r, err := http.NewRequest(http.MethodGet, "http://"+f.members["edge1"].addr+path, nil)
	if err != nil {
		return reply{}, err
	}
	r.Host = host
	return do(c, r)
}

// only fails unless new visitors of a site are answered by these nodes, and by each of them.
func (f balanced) only(host string, nodes ...string) error {
	seen := map[string]int{}
	for range 12 {
		a, err := f.ask(host, "/")
		if err != nil {
			return err
		}
		if a.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d by %q: %.80q", a.StatusCode, a.Header.Get("Tandem-Node"), a.text)
		}
		seen[a.Header.Get("Tandem-Node")]++
	}
	for _, n := range nodes {
		if seen[n] == 0 {
			return fmt.Errorf("answered by %v, want %v", seen, nodes)
		}
	}
	if len(seen) != len(nodes) {
		return fmt.Errorf("answered by %v, want only %v", seen, nodes)
	}
	return nil
}

// soon waits until only these nodes answer, and returns how long that took.
func (f balanced) soon(host string, nodes ...string) time.Duration {
	f.t.Helper()
	began := time.Now()
	f.await(10*time.Second, fmt.Sprint(host, " is answered by ", nodes), func() error { return f.only(host, nodes...) })
	return time.Since(began).Round(time.Millisecond)
}

// fullNodes: no node gets more than it may, some wait, the rest are told to come again. A site can have less.
func (f balanced) fullNodes(t *testing.T) {
	const nodes = 2
	f.crowdOf(t, "plain.test", 40, nodes*(mostPerNode+mostWaiting), "/wait/400")
	for _, n := range []string{"web1", "web2"} {
		c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: f.lan.dial(n)}}
		if most := must(t, c, http.MethodGet, "http://"+speakerHTTP+"/most", nil).text; most != fmt.Sprint(mostPerNode) {
			t.Errorf("%s had %s requests at once, want %d", n, most, mostPerNode)
		}
	}
	f.crowdOf(t, "narrow.test", 24, nodes*(1+mostWaiting), "/wait/100")
}

// crowdOf lets visitors come at once, of whom so many are to be answered.
func (f balanced) crowdOf(t *testing.T, host string, all, want int, path string) {
	t.Helper()
	var mu sync.Mutex
	statuses := map[int]int{}
	var crowd sync.WaitGroup
	for range all {
		crowd.Go(func() {
			a, err := f.ask(host, path)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				t.Error(err)
				return
			case a.StatusCode == http.StatusServiceUnavailable && a.Header.Get("Retry-After") != "3":
				t.Errorf("Retry-After is %q", a.Header.Get("Retry-After"))
			}
			statuses[a.StatusCode]++
		})
	}
	crowd.Wait()
	t.Logf("%s: %d requests at once: %v", host, all, statuses)
	if statuses[200] != want || statuses[503] != all-want {
		t.Errorf("%v of %d at once, want that %d are answered", statuses, all, want)
	}
}

// siteProbe: a site whose probe fails on a node leaves that, other sites stay.
func (f balanced) siteProbe(t *testing.T) {
	f.soon("probed.test", "web1", "web2")
	for _, says := range []string{"500 well", "200 ill"} {
		began := time.Now()
		f.says("web1", "probed.test", says)
		out := f.soon("probed.test", "web2")
		if err := f.only("plain.test", "web1", "web2"); err != nil {
			t.Errorf("another site: %v", err)
		}
		f.awaitEvent("edge1", farm.EventSiteDown, began.Add(-time.Second), func(e farm.Event) bool { return strings.Contains(e.Subject+e.Message, "web1") })
		f.says("web1", "probed.test", "200 well")
		t.Logf("%q: web1 was out after %s, and back %s after it was well", says, out, f.soon("probed.test", "web1", "web2"))
	}
}

// ejection: a node whose answers fail gets no visitors of the site for a while, and then again.
func (f balanced) ejection(t *testing.T) {
	f.says("web1", "judged.test", "503 broken")
	failed, began := 0, time.Now()
	f.await(10*time.Second, "web1 is out", func() error {
		err := f.only("judged.test", "web2")
		if err != nil {
			failed++
		}
		return err
	})
	t.Logf("out after %s, and %d rounds", time.Since(began).Round(time.Millisecond), failed)
	if err := f.only("plain.test", "web1", "web2"); err != nil {
		t.Errorf("another site: %v", err)
	}
	f.await(5*time.Second, "web1 is tried again", func() error {
		a, err := f.ask("judged.test", "/")
		if err == nil && a.StatusCode != http.StatusServiceUnavailable {
			err = fmt.Errorf("status %d", a.StatusCode)
		}
		return err
	})
	f.says("web1", "judged.test", "200 well")
	t.Logf("back %s after it was well", f.soon("judged.test", "web1", "web2"))
}

// affinity: a visitor stays where he is, until that node dies or has drained for long enough.
func (f balanced) affinity(t *testing.T) {
	p, edge := f.person("bound.test"), f.members["edge1"].addr
	ask := func() string {
		t.Helper()
		a, err := p.do(http.MethodGet, edge, "/", "")
		if err != nil || a.status != http.StatusOK {
			t.Fatalf("status %d, %v: %.80q", a.status, err, a.body)
		}
		return a.body
	}
	stays := func(at string) {
		t.Helper()
		for range 8 {
			if n := ask(); n != at {
				t.Fatalf("the visitor goes from %s to %s", at, n)
			}
		}
	}
	first := ask()
	stays(first)
	f.kill(first)
	second := ask()
	if second == first {
		t.Errorf("a dead node answers")
	}
	stays(second)
	f.start(first)
	f.edgeReady("edge1", 3)
	stays(second)

	began := time.Now()
	if _, err := f.try("edge1", "drain", second, "--timeout", "200ms"); exitCode(err) != 6 {
		t.Errorf("drain of a node to which visitors are bound: %v", err)
	}
	f.awaitState("edge1", second, control.HealthDraining)
	if time.Since(began) < 900*time.Millisecond {
		stays(second)
	}
	f.await(3*time.Second, "the visitor leaves a node that drains", func() error {
		if n := ask(); n == second {
			return fmt.Errorf("still at %s", n)
		}
		return nil
	})
	left := time.Since(began).Round(10 * time.Millisecond)
	stays(first)
	f.tandem("edge1", "drain", second)
	f.tandem("edge1", "undrain", second)
	f.edgeReady("edge1", 3)
	stays(first)
	t.Logf("bound to %s, then to %s when that had died, and to %s again %s after %s began to drain", first, second, first, left, second)
}

// lastNodes: a spare node serves when there is no other, and without any the edge says so.
func (f balanced) lastNodes(t *testing.T) {
	f.kill("web1")
	f.kill("web2")
	t.Logf("the spare node alone after %s", f.soon("plain.test", "web3"))
	f.kill("web3")
	for _, c := range []struct{ host, again, text string }{
		{"plain.test", "3", "The site can't be reached at the moment"}, {"probed.test", "120", "<p>Back soon, says the site."},
	} {
		began := time.Now()
		a, err := f.ask(c.host, "/")
		took := time.Since(began).Round(time.Millisecond)
		if err != nil || a.StatusCode != http.StatusServiceUnavailable || a.Header.Get("Retry-After") != c.again || !strings.Contains(a.text, c.text) {
			t.Errorf("%s without nodes: %v, %+v", c.host, err, a)
		}
		t.Logf("%s: %d after %s, Retry-After %s", c.host, a.StatusCode, took, a.Header.Get("Retry-After"))
	}
	began := time.Now()
	f.start("web3")
	spare := f.soon("plain.test", "web3")
	f.start("web1")
	f.start("web2")
	f.soon("plain.test", "web1", "web2")
	f.soon("probed.test", "web1", "web2")
	t.Logf("the spare node serves %s after its start, the others have taken over after %s", spare, time.Since(began).Round(time.Millisecond))
}
