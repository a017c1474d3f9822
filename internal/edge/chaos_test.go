package edge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/internal/farm"
)

// Nodes are killed at random moments, one at a time, while visitors read and write. No GET fails, none has a wrong
// byte, and no POST happens twice.
func TestNodesDieUnderLoad(t *testing.T) {
	const (
		visitors = 8
		kills    = 12
	)
	image, _ := io.ReadAll(pattern(5 * HoldBytes))
	site := &countingSite{image: image, executed: map[string]int{}}
	want := map[string]string{"/": "small", "/page": strings.Repeat("page", 4000), "/image": string(image)}
	network := tcpNetwork{"web1": startNode(t, site), "web2": startNode(t, site), "web3": startNode(t, site)}
	e, srv := startEdge(t, network, Config{}, "web1", "web2", "web3")

	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var gets, posts, failedPosts atomic.Int64
	for v := range visitors {
		all.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				if n%5 == 0 {
					id := strconv.Itoa(v) + "-" + strconv.Itoa(n)
					posts.Add(1)
					if post(srv.Client(), srv.URL, id) != nil {
						failedPosts.Add(1)
					}
					continue
				}
				path := []string{"/", "/page", "/image"}[n%3]
				gets.Add(1)
				if body, err := fetch(srv.Client(), srv.URL+path); err != nil || body != want[path] {
					t.Errorf("GET %s: %d bytes, %v", path, len(body), err)
				}
			}
		})
	}
	ids := []farm.MemberID{"web1", "web2", "web3"}
	for i := range kills {
		id := ids[rand.IntN(len(ids))]
		<-time.After(time.Duration(rand.IntN(50)) * time.Millisecond)
		network[id].kill()
		if i%2 == 0 { // the session is often, not always, the first to know
			e.Link(id, false)
		}
		<-time.After(time.Duration(rand.IntN(100)) * time.Millisecond)
		network[id].start(t)
		e.Link(id, true)
		waitHealthy(t, e, len(ids))
	}
	stop()
	all.Wait()
	for id, n := range site.executed {
		if n > 1 {
			t.Errorf("POST %s happened %d times", id, n)
		}
	}
	t.Logf("%d GETs, %d POSTs of which %d failed with a clear status; %+v", gets.Load(), posts.Load(), failedPosts.Load(), e.Stats())
}

// countingSite has pages of several kinds, and counts POSTs by the id in their body.
type countingSite struct {
	image    []byte
	mu       sync.Mutex
	executed map[string]int
}

func (s *countingSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodPost:
		id, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.executed[string(id)]++
		s.mu.Unlock()
		fmt.Fprintf(w, "did %s", id)
	case r.URL.Path == "/image":
		w.Header().Set("Etag", `"v1"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.image))
	case r.URL.Path == "/page": // written in pieces, as applications do
		for range 20 {
			_, _ = io.WriteString(w, strings.Repeat("page", 200))
			_ = http.NewResponseController(w).Flush()
		}
	default:
		_, _ = io.WriteString(w, "small")
	}
}

func waitHealthy(t *testing.T, e *Edge, n int) {
	t.Helper()
	for deadline := time.After(10 * time.Second); ; {
		v := e.view.Load()
		if healthy(v) == n {
			return
		}
		select {
		case <-v.next:
		case <-deadline:
			t.Fatalf("not healthy again: %+v", e.Stats())
		}
	}
}

func fetch(c *http.Client, url string) (string, error) {
	return readAll(c.Get(url))
}

// post succeeds when the answer names id.
func post(c *http.Client, url, id string) error {
	body, err := readAll(c.Post(url, "text/plain", strings.NewReader(id)))
	if err == nil && body != "did "+id {
		err = fmt.Errorf("answer %q to %s", body, id)
	}
	return err
}

func readAll(w *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	if err == nil && w.StatusCode != 200 {
		err = fmt.Errorf("status %d: %s", w.StatusCode, body)
	}
	return string(body), err
}
