package shell

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// guarded serves a request of a front that Caddy's pipeline is not for, and cuts it off when its visitor sends nothing
// of the body or takes nothing of the answer for stallTime. Where the kernel sees to the answers (see guardStalls), only
// streams of HTTP/2 and 3 need it: a visitor may leave one unread on a connection that lives.
func guarded(h http.Handler, w http.ResponseWriter, r *http.Request) {
	reads := r.Body != nil && r.Body != http.NoBody
	writes := r.ProtoMajor >= 2 || plainWriteIdle > 0
	if !reads && !writes {
		h.ServeHTTP(w, r)
		return
	}
	g := &guard{control: http.NewResponseController(w)}
	if reads {
		own := *r // net/http must find its own body in the request that is its own
		own.Body = &guardedBody{r.Body, g}
		r = &own
	}
	if writes {
		w = &guardedWriter{w, g}
	}
	g.timer = time.AfterFunc(stallTime, g.look)
	defer g.stop()
	h.ServeHTTP(w, r)
}

// guard watches the reads and writes of a request. One timer for all of them costs far less than a deadline for each,
// which HTTP/2 passes through its one loop per connection.
type guard struct {
	control *http.ResponseController
	reads   calls
	writes  calls

	mu    sync.Mutex
	timer *time.Timer
	over  bool
}

// calls counts the ends of calls: odd while one is under way.
type calls struct {
	n    atomic.Uint64
	seen uint64 // by the last look; under guard.mu
}

func (c *calls) begin() { c.n.Add(1) }
func (c *calls) end()   { c.n.Add(1) }

// stalled tells whether the same call is under way as at the last look. Under guard.mu.
func (c *calls) stalled() bool {
	before := c.seen
	c.seen = c.n.Load()
	return c.seen == before && c.seen%2 == 1
}

// look ends what has stalled since the last look, so after one to two stallTimes.
func (g *guard) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.over {
		return
	}
	past := time.Unix(1, 0)
	if g.reads.stalled() {
		_ = g.control.SetReadDeadline(past)
	}
	if g.writes.stalled() {
		_ = g.control.SetWriteDeadline(past)
	}
	g.timer.Reset(stallTime)
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
	return b.ReadCloser.Read(p)
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
