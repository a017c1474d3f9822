package member

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/edge"
	"tandem/internal/farm"
)

// balanced is a farm of two nodes and an edge that serves one site.
func balanced(t *testing.T, site string) (web1, web2, edge1 *server, at string) {
	t.Helper()
	web1, web2 = two(t)
	edge1 = web1.joinAs("edge1", farm.RoleEdge)
	if err := os.WriteFile(filepath.Join(web1.paths.Config, "sites", "a.caddy"), []byte(site), 0o644); err != nil {
		t.Fatal(err)
	}
	ln := httptest.NewServer(edge1.edge)
	t.Cleanup(ln.Close)
	return web1, web2, edge1, ln.URL
}

// visits asks a site all the time, and counts which node answers and what goes wrong.
type visits struct {
	t      *testing.T
	stop   chan struct{}
	all    sync.WaitGroup
	failed atomic.Int64

	mu   sync.Mutex
	seen map[string]int
}

func (v *visits) ask(url, method string) string {
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		v.t.Error(err)
		return ""
	}
	r.Host = "a.test"
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		v.failed.Add(1)
		v.t.Errorf("%s: %v", method, err)
		return ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		v.failed.Add(1)
		v.t.Errorf("%s: status %d, %q, %v", method, resp.StatusCode, body, err)
	}
	return resp.Header.Get(edge.NodeHeader)
}

func (v *visits) begin(url string) {
	v.stop, v.seen = make(chan struct{}), map[string]int{}
	for _, method := range []string{"GET", "POST", "GET", "POST"} {
		v.all.Go(func() {
			for {
				select {
				case <-v.stop:
					return
				default:
				}
				node := v.ask(url, method)
				v.mu.Lock()
				v.seen[node]++
				v.mu.Unlock()
			}
		})
	}
}

// next is which nodes answer the next requests, as many as n or some more.
func (v *visits) next(n int) map[string]int {
	count := func() (all int) {
		v.mu.Lock()
		defer v.mu.Unlock()
		for _, times := range v.seen {
			all += times
		}
		return all
	}
	v.mu.Lock()
	v.seen = map[string]int{}
	v.mu.Unlock()
	eventually(v.t, "the visitors go on", func() bool { return count() >= n })
	v.mu.Lock()
	defer v.mu.Unlock()
	seen := v.seen
	v.seen = map[string]int{}
	return seen
}

func (v *visits) end() {
	close(v.stop)
	v.all.Wait()
}

// A node is drained under load, stopped, started and undrained: no request fails, and none reaches it while it drains.
func TestDrainUnderLoad(t *testing.T) {
	web1, web2, edge1, at := balanced(t, "http://a.test:1 {\n\trespond hello\n}\n")
	status := func(node string) string {
		for _, s := range edge1.edge.Stats() {
			if string(s.Node) == node {
				return s.State
			}
		}
		return ""
	}
	v := &visits{t: t}
	eventually(t, "the edge has both nodes and the site", func() bool {
		return status("web1") == "healthy" && status("web2") == "healthy" && edge1.web.Edge("a.test") != nil &&
			web1.web.Edge("a.test") != nil && web2.web.Edge("a.test") != nil
	})
	v.begin(at)
	defer v.end()
	eventually(t, "both nodes have visitors", func() bool { seen := v.next(20); return seen["web1"] > 0 && seen["web2"] > 0 })

	web2.write("last", "written on web2 before it goes")
	d, err := web1.Drain(t.Context(), "web2", control.DrainOn)
	if err != nil || !d.Draining || d.By != "web1" {
		t.Fatalf("drain: %+v, %v", d, err)
	}
	eventually(t, "web2 is safe to stop", func() bool {
		d, err = edge1.Drain(t.Context(), "web2", control.DrainShow)
		return err == nil && d.Safe
	})
	if !web1.has("last", "written on web2 before it goes")() {
		t.Error("what was written on web2 is not on web1")
	}
	if seen := v.next(50); seen["web2"] > 0 || seen["web1"] == 0 {
		t.Errorf("while web2 drains, the nodes answer %v", seen)
	}
	if got := status("web2"); got != "draining" {
		t.Errorf("the edge thinks that web2 is %s", got)
	}
	web2.end()
	web2.start()
	eventually(t, "web2 is back, and still drained", func() bool { return status("web2") == "draining" })
	if st, err := web2.Status(t.Context()); err != nil || !st.Draining || st.Drained == nil || st.Drained.By != "web1" {
		t.Errorf("web2 says %+v, %v", st.Drained, err)
	}
	if seen := v.next(50); seen["web2"] > 0 {
		t.Errorf("after a restart, web2 has visitors: %v", seen)
	}
	if d, err = web2.Drain(t.Context(), "", control.DrainOff); err != nil || d.Draining {
		t.Errorf("undrain: %+v, %v", d, err)
	}
	eventually(t, "web2 has visitors again", func() bool { return v.next(20)["web2"] > 0 })
	if n := v.failed.Load(); n > 0 {
		t.Errorf("%d requests failed", n)
	}
	if _, err := web1.Drain(t.Context(), "web9", control.DrainOn); farm.KindOf(err) != farm.NotFound {
		t.Errorf("a member that is not there: %v", err)
	}
}

// While visitors are bound to the node, or a request is under way, or the others lack what was written, it is not safe to stop.
func TestDrainWaits(t *testing.T) {
	web1, web2 := two(t)
	site := "http://a.test:1 {\n\tedge {\n\t\taffinity cookie drain 300ms\n\t}\n\trespond hello\n}\n"
	if err := os.WriteFile(filepath.Join(web1.paths.Config, "sites", "a.caddy"), []byte(site), 0o644); err != nil {
		t.Fatal(err)
	}
	eventually(t, "web2 has the site", func() bool { return len(web2.web.Edges()) == 1 })
	begun := time.Now()
	d, err := web2.Drain(t.Context(), "", control.DrainOn)
	if err != nil || d.Settled || d.BoundUntil == nil || d.BoundUntil.Sub(*d.Since) != 300*time.Millisecond {
		t.Fatalf("drain: %+v, %v", d, err)
	}
	web2.busy.Add(1)
	eventually(t, "bound visitors are gone", func() bool { d, err = web2.Drain(t.Context(), "web2", control.DrainShow); return d.Settled })
	if d.Safe || d.Active != 1 || time.Since(begun) < 300*time.Millisecond {
		t.Errorf("with a request under way: %+v", d)
	}
	web2.busy.Add(-1)
	web1.end()
	eventually(t, "web1 is gone", func() bool { return !web2.links.up("web1") })
	web2.write("new", "only here")
	d, err = web2.Drain(t.Context(), "", control.DrainShow)
	if err != nil || d.Safe || len(d.Behind) != 1 || d.Behind[0].Folder != "www" || len(d.Apart) != 1 || d.Apart[0] != "web1" {
		t.Errorf("with nobody linked: %+v, %v", d, err)
	}
	web1.start()
	eventually(t, "web1 has all and web2 is safe to stop", func() bool { d, err = web2.Drain(t.Context(), "", control.DrainShow); return err == nil && d.Safe })
	if !web1.has("new", "only here")() {
		t.Error("web1 does not have what was written")
	}
}

func TestStrainIsOneLine(t *testing.T) {
	if got := oneLine("a\r\nb: ü"); strings.ContainsAny(got, "\r\nü") || got != "a??b: ?" {
		t.Errorf("%q", got)
	}
}
