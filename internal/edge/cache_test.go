package edge

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// fileNode is a node with one folder, "shop", whose files are versions of their content: "name version". It says of its
// answers as of which position they are right, as nodes do.
type fileNode struct {
	mu      sync.Mutex
	version map[string]int // by path
	applied farm.Vector
	header  http.Header // of answers, besides
	asked   []string
}

func (n *fileNode) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.mu.Lock()
	defer n.mu.Unlock()
	body := fmt.Sprint(r.URL.Path, " ", n.version[r.URL.Path])
	etag := `"` + contentDigest([]byte(body)).String() + `"`
	n.asked = append(n.asked, fmt.Sprint(r.Method, " ", r.URL.Path, " ", r.Header.Get("If-None-Match") == etag))
	for name, values := range n.header {
		w.Header()[name] = values
	}
	if r.Header.Get(farm.CacheHeader) == "ask" && w.Header()[farm.CacheHeader] == nil {
		w.Header().Set(farm.CacheHeader, farm.Session{"shop": n.applied}.String())
	}
	w.Header().Set("Etag", etag)
	w.Header().Set("Content-Type", "text/plain")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	fmt.Fprint(w, body)
}

// write makes a new version, as a change of web1's.
func (n *fileNode) write(path string, at farm.Seq) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.version[path]++
	n.applied = n.applied.With(farm.Position{Actor: farm.Actor{Member: "web1", Epoch: 10}, Seq: at})
}

func contentDigest(b []byte) farm.Digest { return sha256.Sum256(b) }

var live = farm.Digest{1}

// cachingEdge is an edge whose only site keeps answers, with nodes web1 and web2 that are n.
func cachingEdge(n *fileNode, limit int64) *Edge {
	network := newNetwork()
	network.set("web1", serving(n.ServeHTTP))
	network.set("web2", serving(n.ServeHTTP))
	o := &config.EdgeSite{Name: "shop", CacheBytes: limit}
	e := healthyEdge(network, Config{Digest: contentDigest, Site: func(string) *config.EdgeSite { return o }}, "web1", "web2")
	for _, id := range []farm.MemberID{"web1", "web2"} {
		e.State(stateOf(id, n.applied))
	}
	return e
}

func stateOf(id farm.MemberID, v farm.Vector) farm.MemberState {
	return farm.MemberState{Member: id, Verdict: farm.Verdict{Revision: live}, Folders: map[farm.FolderID]farm.FolderState{"shop": {Known: v, Applied: v}}}
}

func newFileNode() *fileNode {
	n := &fileNode{version: map[string]int{}, header: http.Header{}}
	n.write("/", 1)
	return n
}

func TestCache(t *testing.T) {
	hit := func(w *httptest.ResponseRecorder) bool { return w.Header().Get(farm.CacheHeader) == "hit" }
	for name, tc := range map[string]struct {
		between func(*Edge, *fileNode) // after the first request
		request func(*http.Request)    // the second
		check   func(*testing.T, *httptest.ResponseRecorder)
		asked   string // of the node by the second; "" is nothing
		status  int    // default: 200
		body    string // default: "/a 0"
	}{
		"nothing has changed": {},
		"another file has": {
			between: func(e *Edge, n *fileNode) { n.write("/b", 2); e.State(stateOf("web1", n.applied)) },
			asked:   "GET /a true",
		},
		"it has": {
			between: func(e *Edge, n *fileNode) { n.write("/a", 2); e.State(stateOf("web1", n.applied)) },
			asked:   "GET /a false", body: "/a 1",
		},
		"a node knows of a change that no node has yet": {
			between: func(e *Edge, n *fileNode) {
				s := stateOf("web2", n.applied)
				s.Folders["shop"] = farm.FolderState{Applied: n.applied, Known: vectorOf("web1.a.9")}
				e.State(s)
			},
			asked: "GET /a true",
		},
		"... and is gone": {
			between: func(e *Edge, n *fileNode) { e.State(stateOf("web2", vectorOf("web1.a.9"))); e.Link("web2", false) },
			asked:   "GET /a true",
		},
		"the visitor knows of a change": {
			request: func(r *http.Request) { r.Header.Set(farm.SessionHeader, "shop:web1.a.2") }, asked: "GET /a true",
		},
		"the visitor has seen one": {
			request: func(r *http.Request) { r.Header.Set(farm.SessionHeader, "*web1*shop:web1.a.2") }, asked: "GET /a true",
		},
		"the visitor knows less": {request: func(r *http.Request) { r.Header.Set(farm.SessionHeader, "shop:web1.a.1") }},
		"a node runs another configuration": {
			between: func(e *Edge, n *fileNode) {
				s := stateOf("web2", n.applied)
				s.Verdict.Revision = farm.Digest{2}
				e.State(s)
			},
			asked: "GET /a false",
		},
		"all nodes do": {
			between: func(e *Edge, n *fileNode) {
				for _, id := range []farm.MemberID{"web1", "web2"} {
					s := stateOf(id, n.applied)
					s.Verdict.Revision = farm.Digest{2}
					e.State(s)
				}
			},
			asked: "GET /a false",
		},
		"who logs in is asked for by the node": {
			request: func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, asked: "GET /a false",
		},
		"HEAD":       {request: func(r *http.Request) { r.Method = "HEAD" }, body: "-"},
		"a range":    {request: func(r *http.Request) { r.Header.Set("Range", "bytes=1-1") }, status: 206, body: "a"},
		"no news":    {request: func(r *http.Request) { r.Header.Set("If-None-Match", etagOf("/a 0")) }, status: 304, body: "-"},
		"stale news": {request: func(r *http.Request) { r.Header.Set("If-None-Match", `"x"`) }},
		"no news after all, says the node": {
			between: func(e *Edge, n *fileNode) { n.write("/b", 2); e.State(stateOf("web1", n.applied)) },
			request: func(r *http.Request) { r.Header.Set("If-None-Match", etagOf("/a 0")) },
			asked:   "GET /a true", status: 304, body: "-",
		},
		"a range, and news": {
			between: func(e *Edge, n *fileNode) { n.write("/a", 2); e.State(stateOf("web1", n.applied)) },
			request: func(r *http.Request) { r.Header.Set("Range", "bytes=1-1") },
			asked:   "GET /a false", body: "/a 1",
		},
		"another query": {request: func(r *http.Request) { r.URL.RawQuery = "x=1" }, asked: "GET /a false"},
		"a write":       {request: func(r *http.Request) { r.Method = "DELETE" }, asked: "DELETE /a false"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newFileNode()
			e := cachingEdge(n, 1<<20)
			defer closeIdle(e)
			if w := get(e, visit("GET", "/a", nil)); w.Code != 200 || w.Body.String() != "/a 0" || hit(w) || w.Header()[farm.CacheHeader] != nil {
				t.Fatalf("first: %d %q %v", w.Code, w.Body, w.Header())
			}
			if tc.between != nil {
				tc.between(e, n)
			}
			n.asked = nil
			r := visit("GET", "/a", nil)
			if tc.request != nil {
				tc.request(r)
			}
			w := get(e, r)
			if tc.status == 0 {
				tc.status = 200
			}
			switch tc.body {
			case "":
				tc.body = "/a 0"
			case "-":
				tc.body = ""
			}
			if w.Code != tc.status || w.Body.String() != tc.body || strings.Join(n.asked, ",") != tc.asked {
				t.Errorf("got %d %q %v, the node was asked %q; want %d %q, %q", w.Code, w.Body, w.Header(), n.asked, tc.status, tc.body, tc.asked)
			}
			if tc.asked == "" && (!hit(w) || w.Code != 304 && w.Header().Get("Content-Type") != "text/plain" || w.Header().Get("X-Request-Id") == "") {
				t.Errorf("headers from memory: %v", w.Header())
			}
		})
	}
}

func etagOf(body string) string { return `"` + contentDigest([]byte(body)).String() + `"` }

func vectorOf(s string) farm.Vector {
	v, err := farm.ParseVector(s)
	if err != nil {
		panic(err)
	}
	return v
}

// TestNotKept: what is not the same for everybody, or not what its ETag says, is asked for again.
func TestNotKept(t *testing.T) {
	for name, set := range map[string]func(*fileNode){
		"a cookie":                   func(n *fileNode) { n.header.Set("Set-Cookie", "a=b") },
		"private":                    func(n *fileNode) { n.header.Set("Cache-Control", "Private, max-age=5") },
		"no-store":                   func(n *fileNode) { n.header.Set("Cache-Control", "no-store") },
		"compressed":                 func(n *fileNode) { n.header.Set("Content-Encoding", "gzip") },
		"varies":                     func(n *fileNode) { n.header.Set("Vary", "User-Agent") },
		"the node does not vouch":    func(n *fileNode) { n.header[farm.CacheHeader] = []string{""} },
		"the node vouches for noise": func(n *fileNode) { n.header[farm.CacheHeader] = []string{"%%"} },
		"too large":                  func(n *fileNode) { n.version["/a"] = 1 },
	} {
		n := newFileNode()
		set(n)
		limit := int64(1 << 20)
		if name == "too large" {
			limit = 4 * maxKeptShare // bytes
		}
		e := cachingEdge(n, limit)
		for range 2 {
			if w := get(e, visit("GET", "/a", nil)); w.Header().Get(farm.CacheHeader) != "" {
				t.Errorf("%s: headers are %v", name, w.Header())
			}
		}
		if len(n.asked) != 2 {
			t.Errorf("%s: the node was asked %q", name, n.asked)
		}
		closeIdle(e)
	}
}

// TestLyingNodeIsNotKept: a body that is not what its ETag says, because the file changed while it was read, is passed on and
// not kept.
func TestLyingNodeIsNotKept(t *testing.T) {
	n := newFileNode()
	e := cachingEdge(n, 1<<20)
	defer closeIdle(e)
	e.cfg.Digest = func(b []byte) farm.Digest { return contentDigest(append(b, 'x')) }
	for range 2 {
		get(e, visit("GET", "/a", nil))
	}
	if len(n.asked) != 2 {
		t.Errorf("the node was asked %q", n.asked)
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache(10 * (keptHeadBytes + 100))
	for i := range 100 {
		key := fmt.Sprintf("%010d", i)
		c.put(&kept{key: key, body: make([]byte, 90)})
		c.put(&kept{key: key, body: make([]byte, 90)})
		if c.get("0000000000") == nil && i < 50 {
			t.Fatal("what is asked for again and again is dropped")
		}
		if c.used > c.limit || c.used != int64(len(c.at))*(keptHeadBytes+100) || c.order.Len() != len(c.at) {
			t.Fatalf("%d bytes are used by %d answers, %d in order", c.used, len(c.at), c.order.Len())
		}
	}
	if len(c.at) != 10 {
		t.Errorf("%d are kept", len(c.at))
	}
}

// TestNoStaleByte: files change, nodes follow, sessions are lost, visitors come with and without positions, in random order.
// Once the edge has heard a position, or a visitor brings one, no answer is older than that; and most come from memory.
func TestNoStaleByte(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := newFileNode()
		e := cachingEdge(n, 1<<20)
		var seq farm.Seq = 1
		heard, written := map[string]int{}, map[string]int{} // versions: that the edge must show, and that there are
		paths := []string{"/a", "/b", "/c"}
		hits := 0
		for range 400 {
			path := paths[rng.IntN(len(paths))]
			switch rng.IntN(12) {
			case 0:
				seq++
				n.write(path, seq)
				written[path]++
			case 1:
				e.State(stateOf("web1", n.applied))
				for p, v := range written {
					heard[p] = v
				}
			case 2:
				e.Link("web2", false)
				e.Link("web2", true)
				e.report("web2", probeOK, "test")
				e.report("web2", probeOK, "test")
			default:
				r := visit("GET", path, nil)
				least := heard[path]
				if rng.IntN(3) == 0 {
					r.Header.Set(farm.SessionHeader, farm.Session{"shop": n.applied}.String())
					least = written[path]
				}
				w := get(e, r)
				var got int
				if _, err := fmt.Sscanf(w.Body.String(), path+" %d", &got); err != nil || got < least {
					t.Fatalf("seed %d: %s is %q (%d), at least version %d was due", seed, path, w.Body, w.Code, least)
				}
				if w.Header().Get(farm.CacheHeader) == "hit" {
					hits++
				}
			}
		}
		if hits < 100 {
			t.Errorf("seed %d: %d answers of some 300 came from memory", seed, hits)
		}
		closeIdle(e)
	}
}
