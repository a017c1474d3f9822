package edge

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Visitors may speak HTTP/2; nodes never need to.
func TestHTTP2InFront(t *testing.T) {
	var mu sync.Mutex
	seen := 0
	good := serving(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%s %d %v %s", r.Proto, n, err, r.Header.Get("X-Forwarded-Proto"))
	})
	early := scripted(&seen, &mu, func(c net.Conn, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
	})
	breaks := scripted(&seen, &mu, func(c net.Conn, _ *http.Request) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"+strings.Repeat("x", 2*HoldBytes))
	})
	for name, c := range map[string]struct {
		node func(net.Conn)
		body io.Reader
		want string // empty: the stream is reset
	}{
		"GET":                       {good, nil, "HTTP/1.1 0 <nil> https"},
		"small body":                {good, strings.NewReader("hello"), "HTTP/1.1 5 <nil> https"},
		"large body":                {good, pattern(1 << 20), "HTTP/1.1 1048576 <nil> https"},
		"an answer before the body": {early, endless{}, "big"},
		"an answer that breaks":     {breaks, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			network := newNetwork()
			network.set("web1", c.node)
			e := healthyEdge(network, Config{}, "web1")
			defer closeIdle(e)
			srv := httptest.NewUnstartedServer(e)
			srv.EnableHTTP2 = true
			srv.StartTLS()
			defer srv.Close()
			method := http.MethodGet
			if c.body != nil {
				method = http.MethodPost
			}
			r, err := http.NewRequest(method, srv.URL, c.body)
			if err != nil {
				t.Fatal(err)
			}
			w, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer w.Body.Close()
			body, err := io.ReadAll(w.Body)
			if w.ProtoMajor != 2 || c.want != "" && (string(body) != c.want || err != nil) || c.want == "" && err == nil {
				t.Errorf("%s: %d bytes %.100q, %v", w.Proto, len(body), body, err)
			}
		})
	}
}

// An edge that gives its visitors away lets their connections end with an answer, by HTTP/1.1 and 2.
func TestConnectionsEndBeforeVisitorsLeave(t *testing.T) {
	network := newNetwork()
	network.set("web1", named("web1"))
	e := healthyEdge(network, Config{}, "web1")
	defer closeIdle(e)
	for _, http2 := range []bool{false, true} {
		srv := httptest.NewUnstartedServer(e)
		srv.EnableHTTP2 = http2
		var opened, closed atomic.Int32
		srv.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				opened.Add(1)
			case http.StateClosed:
				closed.Add(1)
			}
		}
		srv.StartTLS()
		defer srv.Close()
		for i, c := range []struct {
			set    func(bool)
			on     bool
			opened int32 // connections after two requests
		}{{e.SetDraining, false, 1}, {e.SetDraining, true, 2}, {e.SetLeaving, true, 4}} {
			e.SetDraining(false)
			c.set(c.on)
			for range 2 {
				w, err := srv.Client().Get(srv.URL)
				if err != nil {
					t.Fatal(err)
				}
				if b, err := io.ReadAll(w.Body); string(b) != "web1" || err != nil {
					t.Errorf("%q, %v", b, err)
				}
				_ = w.Body.Close()
				for range 1000 {
					if !c.on || closed.Load() == opened.Load() {
						break
					}
					<-time.After(5 * time.Millisecond)
				}
			}
			if opened.Load() != c.opened {
				t.Errorf("HTTP/2 %v, step %d: %d connections, want %d", http2, i, opened.Load(), c.opened)
			}
		}
		e.SetLeaving(false)
	}
}

// endless is an upload that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
