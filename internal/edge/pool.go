package edge

import (
	"context"
	"net"
	"sync"
	"time"

	"tandem/internal/farm"
)

const (
	maxIdlePerNode = 64
	// idleTime is how long an unused connection is kept. Nodes keep theirs longer, so that it is always the edge that
	// closes and no request runs into a closing connection.
	idleTime = 30 * time.Second
	// connectTime is how long a visitor's request waits for a connection before it tries another node.
	connectTime = time.Second
)

// pool holds the connections to one node.
type pool struct {
	dial func(context.Context) (net.Conn, error)

	mu     sync.Mutex
	idle   []*conn // the last used last
	busy   map[*conn]struct{}
	closed bool
}

func newPool(d Dialer, id farm.MemberID) *pool {
	return &pool{
		dial: func(ctx context.Context) (net.Conn, error) { return d.DialHTTP(ctx, id) },
		busy: map[*conn]struct{}{},
	}
}

// get returns a connection that is the caller's until put or drop. With proven, one that has been idle is only used
// after a look at whether the node closed it: for requests that can't be sent twice.
func (p *pool) get(ctx context.Context, now time.Time, proven bool) (*conn, error) {
	for {
		c := p.takeIdle(now)
		if c == nil {
			break
		}
		if !proven || c.quiet() {
			return c, nil
		}
		p.drop(c)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	nc, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := newConn(nc)
	p.mu.Lock()
	p.busy[c] = struct{}{}
	p.mu.Unlock()
	return c, nil
}

func (p *pool) takeIdle(now time.Time) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		return nil
	}
	c := p.idle[len(p.idle)-1]
	if now.Sub(c.idle) > idleTime { // then so are all the others
		closeAll(p.idle)
		p.idle = nil
		return nil
	}
	p.idle = p.idle[:len(p.idle)-1]
	p.busy[c] = struct{}{}
	return c
}

// put gives back a connection on which a whole answer was read and nothing beyond.
func (p *pool) put(c *conn, now time.Time) {
	c.reused, c.idle = true, now
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, c)
	if p.closed || len(p.idle) >= maxIdlePerNode {
		_ = c.Close()
		return
	}
	p.idle = append(p.idle, c)
}

// drop closes a connection that must not be used again.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	delete(p.busy, c)
	p.mu.Unlock()
	_ = c.Close()
}

// sweep closes what has been idle for too long.
func (p *pool) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && now.Sub(p.idle[n].idle) > idleTime {
		n++
	}
	closeAll(p.idle[:n])
	p.idle = p.idle[n:]
}

// flush closes all idle connections: where one was closed by the node, all were.
func (p *pool) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	closeAll(p.idle)
	p.idle = nil
}

// abandon ends the requests that may be sent again and have no answer yet.
func (p *pool) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.busy {
		c.abandon()
	}
}

// working tells whether any connection carries a request.
func (p *pool) working() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.busy) > 0
}

// giveUp ends all requests that the node is working on, and tunnels.
func (p *pool) giveUp() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.busy {
		c.interrupt()
	}
}

// close closes what is idle now, and what is busy when it is given back.
func (p *pool) close() {
	p.flush()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
}

func closeAll(cs []*conn) {
	for _, c := range cs {
		_ = c.Close()
	}
}
