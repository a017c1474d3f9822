package edge

import (
	"bytes"
	"context"
	"fmt"
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

// A download that breaks goes on at another node if, and only if, that one has the same bytes.
func TestDownloadsGoOn(t *testing.T) {
	content, err := io.ReadAll(pattern(10 * HoldBytes))
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Repeat([]byte("x"), len(content))
	breaksAfter := func(n int, header string) func(net.Conn, *http.Request) {
		return func(c net.Conn, _ *http.Request) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n", len(content), header)
			_, _ = c.Write(content[:n])
		}
	}
	good := func(etag string, content []byte) func(net.Conn) {
		return serving(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", etag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		})
	}
	for _, c := range []struct {
		name   string
		first  func(net.Conn, *http.Request)
		second func(net.Conn)
		header []string
		whole  bool
	}{
		{"the same", breaksAfter(5*HoldBytes, "Etag: \"v1\"\r\n"), good(`"v1"`, content), nil, true},
		{"the same, broken at the last byte", breaksAfter(len(content)-1, "Etag: \"v1\"\r\n"), good(`"v1"`, content), nil, true},
		{"another version", breaksAfter(5*HoldBytes, "Etag: \"v1\"\r\n"), good(`"v2"`, other), nil, false},
		{"another length", breaksAfter(5*HoldBytes, "Etag: \"v1\"\r\n"), good(`"v1"`, content[:6*HoldBytes]), nil, false},
		{"a weak tag", breaksAfter(5*HoldBytes, "Etag: W/\"v1\"\r\n"), good(`W/"v1"`, content), nil, false},
		{"no tag", breaksAfter(5*HoldBytes, ""), good(`"v1"`, content), nil, false},
		{"another encoding", breaksAfter(5*HoldBytes, "Etag: \"v1\"\r\nContent-Encoding: br\r\n"), good(`"v1"`, content), nil, false},
		{"a part was asked for", breaksAfter(5*HoldBytes, "Etag: \"v1\"\r\n"), good(`"v1"`, content), []string{"Range", "bytes=1-"}, false},
		{"nobody else", breaksAfter(5*HoldBytes, "Etag: \"v1\"\r\n"), nil, nil, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			seen := 0
			network := newNetwork()
			network.set("web1", scripted(&seen, &mu, c.first))
			network.set("web2", c.second)
			e := healthyEdge(network, Config{}, "web1", "web2")
			defer closeIdle(e)
			onlyFirst(e, "web1")
			r := visit("GET", "/", nil)
			if c.header != nil {
				r.Header.Set(c.header[0], c.header[1])
			}
			w, aborted := getAborted(e, r)
			got := w.body.String()
			if aborted == c.whole || c.whole && got != string(content) || !strings.HasPrefix(string(content), got) {
				t.Errorf("%s: aborted %v with %d of %d bytes, seen by the first %d times", c.name, aborted, len(got), len(content), seen)
			}
		})
	}
}

// It may break again and again.
func TestDownloadsGoOnMoreThanOnce(t *testing.T) {
	content, _ := io.ReadAll(pattern(10 * HoldBytes))
	network := newNetwork()
	for _, id := range []farm.MemberID{"web1", "web2", "web3"} {
		network.set(id, serving(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"v1"`)
			if id != "web3" {
				w = &cutShort{ResponseWriter: w, left: 3 * HoldBytes}
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
		}))
	}
	e := healthyEdge(network, Config{}, "web1", "web2", "web3")
	defer closeIdle(e)
	onlyFirst(e, "web1")
	w, aborted := getAborted(e, visit("GET", "/", nil))
	if aborted || w.body.String() != string(content) {
		t.Errorf("aborted %v with %d of %d bytes", aborted, w.body.Len(), len(content))
	}
}

// cutShort breaks the connection after some bytes.
type cutShort struct {
	http.ResponseWriter
	left int
}

func (w *cutShort) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return w.ResponseWriter.Write(p)
}

// A machine that is gone says nothing any more. What it was sending goes on elsewhere, once it is clear that it is not just the session.
func TestDownloadsGoOnWhenANodeIsSilent(t *testing.T) {
	content, err := io.ReadAll(pattern(10 * HoldBytes))
	if err != nil {
		t.Fatal(err)
	}
	for _, alive := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			network := newNetwork()
			for _, id := range []farm.MemberID{"web1", "web2"} {
				network.set(id, serving(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Etag", `"v1"`)
					if id == "web1" {
						w = &silentAfter{ResponseWriter: w, left: 3 * HoldBytes, r: r, pause: 20 * time.Second}
					}
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
				}))
			}
			e := healthyEdge(network, Config{}, "web1", "web2")
			onlyFirst(e, "web1")
			ctx, stop := context.WithCancel(t.Context())
			var run sync.WaitGroup
			run.Go(func() { _ = e.Run(ctx) })
			defer run.Wait()
			defer stop()
			began := time.Now()
			go func() {
				<-time.After(time.Second)
				if !alive {
					network.set("web1", nil)
				}
				e.Link("web1", false)
				e.Link("web2", true)
			}()
			w, aborted := getAborted(e, visit("GET", "/", nil))
			took := time.Since(began)
			if aborted || w.body.String() != string(content) || (took > time.Second+deadTime+2*ProbeInterval) != alive {
				t.Errorf("alive %v: aborted %v with %d of %d bytes after %s", alive, aborted, w.body.Len(), len(content), took)
			}
		})
	}
}

// silentAfter pauses after some bytes, once.
type silentAfter struct {
	http.ResponseWriter
	left  int
	r     *http.Request
	pause time.Duration
}

func (w *silentAfter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 && w.pause > 0 {
		select {
		case <-time.After(w.pause):
		case <-w.r.Context().Done():
		}
		w.pause = 0
	}
	return w.ResponseWriter.Write(p)
}
