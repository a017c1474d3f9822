package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// pattern is n bytes, the same every time, of which no two blocks are alike.
func pattern(n int64) io.Reader { return io.LimitReader(&blocks{}, n) }

type blocks struct{ at uint64 }

func (b *blocks) Read(p []byte) (int, error) {
	const size = 8 << 10
	block := bytes.Repeat(binary.BigEndian.AppendUint64(nil, b.at/size), size/8)
	n := copy(p, block[b.at%size:])
	b.at += uint64(n)
	return n, nil
}

func digest(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestUploadAndDownloadOf50MB(t *testing.T) {
	const size = 50 << 20
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.Copy(w, pattern(size))
			return
		}
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%x %d %v", h.Sum(nil), n, err)
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	want := digest(t, pattern(size))
	for name, length := range map[string]int64{"with length": size, "chunked": -1} {
		r, err := http.NewRequest("POST", srv.URL, pattern(size))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		w, err := srv.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(w.Body)
		_ = w.Body.Close()
		if got := string(body); got != fmt.Sprintf("%s %d <nil>", want, size) {
			t.Errorf("upload %s: the node has %q", name, got)
		}
	}
	w, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	if digest(t, w.Body) != want {
		t.Error("the download differs")
	}
}

// A node that answers before it has read the body: the visitor gets the answer, nobody hangs.
func TestAnswerBeforeTheBodyIsRead(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 99999999\r\n\r\nonly this much")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	w, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(w.Body)
	if w.StatusCode != 413 || string(body) != "too large" || err != nil {
		t.Errorf("got %d %q %v", w.StatusCode, body, err)
	}
}

// A visitor whose body comes too slowly is told so: net/http ends the request then, as if the visitor had left.
func TestBodiesThatComeTooSlowly(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))}
	e, _ := startEdge(t, network, Config{}, "web1")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		e.ServeHTTP(w, r)
	}))
	defer srv.Close()
	for _, head := range []string{"Content-Length: 100", "Content-Length: 99999999", "Transfer-Encoding: chunked"} {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.test\r\n"+head+"\r\n\r\n5\r\nhello\r\n")
		w, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || w.StatusCode != http.StatusRequestTimeout {
			t.Errorf("%s: %v, %v", head, w, err)
		}
		_ = c.Close()
	}
}

func TestBothDirectionsAtOnce(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		_ = rc.EnableFullDuplex()
		_ = rc.Flush()
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			_, _ = io.WriteString(w, strings.ToUpper(lines.Text())+"\n")
			_ = rc.Flush()
		}
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	body, visitor := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", srv.URL, body)
	if err != nil {
		t.Fatal(err)
	}
	w, err := srv.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	lines := bufio.NewScanner(w.Body)
	for _, word := range []string{"one", "two", "three"} {
		_, _ = io.WriteString(visitor, word+"\n")
		if !lines.Scan() || lines.Text() != strings.ToUpper(word) {
			t.Fatalf("got %q, %v", lines.Text(), lines.Err())
		}
	}
	_ = visitor.Close()
	if lines.Scan() {
		t.Errorf("more came: %q", lines.Text())
	}
}

func TestServerSentEvents(t *testing.T) {
	next := make(chan string)
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		for ev := range next {
			fmt.Fprintf(w, "data: %s\n\n", ev)
			_ = http.NewResponseController(w).Flush()
		}
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	w, err := srv.Client().Get(srv.URL) // returns although no event has come
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	lines := bufio.NewScanner(w.Body)
	for _, ev := range []string{"a", "b", "c"} {
		next <- ev
		if !lines.Scan() || lines.Text() != "data: "+ev {
			t.Fatalf("got %q", lines.Text())
		}
		lines.Scan()
	}
	close(next)
}

// Any other answer that comes in pieces is held for HoldTime at most.
func TestSlowPages(t *testing.T) {
	finish := make(chan bool)
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "begin ")
		_ = http.NewResponseController(w).Flush()
		<-finish
		_, _ = io.WriteString(w, "end")
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	w, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Body.Close()
	first := make([]byte, 6)
	_, err = io.ReadFull(w.Body, first)
	close(finish)
	rest, _ := io.ReadAll(w.Body)
	if string(first) != "begin " || string(rest) != "end" || err != nil {
		t.Errorf("got %q, then %q, %v", first, rest, err)
	}
}

func TestEarlyHints(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.WriteString(w, "page")
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
	all, _ := io.ReadAll(c)
	if got := string(all); !strings.HasPrefix(got, "HTTP/1.1 103 Early Hints\r\n") || strings.Count(got, "preload") != 1 || !strings.HasSuffix(got, "page") {
		t.Errorf("got %q", got)
	}
}

func TestExpectContinue(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	for path, want := range map[string]string{"/yes": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", "/no": "HTTP/1.1 403 Forbidden\r\n"} {
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		br := bufio.NewReader(c)
		line, _ := br.Peek(12)
		if string(line) == "HTTP/1.1 100" {
			_, _ = io.WriteString(c, "hello")
		}
		all, _ := io.ReadAll(br)
		if !strings.HasPrefix(string(all), want) || path == "/yes" && !strings.HasSuffix(string(all), "5") {
			t.Errorf("%s: got %q", path, all)
		}
		_ = c.Close()
	}
}

// A visitor that leaves is noticed by the node.
func TestVisitorLeaves(t *testing.T) {
	began, left := make(chan bool), make(chan bool)
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		close(began)
		<-r.Context().Done()
		close(left)
	}))}
	_, srv := startEdge(t, network, Config{}, "web1")
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "POST", srv.URL, strings.NewReader("x"))
	done := make(chan error)
	go func() {
		w, err := srv.Client().Do(r)
		if err == nil {
			_ = w.Body.Close()
		}
		done <- err
	}()
	<-began
	cancel()
	<-left
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the visitor got %v", err)
	}
}

// A visitor that breaks off an upload: the node must not take the part for the whole.
func TestVisitorBreaksOffUpload(t *testing.T) {
	for _, framing := range []string{"Content-Length: 100000", "Transfer-Encoding: chunked"} {
		got := make(chan error, 1)
		network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.Copy(io.Discard, r.Body)
			got <- err
		}))}
		_, srv := startEdge(t, network, Config{}, "web1")
		c, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: shop.test\r\n"+framing+"\r\n\r\n5\r\nhello\r\n")
		_ = c.Close()
		if err := <-got; err == nil {
			t.Errorf("%s: the node took a broken upload for a whole one", framing)
		}
	}
}

func TestConnectionsAreReused(t *testing.T) {
	network := newNetwork()
	network.set("web1", serving(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		switch r.URL.Path {
		case "/chunked":
			_, _ = io.WriteString(w, "a")
			_ = http.NewResponseController(w).Flush()
			_, _ = io.WriteString(w, "b")
		case "/large":
			_, _ = io.Copy(w, pattern(3*HoldBytes))
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			_, _ = io.WriteString(w, "ok")
		}
	}))
	e := healthyEdge(network, Config{}, "web1")
	defer closeIdle(e)
	for _, path := range []string{"/", "/chunked", "/large", "/none", "/"} {
		get(e, visit("GET", path, nil))
		get(e, visit("HEAD", path, nil))
		get(e, visit("POST", path, strings.NewReader("small")))
		get(e, visit("POST", path, bytes.NewReader(make([]byte, 3*inlineBytes))))
		get(e, visit("POST", path, bytes.NewReader(make([]byte, 2*KeptBodyBytes))))
		get(e, visit("POST", path, io.MultiReader(strings.NewReader("chunked"))))
	}
	if n := network.dials["web1"]; n != 1 {
		t.Errorf("%d connections for requests one after the other", n)
	}
}

func TestHideNode(t *testing.T) {
	network := newNetwork()
	network.set("web1", named("web1"))
	e := healthyEdge(network, Config{Limits: Limits{HideNode: true}}, "web1")
	defer closeIdle(e)
	if w := get(e, visit("GET", "/", nil)); w.Header().Get(NodeHeader) != "" || w.Code != 200 {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
}

// What a node sends behind the chunks reaches the visitor there, whether the answer is short or long, but nothing that is about the
// message itself.
// TestStatusOnly: a gRPC call that fails is answered by a header alone, though its node ends the empty body later. With a length
// the header ends the stream; an empty frame after it would be no end that gRPC knows.
func TestStatusOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		network.set("web1", serving(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Grpc-Status", "5")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(HoldTime / 2)
		}))
		e := healthyEdge(network, Config{}, "web1")
		defer closeIdle(e)
		w := get(e, visit("POST", "/", strings.NewReader("q")))
		if w.Flushed || w.Header().Get("Content-Length") != "0" || w.Header().Get("Grpc-Status") != "5" {
			t.Errorf("flushed %v, header %v", w.Flushed, w.Header())
		}
	})
}

func TestTrailers(t *testing.T) {
	for _, size := range []int{5, 2 * HoldBytes} {
		network := newNetwork()
		var te string
		network.set("web1", serving(func(w http.ResponseWriter, r *http.Request) {
			te = r.Header.Get("Te")
			w.Header().Set("Trailer", "Grpc-Status, X-Late")
			_, _ = io.WriteString(w, strings.Repeat("x", size))
			w.Header().Set("Grpc-Status", "0")
			w.Header().Set("X-Late", "yes")
			w.Header().Set(http.TrailerPrefix+"Set-Cookie", "a=b")
		}))
		e := healthyEdge(network, Config{}, "web1")
		for _, two := range []bool{false, true} {
			srv := httptest.NewUnstartedServer(e)
			srv.EnableHTTP2 = two
			srv.StartTLS()
			r, err := http.NewRequest("POST", srv.URL, strings.NewReader("q"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Te", "trailers")
			w, err := srv.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(w.Body)
			_ = w.Body.Close()
			if len(body) != size || err != nil || w.Trailer.Get("Grpc-Status") != "0" || w.Trailer.Get("X-Late") != "yes" || w.Trailer.Get("Set-Cookie") != "" || te != "trailers" {
				t.Errorf("%s: %d bytes, %v, trailer %v, te %q", w.Proto, len(body), err, w.Trailer, te)
			}
			srv.Close()
		}
		closeIdle(e)
	}
}
