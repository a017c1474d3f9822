//go:build linux

package e2e

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	siteCount   = flag.Int("sites", 100, "sites of TestManySites")
	reloadCount = flag.Int("reloads", 20, "reloads of TestManySites")
)

// manySite is a site of TestManySites.
func manySite(name, port, says string) string {
	return fmt.Sprintf("http://%s.example.com:%s {\n\trespond %q\n}\n", name, port, says)
}

// TestManySites: with many sites one more is live on the other node at once, and answered as fast as the first; a site
// that moves or goes closes no connection of another; and reloads leave nothing behind in the processes.
func TestManySites(t *testing.T) {
	need(t)
	f := newFarm(t, "web1", "web2")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	path := func(name string) string {
		return filepath.Join(f.members["web1"].dir, "config", "sites", name+".caddy")
	}
	began := time.Now()
	for i := range *siteCount {
		f.write(path(fmt.Sprint("s", i)), manySite(fmt.Sprint("s", i), "8081", "old"))
	}
	last := fmt.Sprint("s", *siteCount-1)
	for _, n := range f.order {
		f.siteSays(2*time.Minute, n, "8081", last, "old")
	}
	t.Logf("%d sites are live after %s", *siteCount, time.Since(began).Round(time.Millisecond))
	f.await(2*time.Minute, "web2 has all their files", func() error {
		list, err := os.ReadDir(filepath.Join(f.members["web2"].dir, "config", "sites"))
		if err == nil && len(list) != *siteCount {
			err = fmt.Errorf("it has %d", len(list))
		}
		return err
	})
	before := f.processes()
	idle := map[string]*idleConn{}
	for _, n := range f.order {
		idle[n] = f.keepIdle(n, "8081", "s0.example.com")
	}

	began = time.Now()
	f.write(path("more"), manySite("more", "8081", "new"))
	f.siteSays(20*time.Second, "web2", "8081", "more", "new")
	f.report("one more site", began)
	began = time.Now()
	f.write(path("more"), manySite("more", "8082", "new"))
	f.siteSays(20*time.Second, "web2", "8082", "more", "new")
	f.report("its other port", began)
	f.siteSays(20*time.Second, "web1", "8082", "more", "new")
	began = time.Now()
	if err := os.Remove(path("more")); err != nil {
		t.Fatal(err)
	}
	f.await(20*time.Second, "the site is gone", func() error {
		if _, err := f.askSite("web2", "8082", "more"); err == nil {
			return fmt.Errorf("it answers")
		}
		return nil
	})
	f.report("its end", began)
	first, other := f.latency("s0"), f.latency(last)
	t.Logf("an answer of the first site takes %s, of the last %s (median)", first, other)
	if other > 2*first+time.Millisecond {
		t.Errorf("the last site answers in %s, the first in %s", other, first)
	}

	f.reloadAgainAndAgain(path("s1"))
	for n, c := range idle {
		if err := c.ask(); err != nil {
			t.Errorf("%s: a connection that was idle all the time: %v", n, err)
		}
	}
	for n, p := range f.processes() {
		if p != before[n] {
			t.Errorf("%s: the process was restarted: %s, was %s", n, p, before[n])
		}
	}
}

func (f *farmUnderTest) report(what string, began time.Time) {
	f.t.Helper()
	took := time.Since(began).Round(time.Millisecond)
	f.t.Logf("%s is live on web2 after %s", what, took)
	if took > 5*time.Second {
		f.t.Errorf("%s took %s", what, took)
	}
}

func (f *farmUnderTest) askSite(n, port, site string) (string, error) {
	c := http.Client{Transport: &http.Transport{DialContext: f.lan.dial(n), DisableKeepAlives: true}, Timeout: 5 * time.Second}
	req, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port+"/", nil)
	if err != nil {
		return "", err
	}
	req.Host = site + ".example.com:" + port
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// siteSays waits until a node answers for a site.
func (f *farmUnderTest) siteSays(limit time.Duration, n, port, site, want string) {
	f.t.Helper()
	f.awaitEvery(2*time.Millisecond, limit, fmt.Sprintf("%s answers for %s", n, site), func() error {
		if got, err := f.askSite(n, port, site); err != nil || got != want {
			return fmt.Errorf("%q, %v", got, err)
		}
		return nil
	})
}

// latency is the median time of an answer, on a connection that is open.
func (f *farmUnderTest) latency(site string) time.Duration {
	f.t.Helper()
	c := f.keepIdle("web1", "8081", site+".example.com")
	took := make([]time.Duration, 201)
	for i := range took {
		began := time.Now()
		if err := c.ask(); err != nil {
			f.t.Fatal(err)
		}
		took[i] = time.Since(began)
	}
	return percentile(took, 50)
}

// idleConn is a connection to a site that nobody may close.
type idleConn struct {
	net.Conn
	host string
	r    *bufio.Reader
}

func (f *farmUnderTest) keepIdle(n, port, host string) *idleConn {
	f.t.Helper()
	conn, err := f.lan.dial(n)(f.t.Context(), "tcp", "127.0.0.1:"+port)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	c := &idleConn{conn, host, bufio.NewReader(conn)}
	if err := c.ask(); err != nil {
		f.t.Fatal(err)
	}
	return c
}

func (c *idleConn) ask() error {
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s:8081\r\n\r\n", c.host); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %q, %v", resp.Status, b, err)
	}
	return nil
}

// reloadAgainAndAgain changes a site file many times, and compares what the processes need before and afterwards.
func (f *farmUnderTest) reloadAgainAndAgain(path string) {
	f.t.Helper()
	reload := func(i int) {
		says := fmt.Sprint("reload ", i)
		f.write(path, manySite("s1", "8081", says))
		for _, n := range f.order {
			f.siteSays(20*time.Second, n, "8081", "s1", says)
		}
	}
	warm := max(5, *reloadCount/5) // caches and pools are full then
	for i := range warm {
		reload(i)
	}
	before := map[string]needs{}
	for _, n := range f.order {
		before[n] = f.needs(n)
	}
	began := time.Now()
	for i := range *reloadCount {
		reload(warm + i)
	}
	f.t.Logf("%d reloads, each live on both before the next: %s", *reloadCount, time.Since(began).Round(time.Millisecond))
	for _, n := range f.order {
		f.await(30*time.Second, n+" needs no more than before", func() error {
			is, was := f.needs(n), before[n]
			if is.files > was.files+2 || is.goroutines > was.goroutines+5 || is.heap > was.heap*5/4+8<<20 {
				return fmt.Errorf("descriptors %d, were %d; goroutines %d, were %d; heap %d, was %d", is.files, was.files, is.goroutines, was.goroutines, is.heap, was.heap)
			}
			f.t.Logf("%s: descriptors %d, were %d; goroutines %d, were %d; heap %d MB, was %d", n, is.files, was.files, is.goroutines, was.goroutines, is.heap>>20, was.heap>>20)
			return nil
		})
	}
}

// needs are what a daemon holds: descriptors, goroutines, and bytes of its heap in use.
type needs struct{ files, goroutines, heap int }

var metric = regexp.MustCompile(`(?m)^(go_goroutines|go_memstats_heap_inuse_bytes) (\S+)$`)

func (f *farmUnderTest) needs(n string) (is needs) {
	f.t.Helper()
	m := f.members[n]
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", m.cmd.Process.Pid))
	if err != nil {
		f.t.Fatal(err)
	}
	is.files = len(list)
	c := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", m.dir+"/sock")
		},
	}}
	resp, err := c.Get("http://tandem/v1/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, v := range metric.FindAllStringSubmatch(string(b), -1) {
		x, err := strconv.ParseFloat(v[2], 64)
		if err != nil {
			f.t.Fatal(err)
		}
		if strings.HasSuffix(v[1], "goroutines") {
			is.goroutines = int(x)
		} else {
			is.heap = int(x)
		}
	}
	return is
}
