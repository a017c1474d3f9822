package member

import (
	"io"
	"net"
	"net/http"
	"net/netip"

	"tandem/internal/edge"
	"tandem/internal/shell"
)

// passing implements shell.Switch for the fronts of the edge.
type passing struct{ edge *edge.Edge }

// Passes implements shell.Switch.
func (p passing) Passes() bool { return p.edge.Passes() }

// Pass implements shell.Switch.
func (p passing) Pass(host string) shell.Passer { return p.edge.Pass(host) }

// takePassed takes a visitor's connection from an edge, and ends its TLS as if the visitor had come here.
func (m *Member) takePassed(w http.ResponseWriter, r *http.Request) {
	visitor, err := netip.ParseAddrPort(r.Header.Get(edge.VisitorHeader))
	called, err2 := netip.ParseAddrPort(r.Header.Get(edge.CalledHeader))
	if err != nil || err2 != nil || r.Header.Get("Upgrade") != edge.PassProtocol {
		http.Error(w, "this is for the farm's edges", http.StatusBadRequest)
		return
	}
	if m.own.get().Draining {
		http.Error(w, "draining", http.StatusServiceUnavailable)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+edge.PassProtocol+"\r\n\r\n")
	if err == nil {
		err = m.shell.Take(passedConn{conn, buffered.Reader, net.TCPAddrFromAddrPort(visitor), net.TCPAddrFromAddrPort(called)}, m.counted(m.web.Passed()))
	}
	if err != nil {
		m.log.Debug("a connection that an edge passed on was lost", "client", visitor, "err", err)
		_ = conn.Close()
	}
}

// passedConn is a visitor's connection that goes by an edge.
type passedConn struct {
	net.Conn
	r               io.Reader
	visitor, called net.Addr
}

// Read implements net.Conn.
func (c passedConn) Read(p []byte) (int, error) { return c.r.Read(p) }

// RemoteAddr implements net.Conn: the visitor's.
func (c passedConn) RemoteAddr() net.Addr { return c.visitor }

// LocalAddr implements net.Conn: that which the visitor called.
func (c passedConn) LocalAddr() net.Addr { return c.called }
