package shell

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// guarded serves a request of a front that Caddy's pipeline is not for, and cuts it off when its visitor sends too little
// of the body or takes nothing of the answer for StallTime. Where the kernel sees to the answers (see stallGuard), only
// streams of HTTP/2 and 3 need it: a visitor may leave one unread on a connection that lives. A stream of gRPC may rest for
// as long as both ends like.
func guarded(h http.Handler, w http.ResponseWriter, r *http.Request, l Limits) {
	reads := r.Body != nil && r.Body != http.NoBody && !strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
	writes := r.ProtoMajor >= 2 || plainWriteIdle > 0
	if !reads && !writes {
		h.ServeHTTP(w, r)
		return
	}
	g := &guard{control: http.NewResponseController(w), limits: l}
	if reads {
		own := *r // net/http must find its own body in the request that is its own
		own.Body = &guardedBody{r.Body, g}
		r = &own
	}
	if writes {
		w = &guardedWriter{w, g}
	}
	g.timer = time.AfterFunc(l.StallTime, g.look)
	defer g.stop()
	h.ServeHTTP(w, r)
}

// guard watches the reads and writes of a request. One timer for all of them costs far less than a deadline for each,
// which HTTP/2 passes through its one loop per connection.
type guard struct {
	control *http.ResponseController
	limits  Limits
	reads   calls
	writes  calls

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// calls counts the ends of calls: odd while one is under way.
type calls struct {
	n     atomic.Uint64
	bytes atomic.Int64
	seen  uint64 // by the last look; under guard.mu
	had   int64  // bytes at the last look; under guard.mu
}

func (c *calls) begin() { c.n.Add(1) }
func (c *calls) end()   { c.n.Add(1) }

// stalled tells whether the same call is under way as at the last look. Under guard.mu.
func (c *calls) stalled() bool {
	before := c.seen
	c.seen = c.n.Load()
	return c.seen == before && c.seen%2 == 1
}

// crawled tells whether a call is under way, as one was at the last look, and fewer bytes have come since. Under guard.mu.
func (c *calls) crawled(least int64) bool {
	before, had := c.seen, c.had
	c.seen, c.had = c.n.Load(), c.bytes.Load()
	return before%2 == 1 && c.seen%2 == 1 && (c.had-had < least || c.seen == before)
}

// look ends what has stalled since the last look, so after one to two StallTimes.
func (g *guard) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	past := time.Unix(1, 0)
	if g.reads.crawled(g.limits.MinUpload) {
		_ = g.control.SetReadDeadline(past)
	}
	if g.writes.stalled() {
		_ = g.control.SetWriteDeadline(past)
	}
	g.timer.Reset(g.limits.StallTime)
}

func (g *guard) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.over = true
	g.timer.Stop()
}

type guardedBody struct {
	io.ReadCloser
	g *guard
}

func (b *guardedBody) Read(p []byte) (int, error) {
	b.g.reads.begin()
	defer b.g.reads.end()
	n, err := b.ReadCloser.Read(p)
	b.g.reads.bytes.Add(int64(n))
	return n, err
}

type guardedWriter struct {
	http.ResponseWriter
	g *guard
}

// Unwrap is for http.ResponseController.
func (w *guardedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *guardedWriter) Write(p []byte) (int, error) {
	w.g.writes.begin()
	defer w.g.writes.end()
	return w.ResponseWriter.Write(p)
}

// FlushError implements what http.ResponseController looks for.
func (w *guardedWriter) FlushError() error {
	w.g.writes.begin()
	defer w.g.writes.end()
	return http.NewResponseController(w.ResponseWriter).Flush()
}
