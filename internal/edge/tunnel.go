package edge

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// tunnel joins the visitor's connection and the node's after both agreed to another protocol.
func (t *trip) tunnel() (fate, error) {
	x, c := t.x, t.c
	if !strings.EqualFold(t.a.upgrade, x.upgrade) {
		return silent, malformed("it switches to %.40q instead of %s", t.a.upgrade, x.upgrade)
	}
	visitor, buffered, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		return silent, err
	}
	defer visitor.Close()
	t.stop()                             // net/http ends the request's context when it reads the visitor's half close
	_ = visitor.SetDeadline(time.Time{}) // those of the server were for a request
	x.status = http.StatusSwitchingProtocols
	if err := x.writeSwitch(buffered.Writer, &t.a); err != nil {
		return gone, err
	}
	both := func() {
		_ = visitor.Close()
		c.interrupt()
	}
	stop := context.AfterFunc(x.edge.life, both)
	defer stop()
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, err := io.Copy(c.Conn, buffered.Reader)
		endHalf(c.Conn, err, both)
	}()
	n, err := io.Copy(visitor, c.br)
	x.bytes = n
	endHalf(visitor, err, both)
	<-up
	return whole, nil
}

// writeSwitch writes the head of the answer to the visitor, whose connection is no longer net/http's.
func (x *exchange) writeSwitch(w *bufio.Writer, a *answer) error {
	h := x.w.Header()
	setFields(h, a.fields)
	x.mark(h)
	h.Set("Connection", "Upgrade")
	h.Set("Upgrade", a.upgrade)
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = h.Write(w)
	_, _ = w.WriteString("\r\n")
	return w.Flush()
}

// endHalf ends one direction of a tunnel: a clean end is passed on and leaves the other direction open.
func endHalf(to net.Conn, err error, both func()) {
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil && half.CloseWrite() == nil {
		return
	}
	both()
}
