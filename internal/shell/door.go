package shell

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"tandem/internal/client"
	"tandem/internal/farm"
)

// Door says who may connect. It holds for all fronts, and changes for connections to come. The zero value lets everybody in.
type Door struct {
	MaxConnections int            // of all fronts together; 0: any number
	MaxPerAddress  int            // of one address; 0: any number
	Exempt         []netip.Prefix // addresses without a limit of their own: proxies, behind which are many visitors
	ProxyFrom      []netip.Prefix // addresses whose connections begin with a PROXY header, version 1 or 2, which is believed
}

const (
	// proxyTime is how long a PROXY header may take.
	proxyTime = 5 * time.Second
	// reliefTime is the pause between two times that idle connections are closed to make room.
	reliefTime = time.Second
)

// door counts connections.
type door struct {
	rules atomic.Pointer[Door]
	sink  farm.Sink

	mu      sync.Mutex
	all     int
	by      map[netip.Addr]int
	relieve func() // closes idle connections
	relief  time.Time
	crowded bool // the event was raised

	lingering sync.WaitGroup
	life      context.Context // ends when no connection may linger any more
	end       context.CancelFunc
}

func newDoor(sink farm.Sink) *door {
	d := &door{by: map[netip.Addr]int{}, sink: sink, relieve: func() {}}
	d.rules.Store(&Door{})
	d.life, d.end = context.WithCancel(context.Background())
	return d
}

// close waits for connections that linger, until ctx ends.
func (d *door) close(ctx context.Context) {
	defer d.end()
	defer context.AfterFunc(ctx, d.end)()
	d.lingering.Wait()
}

// enter counts a connection in, and tells whether it may stay. The connection that makes it one too many has idle ones
// closed, so that there is room for the next.
func (d *door) enter(a netip.Addr) bool {
	r := d.rules.Load()
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.MaxPerAddress > 0 && d.by[a] >= r.MaxPerAddress && !client.Contains(r.Exempt, a) && !client.Contains(r.ProxyFrom, a) {
		return false
	}
	if r.MaxConnections > 0 && d.all >= r.MaxConnections {
		d.makeRoom()
		return false
	}
	d.all++
	d.by[a]++
	return true
}

// makeRoom closes idle connections now and then. Under mu.
func (d *door) makeRoom() {
	if !d.crowded {
		d.crowded = true
		d.sink(farm.Event{
			ID: farm.EventEdgeCrowded, Severity: farm.Warning, Subject: "connections", Message: "there are as many connections as there may be: idle ones are closed, new ones are turned away",
			Next: "raise max_connections in [edge] if they are visitors; lower max_per_address if they are few addresses",
		})
	}
	if now := time.Now(); now.Sub(d.relief) >= reliefTime {
		d.relief = now
		go d.relieve()
	}
}

func (d *door) leave(a netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all--
	if d.by[a]--; d.by[a] == 0 {
		delete(d.by, a)
	}
	if limit := d.rules.Load().MaxConnections; d.crowded && (limit == 0 || d.all < limit/2) {
		d.crowded = false
		d.sink(farm.Event{ID: farm.EventEdgeCrowded, Severity: farm.Healed, Subject: "connections", Message: "there is room for connections again"})
	}
}

// guardedListener is a front's listener behind the door.
type guardedListener struct {
	net.Listener
	door *door
}

// Accept implements net.Listener. It never waits for what a visitor sends.
func (l guardedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		tcp, ok := c.(*net.TCPConn)
		if !ok {
			return c, nil
		}
		a := addrOf(c.RemoteAddr())
		if !l.door.enter(a) {
			_ = tcp.SetLinger(0) // a server that is full keeps nothing of it
			_ = c.Close()
			continue
		}
		counted := &countedConn{TCPConn: tcp, door: l.door, from: a}
		if client.Contains(l.door.rules.Load().ProxyFrom, a) {
			return &proxiedConn{proxyproto.NewConn(counted, proxyproto.WithPolicy(proxyproto.REQUIRE), proxyproto.SetReadHeaderTimeout(proxyTime)), counted}, nil
		}
		return counted, nil
	}
}

func addrOf(a net.Addr) netip.Addr {
	ap, _ := netip.ParseAddrPort(a.String())
	return ap.Addr().Unmap().WithZone("")
}

// countedConn is counted until it is closed. All else is the TCP connection's, sendfile too.
type countedConn struct {
	*net.TCPConn
	door    *door
	from    netip.Addr
	gone    atomic.Bool
	lingers atomic.Bool // Close leaves it open for what the visitor still sends
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	if !c.gone.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	if !c.lingers.Load() || c.CloseWrite() != nil {
		c.door.leave(c.from)
		return c.TCPConn.Close()
	}
	c.door.lingering.Go(func() {
		defer c.door.leave(c.from)
		defer c.TCPConn.Close()
		c.linger(c.door.life)
	})
	return nil
}

// proxiedConn has the addresses that its PROXY header names.
type proxiedConn struct {
	*proxyproto.Conn
	counted *countedConn
}

// CloseWrite ends one direction.
func (c *proxiedConn) CloseWrite() error { return c.counted.CloseWrite() }
