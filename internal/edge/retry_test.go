package edge

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
)

func TestFateAndMethodDecide(t *testing.T) {
	for _, c := range []struct {
		f           fate
		safe, begun bool
		want        bool
	}{
		{whole, true, false, false},
		{unseen, true, false, true},
		{unseen, false, false, true},
		{unseen, false, true, false},
		{silent, true, false, true},
		{silent, false, false, false},
		{silent, true, true, false},
		{broken, true, false, false},
		{broken, false, false, false},
		{gone, true, false, false},
	} {
		if got := c.f.again(c.safe, &payload{begun: c.begun}); got != c.want {
			t.Errorf("fate %d, safe %v, body begun %v: again %v", c.f, c.safe, c.begun, got)
		}
	}
}

// bad is what a node can do instead of answering.
var bad = map[string]func(net.Conn, *http.Request){
	"closes":             func(net.Conn, *http.Request) {},
	"half a status line": func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, "HTTP/1.1 20") },
	"half a header":      func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-A: b\r\n") },
	"half a body": func(c net.Conn, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
	},
	"chunks without an end": func(c net.Conn, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	},
	"nonsense": func(c net.Conn, _ *http.Request) { _, _ = io.WriteString(c, "+OK POP3 ready\r\n\r\n") },
	"never ends informing": func(c net.Conn, _ *http.Request) {
		for range 100 {
			if _, err := io.WriteString(c, "HTTP/1.1 102 Processing\r\n\r\n"); err != nil {
				return
			}
		}
	},
	"switches protocols": func(c net.Conn, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
	},
}

// A bad node is asked first, a good one may be asked next. Nothing unsafe reaches both.
func TestRetries(t *testing.T) {
	for name, do := range bad {
		for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "MKCOL"} {
			safe := method == "GET" || method == "HEAD" || method == "OPTIONS"
			if method == "HEAD" && (name == "half a body" || name == "chunks without an end") {
				continue // whole, for HEAD
			}
			t.Run(method+" "+name, func(t *testing.T) {
				var mu sync.Mutex
				badSeen, goodSeen := 0, 0
				network := newNetwork()
				network.set("web1", scripted(&badSeen, &mu, do))
				network.set("web2", serving(func(w http.ResponseWriter, _ *http.Request) {
					mu.Lock()
					defer mu.Unlock()
					goodSeen++
				}))
				e := healthyEdge(network, Config{}, "web1", "web2")
				defer closeIdle(e)
				onlyFirst(e, "web1")
				w, aborted := getAborted(e, visit(method, "/", strings.NewReader("body")))
				if safe && (w.Code != 200 || badSeen != 1 || goodSeen != 1 || aborted) {
					t.Errorf("status %d, aborted %v, seen by %d and %d", w.Code, aborted, badSeen, goodSeen)
				}
				if !safe && (w.Code == 200 && !aborted || badSeen != 1 || goodSeen != 0) {
					t.Errorf("status %d, aborted %v, seen by %d and %d", w.Code, aborted, badSeen, goodSeen)
				}
			})
		}
	}
}

// onlyFirst makes one node the first choice: it alone covers nothing more, but it stands first and round robin is
// replaced by "the first".
func onlyFirst(e *Edge, id farm.MemberID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policy = firstChoice(id)
	e.renew()
}

type firstChoice farm.MemberID

func (f firstChoice) pick(from []*standing, _ *exchange) *standing {
	for _, s := range from {
		if s.node.id == farm.MemberID(f) {
			return s
		}
	}
	return from[0]
}

// getAborted is get that tells whether the visitor's connection was cut.
func getAborted(e *Edge, r *http.Request) (w *recorder, aborted bool) {
	w = &recorder{header: http.Header{}}
	defer func() {
		if p := recover(); p != nil {
			if err, ok := p.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(p)
			}
			aborted = true
		}
	}()
	e.ServeHTTP(w, r)
	return w, false
}

// recorder is a ResponseWriter without anything optional.
type recorder struct {
	header http.Header
	Code   int
	body   strings.Builder
}

func (w *recorder) Header() http.Header { return w.header }
func (w *recorder) WriteHeader(status int) {
	if w.Code < 200 {
		w.Code = status
	}
}
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }

func TestUnsafeRequestsGoOnWhenNoNodeSawThem(t *testing.T) {
	network := newNetwork()
	network.set("web1", nil) // refuses connections
	network.set("web2", serving(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	for name, body := range map[string]io.Reader{
		"small":   strings.NewReader("hello"),
		"large":   strings.NewReader(strings.Repeat("x", 3*KeptBodyBytes)),
		"unknown": io.MultiReader(strings.NewReader("hello")),
	} {
		e := healthyEdge(network, Config{}, "web1", "web2")
		onlyFirst(e, "web1")
		w, _ := getAborted(e, visit("POST", "/", body))
		if w.Code != 200 || w.body.Len() == 0 {
			t.Errorf("%s body: status %d, %d bytes came back", name, w.Code, w.body.Len())
		}
		if s := e.Stats()[0]; s.Failures != 1 {
			t.Errorf("%s body: failures %d", name, s.Failures)
		}
		closeIdle(e)
	}
}

// The node closes its connection while it is idle in the pool. A POST must not run into it, a GET may.
func TestStaleConnections(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		network := newNetwork()
		var mu sync.Mutex
		seen := 0
		network.set("web1", scripted(&seen, &mu, func(c net.Conn, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		})) // and closes without having said so
		e := healthyEdge(network, Config{}, "web1")
		for range 5 {
			if w, _ := getAborted(e, visit(method, "/", strings.NewReader("x"))); w.Code != 200 {
				t.Errorf("%s: status %d", method, w.Code)
			}
		}
		if seen != 5 {
			t.Errorf("%s: seen %d times instead of 5", method, seen)
		}
		if s := e.Stats()[0].State; s != "healthy" {
			t.Errorf("%s: a node that closes idle connections is %s", method, s)
		}
		closeIdle(e)
	}
}

func TestASingleNodeThatComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		network.set("web1", nil)
		e := healthyEdge(network, Config{}, "web1")
		defer closeIdle(e)
		done := ask(e, visit("GET", "/", nil))
		pass(100 * time.Millisecond)
		e.Link("web1", false)
		pass(400 * time.Millisecond)
		network.set("web1", named("web1"))
		e.Link("web1", true)
		e.report("web1", probeOK, "")
		e.report("web1", probeOK, "")
		if got := <-done; got.status != 200 || got.took != 500*time.Millisecond {
			t.Errorf("status %d after %v", got.status, got.took)
		}
	})
}

// A session that is lost while a node thinks: what may be repeated goes to another node at once, the rest waits.
func TestSessionLostWhileWaiting(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		synctest.Test(t, func(t *testing.T) {
			network, release := newNetwork(), make(chan struct{})
			network.set("web1", serving(func(w http.ResponseWriter, _ *http.Request) {
				<-release
				_, _ = io.WriteString(w, "web1")
			}))
			network.set("web2", named("web2"))
			e := healthyEdge(network, Config{}, "web1", "web2")
			defer closeIdle(e)
			onlyFirst(e, "web1")
			done := ask(e, visit(method, "/", nil))
			pass(100 * time.Millisecond)
			e.Link("web1", false)
			pass(100 * time.Millisecond)
			close(release)
			got := <-done
			want := map[string]string{"GET": "web2", "POST": "web1"}[method]
			if got.status != 200 || got.body != want {
				t.Errorf("%s was answered %d by %q", method, got.status, got.body)
			}
		})
	}
}

func TestNodeThatTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		network.set("web1", serving(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		e := healthyEdge(network, Config{Limits: Limits{AnswerTime: 20 * time.Second}}, "web1")
		defer closeIdle(e)
		if got := <-ask(e, visit("GET", "/", nil)); got.status != 504 || got.took != 20*time.Second {
			t.Errorf("status %d after %v", got.status, got.took)
		}
	})
}

// An answer that breaks after the visitor got a part of it can't end as if it were whole.
func TestBrokenAnswersAreCut(t *testing.T) {
	big := strings.Repeat("x", 2*HoldBytes)
	for name, do := range map[string]func(net.Conn, *http.Request){
		"length": func(c net.Conn, _ *http.Request) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"+big)
		},
		"chunks": func(c net.Conn, _ *http.Request) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n"+big+"\r\n")
		},
	} {
		var mu sync.Mutex
		seen := 0
		network := newNetwork()
		network.set("web1", scripted(&seen, &mu, do))
		e := healthyEdge(network, Config{}, "web1")
		if w, aborted := getAborted(e, visit("GET", "/", nil)); !aborted || w.Code != 200 || seen != 1 {
			t.Errorf("%s: aborted %v, status %d, seen %d", name, aborted, w.Code, seen)
		}
		closeIdle(e)
	}
}

// Bytes after an answer could be taken for the next one's.
func TestSurplusBytesEndAConnection(t *testing.T) {
	network := newNetwork()
	network.set("web1", func(c net.Conn) {
		defer c.Close()
		br := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(br); err != nil {
				return
			}
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
		}
	})
	e := healthyEdge(network, Config{}, "web1")
	defer closeIdle(e)
	for range 3 {
		if w := get(e, visit("GET", "/", nil)); w.Body.String() != "ok" {
			t.Errorf("got %q", w.Body)
		}
	}
	if n := network.dials["web1"]; n != 3 {
		t.Errorf("%d connections for 3 answers", n)
	}
}
