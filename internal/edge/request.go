package edge

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"tandem/internal/farm"
)

// KeptBodyBytes is the size up to which a request's body is read before a node is chosen, unless it is said otherwise: a slow
// visitor then costs no node a connection, and the request can be sent again if no node has seen it.
const KeptBodyBytes = 64 << 10

const usualHeadBytes = 1 << 10

// payload is a request's body.
type payload struct {
	kept   []byte // the whole, when it is small
	stream bool   // else it is passed on as it comes
	length int64  // bytes; -1: unknown
	expect bool   // the visitor sends it only when the node says 100 Continue
	begun  bool   // some of a stream was read: it can't be sent again

	ended atomic.Bool // a stream was read to its end
}

// present tells whether there is a body.
func (p *payload) present() bool { return p.stream || len(p.kept) > 0 }

// endsConnection tells whether an HTTP/1.1 connection must not carry another request after an answer that begins now: of a body
// that has not come whole, the rest would be taken for one. Nor may it after chunks: net/http does not tell whether there
// was a length too, by which another server before this one may have seen another request in what follows.
//
// RFC 9112, sections 6.1 and 9.3.
func (x *exchange) endsConnection() bool {
	return x.load.stream && x.r.ProtoMajor == 1 && (x.load.length < 0 || !x.load.ended.Load())
}

// admit checks the request, prepares what is sent to a node, and tells whether to send it. If not, it has answered.
func (x *exchange) admit() bool {
	r := x.r
	x.recognise()
	host := bareHost(r.Host)
	x.site, x.options = x.edge.siteOf(host)
	switch {
	case r.Method == http.MethodConnect || r.Method == http.MethodTrace:
		return x.refuse(http.StatusMethodNotAllowed, "this method is not served here")
	case strings.HasPrefix(r.URL.Path, "/.tandem/"): // whatever the host: a balancer before the edge may name none
		return x.serveOwn()
	case !isHost(r.Host) || host == "" || r.URL.Scheme != "" && r.URL.Host == "":
		return x.refuse(http.StatusBadRequest, "the request names no host")
	case x.site == nil:
		return x.refuse(http.StatusMisdirectedRequest, "there is no site of this name here")
	case x.options.Passes() && r.TLS != nil: // a browser reuses the connection for another name of its certificate
		return x.refuse(http.StatusMisdirectedRequest, "this host is not served on this connection")
	case !x.allow():
		return false
	}
	if m := x.options.Maintenance; m != nil && !m.Lets(x.address()) {
		return x.closed(m)
	}
	x.safe = r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
	x.want, x.proven = x.edge.wanted(r)
	if status, err := x.takeBody(); err != nil {
		return x.refuse(status, err.Error())
	}
	x.upgrade = wantsUpgrade(r, &x.load)
	if x.recall() {
		return false
	}
	if err := x.writeHead(); err != nil {
		return x.refuse(http.StatusBadRequest, err.Error())
	}
	return true
}

// serveOwn answers what is under /.tandem/, which is never a site's: the edge's own health, for a balancer before it.
func (x *exchange) serveOwn() bool {
	if x.r.URL.Path != HealthPath {
		return x.refuse(http.StatusNotFound, "there is nothing here")
	}
	if x.edge.drains.Load() {
		return x.refuse(http.StatusServiceUnavailable, "this edge drains")
	}
	if len(x.edge.view.Load().tiers) == 0 {
		return x.refuse(http.StatusServiceUnavailable, "no node takes visitors")
	}
	x.status = http.StatusOK
	x.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	x.w.Header().Set("Cache-Control", "no-store")
	_, _ = io.WriteString(x.w, "ok\n")
	return false
}

// takeBody reads a small body. The status is that of the answer when it fails.
func (x *exchange) takeBody() (status int, err error) {
	r := x.r
	x.load.length = r.ContentLength
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		x.load.length = 0
		return 0, nil
	}
	x.load.expect = strings.EqualFold(r.Header.Get("Expect"), "100-continue")
	if x.load.expect || r.ContentLength < 0 || r.ContentLength > x.keepBody() {
		x.load.stream = true
		return 0, nil
	}
	if x.load.kept, err = readLength(r.Body, r.ContentLength); err != nil {
		return bodyStatus(err), errors.New("the request's body did not arrive whole")
	}
	return 0, nil
}

// keepBody is the size in bytes up to which a body is read before a node is chosen.
func (x *exchange) keepBody() int64 {
	return cmp.Or(int64(x.options.KeepBody), x.edge.limits.Load().KeepBody)
}

// readLength reads length bytes. A long body gets memory as it comes, not as it is announced.
func readLength(from io.Reader, length int64) ([]byte, error) {
	if length <= KeptBodyBytes {
		p := make([]byte, length)
		_, err := io.ReadFull(from, p)
		return p, err
	}
	var b bytes.Buffer
	_, err := io.CopyN(&b, from, length)
	return b.Bytes(), err
}

// bodyStatus is the status for a request whose body could not be read.
func bodyStatus(err error) int {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	if isTimeout(err) {
		return http.StatusRequestTimeout
	}
	return http.StatusBadRequest
}

// wantsUpgrade is the protocol that the visitor wants to switch to. Only WebSocket is passed on: "h2c" would let a
// visitor speak past the edge.
func wantsUpgrade(r *http.Request, load *payload) string {
	if r.ProtoMajor != 1 || load.present() || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return ""
	}
	for _, v := range r.Header["Connection"] {
		if slices.ContainsFunc(appendTokens(nil, v), func(t string) bool { return strings.EqualFold(t, "upgrade") }) {
			return "websocket"
		}
	}
	return ""
}

// writeHead writes the request line and header as every node gets them, anew from the parsed request: nothing of the
// visitor's own framing is passed on.
func (x *exchange) writeHead() error {
	r, uri := x.r, x.r.URL.RequestURI()
	if uri[0] != '/' && (uri != "*" || r.Method != http.MethodOptions) || !isURI(uri) || !isToken(r.Method) {
		return farm.Errorf("request", "", farm.Invalid, "the request line is malformed")
	}
	b := append(make([]byte, 0, usualHeadBytes), r.Method...)
	b = append(b, ' ')
	b = append(b, uri...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", r.Host)
	var listed []string
	for _, v := range r.Header["Connection"] {
		listed = appendTokens(listed, v)
	}
	for name, values := range r.Header {
		if hopByHop(name) || edgeOwns(name) || name == "Content-Length" || name == "Expect" || listedIn(listed, name) || x.fill.drops(name) {
			continue
		}
		for _, v := range values {
			if !isToken(name) || !isFieldValue(v) {
				return farm.Errorf("request", "", farm.Invalid, "a header line is malformed")
			}
			b = appendField(b, name, v)
		}
	}
	x.head = append(x.appendOurs(b), "\r\n"...)
	return nil
}

// acceptsTrailers tells whether the visitor takes fields behind the answer's body; gRPC must have them.
func acceptsTrailers(r *http.Request) bool {
	for _, v := range r.Header["Te"] {
		if slices.ContainsFunc(appendTokens(nil, v), func(t string) bool { return strings.EqualFold(t, "trailers") }) {
			return true
		}
	}
	return false
}

// appendOurs adds the fields that only the edge may set: about the visitor, and about the body.
func (x *exchange) appendOurs(b []byte) []byte {
	r := x.r
	b = x.appendClient(b)
	b = appendField(b, "X-Request-Id", x.id)
	if acceptsTrailers(r) {
		b = append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	b = x.fill.ask(b)
	if x.upgrade != "" {
		b = append(b, "Connection: Upgrade\r\nUpgrade: "...)
		b = append(append(b, x.upgrade...), "\r\n"...)
	}
	switch {
	case x.load.stream && x.load.length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case x.load.present() || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, x.load.length, 10), "\r\n"...)
	}
	if x.load.expect {
		b = append(b, "Expect: 100-continue\r\n"...)
	}
	return b
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// hopByHop tells whether a field is about one connection only. Trailers are not passed on, so neither is their
// announcement.
//
// RFC 9110, section 7.6.1.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Te", "Trailer",
		"Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// edgeOwns tells whether a field of a request is dropped because only the edge may set it, or because a CGI program
// would take it for another: it sees no difference between X_Real_Ip, X.Real.Ip and X-Real-Ip, nor between Proxy and its
// own HTTP_PROXY.
func edgeOwns(name string) bool {
	switch name {
	case "Forwarded", "X-Real-Ip", "X-Request-Id", "Proxy":
		return true
	case farm.SessionHeader:
		return false
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "Tandem-") || strings.ContainsAny(name, "_.")
}

func listedIn(listed []string, name string) bool {
	return slices.ContainsFunc(listed, func(t string) bool { return strings.EqualFold(t, name) })
}

// appendTokens adds the elements of a comma-separated list.
func appendTokens(to []string, list string) []string {
	for t := range strings.SplitSeq(list, ",") {
		if t = strings.Trim(t, " \t"); t != "" {
			to = append(to, t)
		}
	}
	return to
}

// bareHost is the host in lower case, without port and final dot.
func bareHost(host string) string {
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// isURI tells whether s can stand in a request line or as a host: no space and no control character, with which one
// request could be made two.
func isURI(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f {
			return false
		}
	}
	return s != ""
}

// isHost tells whether s can be a Host field: a name or an address, and perhaps a port.
func isHost(s string) bool {
	name := s
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		name = s[:i]
		for _, c := range []byte(s[i+1:]) {
			if c < '0' || c > '9' {
				return false
			}
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		_, err := netip.ParseAddr(inner)
		return ok && err == nil
	}
	for i := range len(name) {
		if !tokenBytes[name[i]] {
			return false
		}
	}
	return name != ""
}

// isFieldValue tells whether s can stand in a header line.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}

// isToken tells whether s can be a method or the name of a field (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

var tokenBytes = func() (is [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		is[c] = true
	}
	return is
}()

// newRequestID is 64 random bits in hexadecimal.
func newRequestID() string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i, n := 0, rand.Uint64(); i < len(b); i, n = i+1, n>>4 {
		b[i] = digits[n&15]
	}
	return string(b[:])
}
