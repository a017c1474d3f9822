package web

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
)

// heldAnswer keeps an answer back until the barrier is taken: in a buffer while it fits and the handler does not insist
// on sending. Headers are not held: they are those of the writer below.
type heldAnswer struct {
	http.ResponseWriter
	limit    int64
	barrier  func() bool // sets the headers that depend on it; false: it has written another answer instead
	released bool
	refused  bool // what the handler writes goes nowhere
	status   int  // 0: the handler has written nothing
	body     bytes.Buffer
}

func hold(w http.ResponseWriter, limit int64, barrier func() bool) *heldAnswer {
	return &heldAnswer{ResponseWriter: w, limit: limit, barrier: barrier}
}

// release takes the barrier, once, and sends what is held. What the handler writes then goes straight through.
func (a *heldAnswer) release() {
	if a.released {
		return
	}
	a.released = true
	if a.refused = !a.barrier(); a.refused {
		a.body = bytes.Buffer{}
		return
	}
	if a.status != 0 {
		a.ResponseWriter.WriteHeader(a.status)
	}
	if a.body.Len() > 0 {
		_, _ = a.ResponseWriter.Write(a.body.Bytes()) // a visitor who left shows at the handler's next write
		a.body = bytes.Buffer{}
	}
}

// WriteHeader implements http.ResponseWriter.
func (a *heldAnswer) WriteHeader(status int) {
	switch {
	case a.refused:
	case a.released:
		a.ResponseWriter.WriteHeader(status)
	case status == http.StatusSwitchingProtocols:
		a.release()
		a.ResponseWriter.WriteHeader(status)
	case status < http.StatusOK:
		a.ResponseWriter.WriteHeader(status) // 100 and 103 say nothing of what was done
	case a.status == 0:
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *heldAnswer) Write(p []byte) (int, error) {
	if a.status == 0 && !a.released {
		a.status = http.StatusOK
	}
	if !a.released && int64(a.body.Len()+len(p)) > a.limit {
		a.release()
	}
	switch {
	case a.refused:
		return len(p), nil
	case a.released:
		return a.ResponseWriter.Write(p)
	}
	return a.body.Write(p)
}

// ReadFrom keeps the way to sendfile open for what no longer fits.
func (a *heldAnswer) ReadFrom(r io.Reader) (int64, error) {
	var n int64
	if !a.released {
		held, err := io.CopyN(writerOnly{a}, r, a.limit-int64(a.body.Len())+1)
		n = held
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	if a.refused {
		rest, err := io.Copy(io.Discard, r)
		return n + rest, err
	}
	rest, err := io.Copy(a.ResponseWriter, r)
	return n + rest, err
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }

// FlushError implements what http.ResponseController looks for: the handler insists on sending now.
func (a *heldAnswer) FlushError() error {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	if a.release(); a.refused {
		return nil
	}
	return http.NewResponseController(a.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (a *heldAnswer) Flush() { _ = a.FlushError() }

// Hijack implements http.Hijacker: the connection is the handler's from here on.
func (a *heldAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if a.release(); a.refused {
		return nil, nil, errRefused
	}
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

var errRefused = errors.New("another answer was sent")

// Unwrap gives http.ResponseController the deadlines and the duplex mode of the connection.
func (a *heldAnswer) Unwrap() http.ResponseWriter { return a.ResponseWriter }
