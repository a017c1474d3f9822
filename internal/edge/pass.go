package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"tandem/internal/config"
)

// PassPath is what an edge asks a node for, to have it end a visitor's TLS: after the answer 101 the connection is the
// visitor's, whose address and that which it called are in the headers.
const (
	PassPath      = "/.tandem/pass"
	PassProtocol  = "tandem-tls"
	VisitorHeader = "Tandem-Visitor"
	CalledHeader  = "Tandem-Called"
)

// passTime is how long a node may take to say that it takes a connection.
const passTime = 2 * time.Second

// Passes tells whether TLS of any site passes through.
func (e *Edge) Passes() bool { return e.passes.Load() }

// Pass is what takes the connections of visitors who ask for the host, to a node that ends their TLS; nil: it ends here.
func (e *Edge) Pass(host string) func(net.Conn) {
	st, o := e.siteOf(host)
	if o == nil || !o.Passes() {
		return nil
	}
	return func(visitor net.Conn) {
		defer visitor.Close()
		x := exchange{edge: e, r: passRequest(e.life, host, visitor), id: newRequestID(), begun: e.cfg.Now(), site: st, options: o, safe: true}
		x.recognise()
		if g := e.guard.Load(); denied(g.Allow, g.Deny, x.client.Addr) || denied(o.Allow, o.Deny, x.client.Addr) {
			e.cfg.Log.Debug("a connection was refused", "id", x.id, "host", host, "client", x.r.RemoteAddr)
			return
		}
		s, c, err := x.pass(visitor)
		if err != nil {
			e.cfg.Log.Warn("a connection could not be passed on", "id", x.id, "host", host, "client", x.r.RemoteAddr, "tries", x.tries, "err", err)
			return
		}
		n := e.join(visitor, c)
		s.node.pool.drop(c)
		e.cfg.Log.Debug("passed on", "id", x.id, "node", s.node.id, "client", x.r.RemoteAddr, "host", host, "bytes", n, "took", e.cfg.Now().Sub(x.begun))
	}
}

// passRequest stands for all that a visitor says on a connection: policies look at requests.
func passRequest(ctx context.Context, host string, visitor net.Conn) *http.Request {
	r := &http.Request{Method: http.MethodConnect, Host: host, URL: &url.URL{Path: "/"}, Header: http.Header{}, RemoteAddr: visitor.RemoteAddr().String()}
	return r.WithContext(ctx)
}

// pass finds a node that takes the connection. No byte of it is lost by a node that does not.
func (x *exchange) pass(visitor net.Conn) (*standing, *conn, error) {
	for {
		s, err := x.choose()
		if err != nil {
			return nil, nil, err
		}
		x.tries++
		c, err := x.offer(s.node, visitor)
		x.place.leave()
		if err == nil {
			return s, c, nil
		}
		s.node.failures.Add(1)
		x.edge.report(s.node.id, connBad, "it took no connection: "+err.Error())
		x.tried.note(s, false)
		if x.tries == maxTries {
			return nil, nil, err
		}
	}
}

// offer asks a node to take the connection.
func (x *exchange) offer(n *node, visitor net.Conn) (*conn, error) {
	n.requests.Add(1)
	c, err := n.pool.get(x.r.Context(), x.edge.cfg.Now(), true)
	if err != nil {
		return nil, err
	}
	c.readBy(time.Now().Add(passTime))
	_, err = fmt.Fprintf(c.bw, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: %s\r\n%s: %s\r\n\r\n", PassPath, n.id, PassProtocol,
		VisitorHeader, visitor.RemoteAddr(), CalledHeader, visitor.LocalAddr())
	if err = errors.Join(err, c.bw.Flush()); err == nil {
		var a answer
		if a, err = c.readAnswer(http.MethodGet); err == nil && a.status != http.StatusSwitchingProtocols {
			err = fmt.Errorf("it says %d %s", a.status, http.StatusText(a.status))
		}
	}
	if err != nil {
		n.pool.drop(c)
		return nil, err
	}
	c.readBy(time.Time{})
	return c, nil
}

// join copies both ways until both have ended, or one has broken, or the edge ends. It returns how much the visitor got.
func (e *Edge) join(visitor net.Conn, c *conn) int64 {
	both := func() {
		_ = visitor.Close()
		c.interrupt()
	}
	stop := context.AfterFunc(e.life, both)
	defer stop()
	up := make(chan struct{})
	go func() {
		defer close(up)
		_, err := io.Copy(c.Conn, visitor)
		endHalf(c.Conn, err, both)
	}()
	n, err := io.Copy(visitor, c.br)
	endHalf(visitor, err, both)
	<-up
	return n
}

// passesAny notes whether any of the sites wants its TLS passed through.
func (e *Edge) passesAny(all []*config.EdgeSite) {
	e.passes.Store(slices.ContainsFunc(all, func(o *config.EdgeSite) bool { return o.Passthrough }))
}
