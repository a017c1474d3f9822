package edge

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/config"
)

// headOf is the sorted header lines that a node gets for r, and the request line first.
func headOf(t *testing.T, r *http.Request) []string {
	t.Helper()
	x := exchange{edge: New(Config{}), w: httptest.NewRecorder(), r: r, id: "ID"}
	if !x.admit() {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(x.head), "\r\n\r\n"), "\r\n")
	slices.Sort(lines[1:])
	return lines
}

func TestHeaderThatNodesGet(t *testing.T) {
	request := func(method, target string, body io.Reader, header ...string) *http.Request {
		r := visit(method, target, body)
		r.RemoteAddr = "[::ffff:203.0.113.9]:4711"
		for i := 0; i < len(header); i += 2 {
			r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
		}
		return r
	}
	always := []string{"Host: shop.test", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: shop.test", "X-Forwarded-Proto: http",
		"X-Real-Ip: 203.0.113.9", "X-Request-Id: ID"}
	for _, c := range []struct {
		name string
		r    *http.Request
		line string
		more []string
	}{
		{"plain", request("GET", "/a?b=c", nil, "Accept", "*/*"), "GET /a?b=c HTTP/1.1", []string{"Accept: */*"}},
		{"escapes stay", request("GET", "/a%2Fb%20c?d=%0d%0a", nil), "GET /a%2Fb%20c?d=%0d%0a HTTP/1.1", nil},
		{"absolute form", request("GET", "http://shop.test/a", nil), "GET /a HTTP/1.1", nil},
		{"several of a name", request("GET", "/", nil, "X-A", "1", "X-A", "2"), "GET / HTTP/1.1", []string{"X-A: 1", "X-A: 2"}},
		{"what only the edge may say", request("GET", "/", nil, "X-Forwarded-For", "6.6.6.6", "Forwarded", "for=6.6.6.6", "X-Real-Ip", "6.6.6.6",
			"X-Forwarded-Proto", "https", "X-Request-Id", "forged", "Tandem-Anything", "1", "Proxy", "evil:80", "X-Forwarded-Prefix", "/x"), "GET / HTTP/1.1", nil},
		{"the same with underscores", request("GET", "/", nil, "X_forwarded_for", "6.6.6.6", "X_real-Ip", "6", "Tandem_position", "7"), "GET / HTTP/1.1", nil},
		{"other underscores and dots", request("GET", "/", nil, "Api_key", "1", "X.real.ip", "6"), "GET / HTTP/1.1", nil},
		{"the position", request("GET", "/", nil, "Tandem-Position", "shop:web1.a.1"), "GET / HTTP/1.1", []string{"Tandem-Position: shop:web1.a.1"}},
		{"hop by hop", request("GET", "/", nil, "Connection", "keep-alive, X-Mine", "X-Mine", "1", "Te", "trailers", "Keep-Alive", "5",
			"Proxy-Authorization", "Basic x", "Upgrade", "h2c", "Http2-Settings", "AAA"), "GET / HTTP/1.1",
			[]string{"Connection: TE", "TE: trailers"}},
		{"the edge's own can't be listed away", request("GET", "/", nil, "Connection", "X-Forwarded-For, Host, X-Request-Id"), "GET / HTTP/1.1", nil},
		{"h2c is not passed on", request("GET", "/", nil, "Connection", "Upgrade", "Upgrade", "h2c"), "GET / HTTP/1.1", nil},
		{"websocket is", request("GET", "/", nil, "Connection", "keep-alive, Upgrade", "Upgrade", "WebSocket", "Sec-Websocket-Key", "k"), "GET / HTTP/1.1",
			[]string{"Connection: Upgrade", "Sec-Websocket-Key: k", "Upgrade: websocket"}},
		{"small body", request("POST", "/", strings.NewReader("hello")), "POST / HTTP/1.1", []string{"Content-Length: 5"}},
		{"empty body", request("POST", "/", nil), "POST / HTTP/1.1", []string{"Content-Length: 0"}},
		{"unknown body", request("POST", "/", io.MultiReader()), "POST / HTTP/1.1", []string{"Transfer-Encoding: chunked"}},
		{"expect", request("PUT", "/", strings.NewReader("hello"), "Expect", "100-continue"), "PUT / HTTP/1.1", []string{"Content-Length: 5", "Expect: 100-continue"}},
	} {
		want := append(slices.Clone(always), c.more...)
		slices.Sort(want)
		want = append([]string{c.line}, want...)
		if got := headOf(t, c.r); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, want)
		}
	}
	secure := request("GET", "/", nil)
	secure.TLS = &tls.ConnectionState{}
	if got := headOf(t, secure); !slices.Contains(got, "X-Forwarded-Proto: https") {
		t.Errorf("over TLS: %q", got)
	}
}

// What HTTP/2 lets through and HTTP/1.1 would split in two.
func TestRequestsThatAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
	}{
		"a blank in the query":      {func(r *http.Request) { r.URL.RawQuery = "a HTTP/1.1" }, 400},
		"a line end in the query":   {func(r *http.Request) { r.URL.RawQuery = "a\r\nX: y" }, 400},
		"an opaque target":          {func(r *http.Request) { r.URL.Opaque, r.URL.Scheme = "a/b", "mailto" }, 400},
		"a star that is no OPTIONS": {func(r *http.Request) { r.URL.Path = "*" }, 400},
		"a line end in the method":  {func(r *http.Request) { r.Method = "GET\r\n" }, 400},
		"a line end in a value":     {func(r *http.Request) { r.Header["X-A"] = []string{"a\r\nX-B: c"} }, 400},
		"a line feed in a value":    {func(r *http.Request) { r.Header["X-A"] = []string{"a\nX-B: c"} }, 400},
		"a NUL in a value":          {func(r *http.Request) { r.Header["X-A"] = []string{"a\x00"} }, 400},
		"a line end in a name":      {func(r *http.Request) { r.Header["X-A\r\nX-B"] = []string{"a"} }, 400},
		"a colon in a name":         {func(r *http.Request) { r.Header["X-A:"] = []string{"a"} }, 400},
		"a line end in the host":    {func(r *http.Request) { r.Host = "shop.test\r\nX-A: b" }, 400},
		"no host":                   {func(r *http.Request) { r.Host = "" }, 400},
		"an unknown host":           {func(r *http.Request) { r.Host = "other.test" }, 421},
		"CONNECT":                   {func(r *http.Request) { r.Method = "CONNECT" }, 405},
		"TRACE":                     {func(r *http.Request) { r.Method = "TRACE" }, 405},
		"the nodes' own":            {func(r *http.Request) { r.URL.Path = "/.tandem/secret" }, 404},
		"health by an address":      {func(r *http.Request) { r.URL.Path, r.Host = HealthPath, "192.0.2.20" }, 200},
		"health without a host":     {func(r *http.Request) { r.URL.Path, r.Host = HealthPath, "" }, 200},
	} {
		network := newNetwork()
		e := healthyEdge(network, Config{Site: shopOnly}, "web1")
		r := visit("GET", "/", nil)
		c.change(r)
		if w := get(e, r); w.Code != c.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.status)
		}
		if n := network.dials["web1"]; n != 0 {
			t.Errorf("%s: it went to a node", name)
		}
	}
}

// shopOnly knows no site but shop.test.
func shopOnly(host string) *config.EdgeSite {
	if strings.HasPrefix(host, "shop.test") {
		return &config.EdgeSite{}
	}
	return nil
}

func TestSitesAreAskedForByBareHosts(t *testing.T) {
	for host, want := range map[string]string{
		"shop.test": "shop.test", "SHOP.Test:8443": "shop.test", "shop.test.": "shop.test", "[::1]:80": "::1", "[::1]": "::1", "127.0.0.1:80": "127.0.0.1",
	} {
		if got := bareHost(host); got != want {
			t.Errorf("bareHost(%q) = %q, want %q", host, got, want)
		}
	}
}

// Known shapes of request smuggling, on a real connection: what one visitor sends as one request never becomes two
// requests at a node, and never a request that the server in front did not see.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: shop.test\r\n\r\n"
	post := func(header, body string) string {
		return "POST /outer HTTP/1.1\r\nHost: shop.test\r\n" + header + "\r\n" + body
	}
	for name, in := range map[string]string{
		"CL.TE":                       post("Content-Length: 46\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"+hidden),
		"TE.CL":                       post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "29\r\n"+hidden+"\r\n0\r\n\r\n"),
		"TE.TE":                       post("Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\nContent-Length: 4\r\n", "29\r\n"+hidden+"\r\n0\r\n\r\n"),
		"an encoding with a tab":      post("Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n", "29\r\n"+hidden+"\r\n0\r\n\r\n"),
		"an encoding with a VT":       post("Transfer-Encoding: \x0bchunked\r\nContent-Length: 4\r\n", "29\r\n"+hidden+"\r\n0\r\n\r\n"),
		"xchunked":                    post("Transfer-Encoding: xchunked\r\nContent-Length: 46\r\n", "0\r\n\r\n"+hidden),
		"identity":                    post("Transfer-Encoding: identity\r\nContent-Length: 0\r\n", hidden),
		"a blank before the colon":    post("Transfer-Encoding : chunked\r\nContent-Length: 4\r\n", "29\r\n"+hidden+"\r\n0\r\n\r\n"),
		"a folded line":               post("X-A: b\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", "29\r\n"+hidden),
		"different lengths":           post("Content-Length: 0\r\nContent-Length: 41\r\n", hidden),
		"a list of lengths":           post("Content-Length: 0, 41\r\n", hidden),
		"a signed length":             post("Content-Length: +0\r\n", hidden),
		"a bare line feed":            post("X-A: b\nContent-Length: 41\r\n", hidden),
		"a bare carriage return":      post("X-A: b\rContent-Length: 41\r\n", hidden),
		"a chunk extension":           post("Transfer-Encoding: chunked\r\n", "2;a=\"\r\n29\r\n"+hidden+"\"\r\nab\r\n0\r\n\r\n"),
		"a length listed away":        post("Connection: Content-Length\r\nContent-Length: 41\r\n", hidden),
		"an encoding listed away":     post("Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n", "29\r\n"+hidden+"\r\n0\r\n\r\n"),
		"a GET with a body":           strings.Replace(post("Content-Length: 41\r\n", hidden), "POST", "GET", 1),
		"a length with an underscore": post("Content_Length: 0\r\nContent-Length: 41\r\n", hidden),
		"upgrade to h2c":              "GET /outer HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"two hosts":                   "GET /outer HTTP/1.1\r\nHost: shop.test\r\nHost: other.test\r\n\r\n",
		"a trailer that is a header":  post("Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "0\r\nContent-Length: 41\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			front, behind := smuggle(t, in)
			i := 0
			for _, path := range behind {
				for i < len(front) && front[i] != path {
					i++
				}
				if i == len(front) {
					t.Fatalf("the server in front saw %q, the node %q", front, behind)
				}
				i++
			}
		})
	}
}

// smuggle sends in and another request to an edge and returns the targets that net/http in front and a node behind saw.
func smuggle(t *testing.T, in string) (front, behind []string) {
	var mu sync.Mutex
	var atFront, atNode []string
	network := newNetwork()
	network.set("web1", func(c net.Conn) {
		defer c.Close()
		br := bufio.NewReader(c)
		for {
			r, err := http.ReadRequest(br)
			if err != nil {
				return
			}
			mu.Lock()
			atNode = append(atNode, r.URL.Path)
			mu.Unlock()
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	e := healthyEdge(network, Config{}, "web1")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		atFront = append(atFront, r.URL.Path)
		mu.Unlock()
		e.ServeHTTP(w, r)
	}))
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, in+"GET /end HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // some never end: a body is missing
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
	srv.Close()
	closeIdle(e)
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(atFront), slices.Clone(atNode)
}
