package web

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tandem/internal/farm"
)

// streamingApp answers an upgrade by echoing lines, and anything else by a stream that goes on when next is closed.
func streamingApp(t *testing.T, next chan struct{}) string {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "first\n")
			w.(http.Flusher).Flush()
			<-next
			_, _ = io.WriteString(w, "second\n")
			return
		}
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		fmt.Fprint(conn, strings.ToUpper(line))
	}))
	t.Cleanup(app.Close)
	return app.URL
}

func TestStreamsAndTunnels(t *testing.T) {
	next := make(chan struct{})
	port := freePort(t)
	r := newRig(t, func(c *Config) {
		c.VisitKey = testKey
		c.Consistency = &fakeFolders{rest: everything, barriers: map[farm.FolderID]farm.Position{"blog": pos("web1.a.7"), "shop": {}}}
	})
	r.mustLoad(map[string]string{"a": fmt.Sprintf(`http://a.test:%s {
		bind 127.0.0.1
		log {
			output file %s/log
		}
		read_your_writes
		encode gzip
		reverse_proxy %s
	}`, port, t.TempDir(), streamingApp(t, next))})

	for name, addr := range map[string]string{"front": "127.0.0.1:" + port, "edge": r.edge.Listener.Addr().String()} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "echo" {
			t.Fatalf("%s: %v, %v", name, res, err)
		}
		fmt.Fprint(conn, "hello\n")
		if line, err := in.ReadString('\n'); line != "HELLO\n" {
			t.Errorf("%s: the tunnel says %q, %v", name, line, err)
		}
	}

	// The answer to a write streams, with the position in front of it.
	res, err := http.DefaultTransport.RoundTrip(request(t, "POST", "http://127.0.0.1:"+port, "a.test", "/"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	in := bufio.NewReader(res.Body)
	if line, err := in.ReadString('\n'); line != "first\n" {
		t.Errorf("the stream begins with %q, %v", line, err)
	}
	if v, err := farm.OpenVisit(res.Header.Get(farm.SessionHeader), testKey); v.Wrote.String() != "blog:web1.a.7" || err != nil {
		t.Errorf("position is %q, %v", v, err)
	}
	close(next)
	if line, err := in.ReadString('\n'); line != "second\n" {
		t.Errorf("the stream goes on with %q, %v", line, err)
	}
}
