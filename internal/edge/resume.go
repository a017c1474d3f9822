package edge

import (
	"fmt"
	"net/http"
	"strings"
)

// download is what must be the same when another node goes on with an answer that broke.
type download struct {
	head     string // of the request that was answered so
	total    int64  // bytes
	etag     string // a strong one: equal tags are equal bytes
	encoding string
}

// downloadOf returns nil for an answer that can't be gone on with.
//
// RFC 9110, sections 8.8.3 and 14.
func (x *exchange) downloadOf(a *answer) *download {
	strong := len(a.etag) > len(`""`) && a.etag[0] == '"'
	if x.r.Method != http.MethodGet || a.status != http.StatusOK || a.length <= HoldBytes || !strong || x.load.present() {
		return nil
	}
	if len(x.r.Header["Range"])+len(x.r.Header["If-Range"]) > 0 {
		return nil
	}
	return &download{string(x.head), a.length, a.etag, a.get("Content-Encoding")}
}

// goOn gets the rest of a broken answer from other nodes. Without one that has the same bytes the answer stays broken.
func (t *trip) goOn(cause error) (fate, error) {
	x := t.x
	t.s.node.failures.Add(1)
	t.s.node.wake()
	x.tried.note(t.s, false)
	for x.download != nil && x.r.Context().Err() == nil && x.tries < maxTries {
		s, err := x.choose()
		if err != nil {
			break
		}
		x.tries++
		if f, err := x.goOnAt(s); f == whole || f == gone {
			return f, err
		}
		x.tried.note(s, false)
	}
	return broken, cause
}

// goOnAt asks one node for the bytes that the visitor does not have yet.
func (x *exchange) goOnAt(s *standing) (fate, error) {
	defer x.place.leave()
	d := x.download
	x.head = fmt.Appendf(x.head[:0], "%sRange: bytes=%d-\r\nIf-Range: %s\r\n\r\n", strings.TrimSuffix(d.head, "\r\n"), x.bytes, d.etag)
	t, _, err := x.open(s)
	if err != nil {
		return broken, err
	}
	a := &t.a
	want := fmt.Sprintf("bytes %d-%d/%d", x.bytes, d.total-1, d.total)
	if a.status != http.StatusPartialContent || a.etag != d.etag || a.get("Content-Encoding") != d.encoding ||
		a.get("Content-Range") != want || a.length != d.total-x.bytes {
		t.finish(false)
		return broken, malformed("it does not have the same bytes")
	}
	b := newBody(t.c.br, a, x.r.Method)
	f, err := t.stream(&b)
	t.finish(f == whole)
	return f, err
}
