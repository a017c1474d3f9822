package peer

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"tandem/internal/farm"
)

// Net is a network in memory. Its hubs are those that run over TLS, with nothing but pipes between them: a twin for
// tests, which can cut, silence and freeze what connects two members.
type Net struct {
	mu    sync.Mutex
	hosts map[farm.MemberID]*memNet
	lines map[line]lineState
	pipes map[*pipe]struct{}
	dials atomic.Int64
}

// line is one direction between two members.
type line struct{ from, to farm.MemberID }

type lineState uint8

const (
	open    lineState = iota
	blocked           // dialling fails at once
	silent            // dialling gets no answer
)

// NewNet returns a network without members.
func NewNet() *Net {
	return &Net{hosts: make(map[farm.MemberID]*memNet), lines: make(map[line]lineState), pipes: make(map[*pipe]struct{})}
}

// Dials is the number of connections that have been tried.
func (n *Net) Dials() int { return int(n.dials.Load()) }

// Hub returns a hub on the network; Listen and Identity of cfg are not used. Its address is its name.
func (n *Net) Hub(cfg Config) *Hub { return newHub(cfg, &memNet{net: n, self: cfg.Self}) }

// Cut closes all connections between the two and lets none be made.
func (n *Net) Cut(a, b farm.MemberID) {
	n.set(blocked, line{a, b}, line{b, a})
	for _, p := range n.between(a, b) {
		_ = p.Close() // a pipe has no error to give
	}
}

// Block lets from no longer dial to; what is connected stays.
func (n *Net) Block(from, to farm.MemberID) { n.set(blocked, line{from, to}) }

// Silence lets nothing through between the two, as when a cable is pulled; nobody is told.
func (n *Net) Silence(a, b farm.MemberID) {
	n.set(silent, line{a, b}, line{b, a})
	n.Freeze(a, b)
}

// Freeze lets nothing through on the connections that there are, as when one side lost its power; new ones work.
func (n *Net) Freeze(a, b farm.MemberID) {
	for _, p := range n.between(a, b) {
		p.frozen.Store(true)
	}
}

// Heal undoes Cut, Block and Silence. Connections that may have lost bytes are closed.
func (n *Net) Heal(a, b farm.MemberID) {
	for _, p := range n.between(a, b) {
		if p.frozen.Load() {
			_ = p.Close() // a pipe has no error to give
		}
	}
	n.set(open, line{a, b}, line{b, a})
}

func (n *Net) set(s lineState, lines ...line) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range lines {
		n.lines[l] = s
	}
}

// between are both ends of all connections between the two.
func (n *Net) between(a, b farm.MemberID) (list []*pipe) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for p := range n.pipes {
		if p.line == (line{a, b}) || p.line == (line{b, a}) {
			list = append(list, p)
		}
	}
	return list
}

// pipe is one end of a connection.
type pipe struct {
	net.Conn
	net    *Net
	line   line
	frozen atomic.Bool
}

// connect makes the two ends of a connection.
func (n *Net) connect(l line) (from, to *pipe) {
	a, b := net.Pipe()
	from, to = &pipe{Conn: a, net: n, line: l}, &pipe{Conn: b, net: n, line: line{l.to, l.from}}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pipes[from], n.pipes[to] = struct{}{}, struct{}{}
	return from, to
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.frozen.Load() {
		return len(b), nil
	}
	return p.Conn.Write(b)
}

func (p *pipe) Close() error {
	p.net.mu.Lock()
	delete(p.net.pipes, p)
	p.net.mu.Unlock()
	if p.frozen.Load() {
		return p.Conn.SetDeadline(time.Unix(1, 0)) // ends our reads; the other side must not hear of it
	}
	return p.Conn.Close()
}

func (p *pipe) RemoteAddr() net.Addr { return hostPort(p.line.to) }

// memNet is the network as one member sees it.
type memNet struct {
	net      *Net
	self     farm.MemberID
	mu       sync.Mutex
	incoming chan *Conn
}

func (m *memNet) listen() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.incoming == nil {
		m.incoming = make(chan *Conn)
	}
	return nil
}

func (m *memNet) address() string { return string(m.self) }

func (m *memNet) accept(ctx context.Context, take func(*Conn)) error {
	m.net.mu.Lock()
	m.net.hosts[m.self] = m
	m.net.mu.Unlock()
	defer func() {
		m.net.mu.Lock()
		if m.net.hosts[m.self] == m { // its next life may have begun
			delete(m.net.hosts, m.self)
		}
		m.net.mu.Unlock()
	}()
	for {
		select {
		case c := <-m.incoming:
			take(c)
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *memNet) dial(ctx context.Context, to Member, protocol string) (*Conn, error) {
	m.net.dials.Add(1)
	l := line{m.self, to.ID}
	m.net.mu.Lock()
	host, st := m.net.hosts[to.ID], m.net.lines[l]
	m.net.mu.Unlock()
	switch {
	case st == silent:
		<-ctx.Done()
		return nil, farm.Errorf("dial", string(to.ID), farm.Unavailable, "%w", ctx.Err())
	case st == blocked || host == nil:
		return nil, farm.Errorf("dial", string(to.ID), farm.Unavailable, "nobody answers")
	}
	trust := func() error { return nil }
	near, far := m.net.connect(l)
	select {
	case host.incoming <- newConn(far, m.self, protocol, trust):
		return newConn(near, to.ID, protocol, trust), nil
	case <-ctx.Done():
		_, _ = near.Close(), far.Close() // pipes have no error to give
		return nil, farm.Errorf("dial", string(to.ID), farm.Unavailable, "%w", ctx.Err())
	}
}
