package shell

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"
)

// A visitor whose request is answered before its body has come may still be sending. If the connection were closed then, the
// system would tell the visitor's by a reset, which takes away what was not read yet: the answer that says why. So the connection is
// closed for writing only, and what still comes is thrown away for a time.
//
// RFC 9112, section 9.6.
const (
	lingerTime      = 30 * time.Second // for all of it
	lingerQuietTime = 5 * time.Second  // in which nothing comes
	lingerBytes     = 16 << 10         // that are read at once
)

type connKey struct{}

// withConn lets requests find the connection that they come by.
func withConn(ctx context.Context, c net.Conn) context.Context {
	if counted := countedOf(c); counted != nil {
		return context.WithValue(ctx, connKey{}, counted)
	}
	return ctx
}

// countedOf finds what is below TLS, PROXY headers and what was read ahead; nil: nothing that is counted.
func countedOf(c net.Conn) *countedConn {
	for {
		switch in := c.(type) {
		case *countedConn:
			return in
		case *proxiedConn:
			return in.counted
		case *replayed:
			c = in.Conn
		case interface{ NetConn() net.Conn }:
			c = in.NetConn()
		default:
			return nil
		}
	}
}

// watched lets the connection linger when the handler leaves a part of the request's body unread. The second result is to be
// called when the handler has returned.
func watched(r *http.Request) (*http.Request, func()) {
	c, ok := r.Context().Value(connKey{}).(*countedConn)
	if !ok || r.ProtoMajor != 1 {
		return r, func() {}
	}
	c.lingers.Store(false)
	if r.Body == nil || r.ContentLength == 0 { // Caddy wraps what is no body, too
		return r, func() {}
	}
	own := *r // net/http must find its own body in the request that is its own
	body := &watchedBody{ReadCloser: r.Body}
	own.Body = body
	return &own, func() { c.lingers.Store(!body.ended) }
}

// watchedBody knows whether it was read to its end.
type watchedBody struct {
	io.ReadCloser
	ended bool
}

// Read implements io.Reader.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err == io.EOF
	return n, err
}

// linger throws away what the visitor sends, until it has closed its end or the time is over.
func (c *countedConn) linger(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { _ = c.SetReadDeadline(time.Unix(1, 0)) })()
	room := make([]byte, lingerBytes)
	for end := time.Now().Add(lingerTime); ctx.Err() == nil; {
		now := time.Now()
		_ = c.SetReadDeadline(now.Add(min(lingerQuietTime, end.Sub(now))))
		if _, err := c.Read(room); err != nil {
			return
		}
	}
}
