package web

import (
	"bufio"
	"io"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// markedAnswer calls mark once, when the head of the answer is about to leave: what the handler has read, it has read by
// then, but for an answer that it streams.
type markedAnswer struct {
	*caddyhttp.ResponseWriterWrapper
	mark func() // sets headers
}

func newMarked(w http.ResponseWriter, mark func()) *markedAnswer {
	return &markedAnswer{&caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, mark}
}

func (a *markedAnswer) begin() {
	if a.mark != nil {
		mark := a.mark
		a.mark = nil
		mark()
	}
}

// WriteHeader implements http.ResponseWriter.
func (a *markedAnswer) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.begin()
	}
	a.ResponseWriterWrapper.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *markedAnswer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriterWrapper.Write(p)
}

// ReadFrom keeps the way to sendfile open.
func (a *markedAnswer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	return a.ResponseWriterWrapper.ReadFrom(r)
}

// FlushError implements what http.ResponseController looks for.
func (a *markedAnswer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (a *markedAnswer) Flush() { _ = a.FlushError() }

// Hijack implements http.Hijacker: the connection is the handler's from here on, and no header of ours leaves.
func (a *markedAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}
