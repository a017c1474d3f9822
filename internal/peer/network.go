package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/credentials"

	"tandem/internal/farm"
)

// What a connection is for, as it is named in the TLS handshake (ALPN).
const (
	protoMembers = "h2"            // gRPC; the dialler calls
	protoBack    = "tandem-back/1" // gRPC; the one who was dialled calls, for a dialler that can't be dialled
	protoHTTP    = "tandem-http/1" // HTTP/1.1; an edge sends visitors' requests
	protoBulk    = "tandem-bulk/1" // parts of contents; see bulk.go
	protoJoin    = "tandem-join/1" // gRPC; the dialler has no certificate and may only join
)

// network makes authenticated connections: over TLS, or in memory.
type network interface {
	listen() error
	address() string // host:port on which it listens; "" before
	// accept hands every incoming connection to take until ctx is done.
	accept(ctx context.Context, take func(*Conn)) error
	dial(ctx context.Context, to Member, protocol string) (*Conn, error)
}

// Conn is a connection with a member whose name has been verified.
type Conn struct {
	net.Conn
	member   farm.MemberID // "" at the door
	protocol string
	verify   func() error // asks the current configuration again
	closed   chan struct{}
	closing  sync.Once
	refused  atomic.Bool // the other side did not take our certificate

	// Set by track, before anybody reads or writes.
	sent, received *atomic.Uint64
	forget         func()
}

func newConn(c net.Conn, member farm.MemberID, protocol string, verify func() error) *Conn {
	return &Conn{Conn: c, member: member, protocol: protocol, verify: verify, closed: make(chan struct{})}
}

// Member is the name of the other side.
func (c *Conn) Member() farm.MemberID { return c.member }

// Read notes when the other side refuses this member: in TLS 1.3 that comes as the answer to the first read.
func (c *Conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.received != nil {
		c.received.Add(uint64(n))
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) && op.Op == "remote error" {
		c.refused.Store(true)
	}
	return n, err
}

func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if c.sent != nil {
		c.sent.Add(uint64(n))
	}
	return n, err
}

// Close closes the connection; it may be called more than once. TLS says farewell only where HTTP/1.1 may need it to
// tell an end from a cut: to a member that is gone, that would block for seconds.
func (c *Conn) Close() error {
	err := error(nil)
	if t, ok := c.Conn.(*tls.Conn); ok && c.protocol != protoHTTP {
		err = t.NetConn().Close()
	} else {
		err = c.Conn.Close()
	}
	c.closing.Do(func() {
		close(c.closed)
		if c.forget != nil {
			c.forget()
		}
	})
	return err
}

// queueListener is a net.Listener whose connections come from elsewhere: the mux.
type queueListener struct {
	queue  chan net.Conn
	done   chan struct{}
	once   sync.Once
	listen func() net.Addr
}

func newQueueListener(backlog int, addr func() net.Addr) *queueListener {
	return &queueListener{queue: make(chan net.Conn, backlog), done: make(chan struct{}), listen: addr}
}

// deliver hands c over, or closes it if nobody takes it.
func (l *queueListener) deliver(c net.Conn) {
	select {
	case <-l.done:
	default:
		select {
		case l.queue <- c:
			return
		default:
		}
	}
	_ = c.Close() // nobody is left to tell
}

// Accept waits for the next connection.
func (l *queueListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.queue:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close makes Accept fail and closes what is waiting.
func (l *queueListener) Close() error {
	l.once.Do(func() { close(l.done) })
	for {
		select {
		case c := <-l.queue:
			_ = c.Close() // nobody is left to tell
		default:
			return nil
		}
	}
}

// Addr is where the connections came in.
func (l *queueListener) Addr() net.Addr { return l.listen() }

// hostPort is a net.Addr of text.
type hostPort string

func (hostPort) Network() string  { return "tcp" }
func (a hostPort) String() string { return string(a) }

// handed are gRPC's credentials for connections that have been authenticated before gRPC gets them.
type handed struct{}

// authInfo lets a gRPC handler know its connection.
type authInfo struct {
	credentials.CommonAuthInfo
	conn *Conn
}

func (authInfo) AuthType() string { return "tandem" }

func (handed) info(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, ok := c.(*Conn)
	if !ok {
		return nil, nil, farm.Errorf("handshake", "", farm.Internal, "%T is not a connection of the mux", c)
	}
	return c, authInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity}, conn}, nil
}

func (h handed) ClientHandshake(_ context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return h.info(c)
}

func (h handed) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) { return h.info(c) }

func (handed) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

func (h handed) Clone() credentials.TransportCredentials { return h }

func (handed) OverrideServerName(string) error { return nil }
