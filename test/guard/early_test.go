package guard

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/edge"
)

// TestEarlyAnswer: a node answers without having read the body, as for an upload that it refuses. What the visitor sends of the
// body after that must not be taken for another request.
func TestEarlyAnswer(t *testing.T) {
	const sent, total, pause = 70_000, 100_000, 200 * time.Millisecond
	for name, c := range map[string]struct{ header, first, rest string }{
		"length": {fmt.Sprintf("Content-Length: %d\r\n", total), strings.Repeat("x", sent), strings.Repeat("y", total-sent-len(hidden)) + hidden},
		"chunks": {"Transfer-Encoding: chunked\r\n", "ffff\r\n" + strings.Repeat("x", 60_000), "\r\n" + hidden},
	} {
		t.Run(name, func(t *testing.T) {
			node, paths := startEarly(t)
			visitor := dial(t, startEdge(t, node).plain)
			br := bufio.NewReader(visitor)
			_ = visitor.SetReadDeadline(time.Now().Add(waitTime))
			_, _ = io.WriteString(visitor, post(c.header, c.first))
			answer, err := http.ReadResponse(br, nil)
			if err != nil || answer.StatusCode != http.StatusRequestEntityTooLarge {
				t.Fatalf("got %v, %v", answer, err)
			}
			if !answer.Close {
				t.Error("the connection is to be used again")
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			<-time.After(pause) // until the edge has given the body up
			_, _ = io.WriteString(visitor, c.rest+follower)
			_ = visitor.SetReadDeadline(time.Now().Add(waitTime))
			after, _ := io.ReadAll(br)
			if got := paths(); len(after) > 0 || len(got) != 1 {
				t.Errorf("the node got %q, and the visitor another answer: %.100q", got, after)
			}
		})
	}
}

// startEarly is a node that answers each request at its header's end. It gives the paths of those that it got.
func startEarly(t *testing.T) (net.Addr, func() []string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var paths []string
	serve := func(c net.Conn) {
		defer c.Close()
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			status := "200 OK"
			if r.URL.Path != edge.HealthPath {
				mu.Lock()
				paths = append(paths, r.URL.Path)
				mu.Unlock()
				status = "413 Content Too Large"
			}
			_, _ = io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\n\r\n")
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
		}
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		all.Wait()
	})
	return ln.Addr(), func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), paths...)
	}
}

func dial(t *testing.T, to net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial(to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}
