package edge

import (
	"bufio"
	"bytes"
	"cmp"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzRequest: whatever net/http takes for a request, a node gets as one request or not at all, and no line of it means
// something else to a reader who takes bare line feeds or carriage returns for line ends.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET /a?b=c HTTP/1.1\r\nHost: shop.test\r\nX-A: b\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: shop.test:80\r\nContent-Length: 5\r\nConnection: X-A, close\r\nX-A: 1\r\n\r\nhello",
		"PUT http://user@shop.test/%0d%0a HTTP/1.1\nHost: other.test\nTransfer-Encoding: chunked\nX_B: c\n\n0\r\n\r\n",
		"OPTIONS * HTTP/1.1\r\nHost: [::1]:80\r\nCookie: Tandem-Position=x; a=b\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
	} {
		f.Add(s)
	}
	e := New(Config{})
	f.Fuzz(func(t *testing.T, in string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(in)))
		if err != nil {
			return
		}
		r.RemoteAddr = "192.0.2.7:4711"
		x := exchange{edge: e, w: httptest.NewRecorder(), r: r, id: "ID"}
		if !x.admit() {
			return
		}
		head := x.head
		for line := range bytes.SplitSeq(bytes.TrimSuffix(head, []byte("\r\n\r\n")), []byte("\r\n")) {
			if bytes.ContainsAny(line, "\r\n\x00") || len(line) == 0 || line[0] == ' ' || line[0] == '\t' {
				t.Fatalf("line %q", line)
			}
		}
		br := bufio.NewReader(bytes.NewReader(head))
		again, err := http.ReadRequest(br)
		if err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		if again.Method != r.Method || again.URL.Path != cmp.Or(r.URL.Path, "/") || again.URL.RawQuery != r.URL.RawQuery || again.Host != r.Host || br.Buffered() > 0 {
			t.Fatalf("%q became %q", in, head)
		}
		if len(again.TransferEncoding) > 0 && again.Header.Get("Content-Length") != "" {
			t.Fatalf("%q has a length and chunks", head)
		}
	})
}
