package peer

import (
	"context"
	"net"
	"sync"

	"tandem/internal/farm"
)

// Net is a network in memory. Its hubs are those that run over TLS, with nothing but pipes between them: a twin for
// tests, which can cut and silence what connects two members.
type Net struct {
	mu    sync.Mutex
	hosts map[farm.MemberID]*memNet
	lines map[line]lineState
	pipes map[*pipe]line
}

// line is one direction between two members.
type line struct{ from, to farm.MemberID }

type lineState uint8

const (
	open    lineState = iota
	blocked           // can't be dialled
	silent            // what is sent does not arrive
)

// NewNet returns a network without members.
func NewNet() *Net {
	return &Net{hosts: make(map[farm.MemberID]*memNet), lines: make(map[line]lineState), pipes: make(map[*pipe]line)}
}

// Hub returns a hub on the network; Listen and Identity of cfg are not used. Its address is its name.
func (n *Net) Hub(cfg Config) *Hub { return newHub(cfg, &memNet{net: n, self: cfg.Self}) }

// Cut closes all connections between the two and lets none be made.
func (n *Net) Cut(a, b farm.MemberID) {
	n.set(blocked, line{a, b}, line{b, a})
	n.close(line{a, b}, line{b, a})
}

// Block lets from no longer dial to; what is connected stays.
func (n *Net) Block(from, to farm.MemberID) { n.set(blocked, line{from, to}) }

// Silence keeps the connections between the two open but lets nothing through, as when a cable is pulled.
func (n *Net) Silence(a, b farm.MemberID) { n.set(silent, line{a, b}, line{b, a}) }

// Heal undoes Cut, Block and Silence. Connections that have lost bytes are closed.
func (n *Net) Heal(a, b farm.MemberID) {
	n.mu.Lock()
	lost := n.lines[line{a, b}] == silent || n.lines[line{b, a}] == silent
	n.mu.Unlock()
	if lost {
		n.close(line{a, b}, line{b, a})
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

func (n *Net) state(l line) lineState {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines[l]
}

func (n *Net) close(lines ...line) {
	n.mu.Lock()
	var gone []*pipe
	for p, l := range n.pipes {
		for _, x := range lines {
			if l == x {
				gone = append(gone, p)
			}
		}
	}
	n.mu.Unlock()
	for _, p := range gone {
		_ = p.Close() // a pipe has no error to give
	}
}

// pipe is one end of a connection.
type pipe struct {
	net.Conn
	net *Net
}

func (p *pipe) Write(b []byte) (int, error) {
	p.net.mu.Lock()
	lost := p.net.lines[p.net.pipes[p]] == silent
	p.net.mu.Unlock()
	if lost {
		return len(b), nil
	}
	return p.Conn.Write(b)
}

func (p *pipe) Close() error {
	p.net.mu.Lock()
	delete(p.net.pipes, p)
	p.net.mu.Unlock()
	return p.Conn.Close()
}

func (p *pipe) RemoteAddr() net.Addr { return hostPort("memory") }

// connect makes the two ends of a connection.
func (n *Net) connect(l line) (from, to *pipe) {
	a, b := net.Pipe()
	from, to = &pipe{a, n}, &pipe{b, n}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pipes[from], n.pipes[to] = l, line{l.to, l.from}
	return from, to
}

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
	l := line{m.self, to.ID}
	m.net.mu.Lock()
	host := m.net.hosts[to.ID]
	m.net.mu.Unlock()
	switch st := m.net.state(l); {
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
