package edge

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	readBufferBytes  = 16 << 10 // a TLS record
	writeBufferBytes = 4 << 10
)

// aLongTimeAgo as a deadline ends a read or write that is under way.
var aLongTimeAgo = time.Unix(1, 0)

// conn is a connection to a node. One goroutine uses it at a time (with a large body: one reads, one writes);
// interrupt and abandon may be called by others.
type conn struct {
	net.Conn
	br     *bufio.Reader
	bw     *bufio.Writer
	reused bool      // has carried a request before
	idle   time.Time // since when it waits in the pool

	wrote int64 // bytes of the current request that were handed over; zero proves that the node saw nothing of it

	cutOff func()  // interrupt, as a value that is made once
	head   []byte  // scratch of readHead
	fields []field // scratch of the answer's header

	mu      sync.Mutex
	cut     bool // deadlines are final: interrupt was called
	waiting bool // for the first byte of an answer to a request that may be sent again
}

func newConn(nc net.Conn) *conn {
	c := &conn{Conn: nc}
	c.br = bufio.NewReaderSize(nc, readBufferBytes)
	c.cutOff = c.interrupt
	c.bw = bufio.NewWriterSize(countingWriter{c}, writeBufferBytes)
	return c
}

// countingWriter counts what the connection took. Over TLS a byte counts when its record was handed over whole; a
// part of a record can't be read by anybody.
type countingWriter struct{ c *conn }

func (w countingWriter) Write(p []byte) (int, error) {
	n, err := w.c.Conn.Write(p)
	w.c.wrote += int64(n)
	return n, err
}

// interrupt ends whatever read or write is under way, and all later ones.
func (c *conn) interrupt() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	_ = c.SetDeadline(aLongTimeAgo)
}

// abandon is interrupt for a connection that waits for the answer to a request that may be sent again.
func (c *conn) abandon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting {
		c.cut = true
		_ = c.SetDeadline(aLongTimeAgo)
	}
}

// setWaiting says whether abandon may end the request.
func (c *conn) setWaiting(is bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = is
}

// readBy sets the time by which reads must have ended; zero: any time.
func (c *conn) readBy(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.cut {
		_ = c.SetReadDeadline(t)
	}
}

// silenceTime is how long quiet listens. The network poller rounds it up to about a millisecond.
const silenceTime = 100 * time.Microsecond

// quiet tells whether an idle connection is as it should be: open, with nothing to read. The read goes through TLS,
// where bytes on the socket can be harmless (session tickets).
func (c *conn) quiet() bool {
	_ = c.SetReadDeadline(time.Now().Add(silenceTime))
	_, err := c.br.Peek(1)
	_ = c.SetReadDeadline(time.Time{})
	return isTimeout(err)
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// isCut tells whether interrupt or abandon ended it.
func (c *conn) isCut() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}
