package peer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
	"tandem/internal/identity"
)

// acceptPause is how long accepting waits after an error of the system, such as too many open files.
const acceptPause = 50 * time.Millisecond

// tlsNet is the network between machines: TCP and TLS 1.3.
type tlsNet struct {
	cfg     Config
	refused func(subject string, err error)
	mu      sync.Mutex
	port    net.Listener
}

func (n *tlsNet) listen() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.port != nil {
		return nil
	}
	l, err := net.Listen("tcp", n.cfg.Listen)
	if err != nil {
		return &farm.Error{Op: "listen", Path: n.cfg.Listen, Kind: farm.Unavailable, Err: err,
			Next: "is another program using the port?"}
	}
	n.port = l
	return nil
}

func (n *tlsNet) address() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.port == nil {
		return ""
	}
	return n.port.Addr().String()
}

func (n *tlsNet) accept(ctx context.Context, take func(*Conn)) error {
	config := n.serverConfig()
	places := make(chan struct{}, maxHandshakes)
	var group sync.WaitGroup
	defer group.Wait()
	unhook := context.AfterFunc(ctx, func() { _ = n.port.Close() })
	defer unhook()
	for {
		raw, err := n.port.Accept()
		if ctx.Err() != nil {
			if err == nil {
				_ = raw.Close() // it came too late
			}
			return nil
		}
		if err != nil {
			n.cfg.Log.Error("accepting failed", "listen", n.cfg.Listen, "err", err)
			select {
			case <-time.After(acceptPause):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case places <- struct{}{}:
			group.Go(func() {
				defer func() { <-places }()
				if c, ok := n.greet(ctx, raw, config); ok {
					take(c)
				}
			})
		default:
			_ = raw.Close() // too many at once; members dial again
		}
	}
}

// serverConfig asks for a certificate unless the client says that it comes to join.
func (n *tlsNet) serverConfig() *tls.Config {
	members := n.cfg.Identity.ServerTLS(protoMembers, protoBack, protoHTTP, protoBulk)
	door := n.cfg.Identity.JoinTLS(protoJoin)
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if slices.Equal(hello.SupportedProtos, []string{protoJoin}) {
				return door, nil
			}
			return members, nil
		},
	}
}

// greet does the handshake with whoever has come.
func (n *tlsNet) greet(ctx context.Context, raw net.Conn, config *tls.Config) (*Conn, bool) {
	ctx, cancel := context.WithTimeout(ctx, handshakeAfter)
	defer cancel()
	t := tls.Server(raw, config)
	err := t.HandshakeContext(ctx)
	var c *Conn
	if err == nil {
		c, err = n.authenticated(t)
	}
	if err == nil {
		return c, true
	}
	n.report(hostOf(raw.RemoteAddr().String()), err)
	_ = raw.Close() // the reason is in err
	return nil, false
}

// report tells of a handshake that failed over a certificate; scanners and browsers that lose their way are no news.
// The subject is the name of who was refused where the farm's CA has vouched for it, else the address.
func (n *tlsNet) report(remote string, err error) {
	r, op := (*identity.Refusal)(nil), (*net.OpError)(nil)
	switch {
	case errors.As(err, &r) && r.Reason != identity.AnotherFarm:
		n.refused(r.Name, err)
	case errors.As(err, &r):
		n.refused(remote, err)
	case errors.As(err, &op) && op.Op == "remote error" && strings.Contains(err.Error(), badCertificate):
		// A member of another farm refuses us before it shows its own certificate.
		n.refused(remote, farm.Errorf("handshake", remote, farm.Denied, "it does not take this farm's certificate"))
	default:
		n.cfg.Log.Debug("handshake failed", "remote", remote, "err", err)
	}
}

// badCertificate is how Go's TLS words the alert with which a Tandem member refuses a certificate.
const badCertificate = "bad certificate"

// hostOf is the host of a host:port.
func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}

// authenticated makes a Conn of a TLS connection after its handshake.
func (n *tlsNet) authenticated(t *tls.Conn) (*Conn, error) {
	st := t.ConnectionState()
	raw := t.NetConn()
	if r, ok := raw.(*readAhead); ok {
		raw = r.Conn
	}
	keepAlive(raw)
	if st.NegotiatedProtocol == protoJoin {
		return newConn(t, "", protoJoin, func() error { return nil }), nil
	}
	if len(st.PeerCertificates) == 0 || st.NegotiatedProtocol == "" {
		return nil, farm.Errorf("handshake", "", farm.Denied, "no certificate or no protocol")
	}
	member, err := identity.NameOf(st.PeerCertificates[0])
	if err != nil {
		return nil, err
	}
	verify := n.cfg.Identity.ClientTLS(member, st.NegotiatedProtocol).VerifyConnection
	return newConn(t, member, st.NegotiatedProtocol, func() error { return verify(st) }), nil
}

func (n *tlsNet) dial(ctx context.Context, to Member, protocol string) (*Conn, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, "tcp", to.Address)
	if err != nil {
		return nil, farm.Errorf("dial", string(to.ID), farm.Unavailable, "%w", err)
	}
	if protocol == protoBulk {
		raw = &readAhead{raw, bufio.NewReaderSize(raw, bulkReadBytes)}
	}
	t := tls.Client(raw, n.cfg.Identity.ClientTLS(to.ID, protocol))
	if err := t.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the reason is in err
		if r := (*identity.Refusal)(nil); errors.As(err, &r) {
			return nil, err
		}
		return nil, farm.Errorf("dial", string(to.ID), farm.Unavailable, "%w", err)
	}
	return n.authenticated(t)
}
