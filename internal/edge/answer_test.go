package edge

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// wireConn is a conn on which in has arrived, and then its end.
func wireConn(in string) *conn {
	c := &conn{}
	c.br = bufio.NewReaderSize(strings.NewReader(in), readBufferBytes)
	return c
}

// readWhole reads an answer with its body.
func readWhole(in, method string) (answer, string, error) {
	c := wireConn(in)
	a, err := c.readAnswer(method)
	if err != nil {
		return a, "", err
	}
	var all bytes.Buffer
	b := newBody(c.br, &a, method)
	for {
		p, err := b.peek()
		if err == io.EOF {
			return a, all.String(), nil
		}
		if err != nil {
			return a, all.String(), err
		}
		n := 1 + len(p)/2 // in pieces
		all.Write(p[:min(n, len(p))])
		b.advance(min(n, len(p)))
	}
}

func TestAnswersThatAreTaken(t *testing.T) {
	for _, c := range []struct {
		name, in, method string
		status           int
		fields           []field
		body             string
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", "GET", 200, []field{{"X-A", "b"}}, "hello"},
		{"no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", "GET", 200, nil, ""},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n", "GET", 200, nil, "helloabcdefghijklmnopqrstuvwxyz"},
		{"trailers are no part of the body", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\nTrailer: X-T\r\n\r\n1\r\na\r\n0\r\nX-T: v\r\n\r\n", "GET", 200, nil, "a"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 200, nil, ""},
		{"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: \"x\"\r\n\r\n", "GET", 304, []field{{"Etag", `"x"`}}, ""},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", "POST", 204, nil, ""},
		{"hop by hop", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: 5\r\nX-Yours: 2\r\n\r\n", "GET", 200, []field{{"X-Yours", "2"}}, ""},
		{"several of a name", "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nContent-Length: 0\r\nset-cookie: b\r\n\r\n", "GET", 200, []field{{"Set-Cookie", "a"}, {"Set-Cookie", "b"}}, ""},
		{"empty value and blanks", "HTTP/1.1 200 OK\r\nX-A:\r\nX-B: \t v \t\r\nContent-Length:0\r\n\r\n", "GET", 200, []field{{"X-A", ""}, {"X-B", "v"}}, ""},
		{"a header larger than the buffer", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: " + strings.Repeat("v", 2*readBufferBytes) + "\r\n\r\nz", "GET", 200, []field{{"X-A", strings.Repeat("v", 2*readBufferBytes)}}, "z"},
	} {
		a, body, err := readWhole(c.in, c.method)
		if err != nil || a.status != c.status || body != c.body || !slices.Equal(a.fields, c.fields) {
			t.Errorf("%s: %d %.100v %.50q %v", c.name, a.status, a.fields, body, err)
		}
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, in := range map[string]string{
		"nothing":                      "",
		"half a header":                ok + "X-A: b\r\n",
		"another protocol":             "SSH-2.0-OpenSSH\r\n\r\n",
		"HTTP/1.0":                     "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"four digits":                  "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
		"two digits":                   "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
		"a signed status":              "HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n",
		"bare line feeds":              "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"a bare line feed":             ok + "X-A: b\nContent-Length: 0\r\n\r\n",
		"a bare carriage return":       ok + "X-A: b\rX-B: c\r\nContent-Length: 0\r\n\r\n",
		"a folded line":                ok + "X-A: b\r\n c\r\nContent-Length: 0\r\n\r\n",
		"a blank before the colon":     ok + "Content-Length : 0\r\n\r\n",
		"no colon":                     ok + "Content-Length\r\n\r\n",
		"a NUL":                        ok + "X-A: b\x00\r\nContent-Length: 0\r\n\r\n",
		"two lengths":                  ok + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"a list of lengths":            ok + "Content-Length: 3, 3\r\n\r\nabc",
		"a signed length":              ok + "Content-Length: +3\r\n\r\nabc",
		"a negative length":            ok + "Content-Length: -3\r\n\r\nabc",
		"a hexadecimal length":         ok + "Content-Length: 0x3\r\n\r\nabc",
		"an empty length":              ok + "Content-Length:\r\n\r\n",
		"a huge length":                ok + "Content-Length: 99999999999999999999\r\n\r\n",
		"length and chunks":            ok + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"an unknown encoding":          ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"two encodings":                ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"xchunked":                     ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
		"neither length nor chunks":    ok + "\r\nhello",
		"a short body":                 ok + "Content-Length: 9\r\n\r\nhello",
		"chunks without an end":        ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"half a chunk":                 ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
		"a chunk longer than its size": ok + "Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
		"a chunk extension":            ok + "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
		"a chunk size with a sign":     ok + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
		"an empty chunk size":          ok + "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n",
		"a huge chunk size":            ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nhello",
		"chunks with bare line feeds":  ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
		"an endless chunk line":        ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("0", 2*readBufferBytes),
		"an endless trailer":           ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n" + strings.Repeat("X-T: v\r\n", 4096),
		"an endless header":            ok + strings.Repeat("X-A: v\r\n", maxAnswerHeadBytes),
	} {
		if a, body, err := readWhole(in, "GET"); err == nil {
			t.Errorf("%s: taken as %d %v %q", name, a.status, a.fields, body)
		}
	}
}

func TestBodyGoesOnAfterATimeout(t *testing.T) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n0123\r\n6\r\n456789\r\n0\r\nX-T: v\r\n\r\n",
	} {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			for i := range len(in) { // each byte in a packet of its own
				_, _ = theirs.Write([]byte{in[i]})
			}
		}()
		c := newConn(ours)
		a, err := c.readAnswer("GET")
		if err != nil {
			t.Fatal(err)
		}
		b, got, timeouts := newBody(c.br, &a, "GET"), "", 0
		for err != io.EOF {
			var p []byte
			if timeouts%2 == 0 && !b.atHand() {
				c.readBy(aLongTimeAgo)
			}
			p, err = b.peek()
			c.readBy(time.Time{})
			switch {
			case isTimeout(err):
				timeouts++
				_, err = c.br.Peek(c.br.Buffered() + 1)
				if err == io.EOF {
					err = nil
				}
			case err == nil:
				got += string(p)
				b.advance(len(p))
			}
		}
		if got != "0123456789" || timeouts == 0 {
			t.Errorf("got %q after %d timeouts", got, timeouts)
		}
		_ = ours.Close()
	}
}

// Whatever is taken, net/http takes as the same. It takes more: see TestAnswersThatAreRefused.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello", false)
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\nX-T: v\r\n\r\n", false)
	f.Add("HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\n", true)
	f.Fuzz(func(t *testing.T, in string, head bool) {
		method := http.MethodGet
		if head {
			method = http.MethodHead
		}
		a, body, err := readWhole(in, method)
		if err != nil || a.status < 200 {
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(in)), &http.Request{Method: method})
		if err != nil {
			t.Fatalf("net/http refuses %q: %v", in, err)
		}
		all, err := io.ReadAll(r.Body)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // it does not read trailers as leniently
			if !strings.Contains(err.Error(), "trailer") && !strings.Contains(err.Error(), "MIME") {
				t.Fatalf("net/http refuses the body of %q: %v", in, err)
			}
		}
		if r.StatusCode != a.status || string(all) != body {
			t.Fatalf("%q: %d %q, net/http has %d %q", in, a.status, body, r.StatusCode, all)
		}
		for _, f := range a.fields {
			if !slices.Contains(r.Header[f.name], f.value) {
				t.Fatalf("%q: field %v, net/http has %v", in, f, r.Header)
			}
		}
	})
}
