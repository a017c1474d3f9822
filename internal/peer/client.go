package peer

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// client is a gRPC client whose connections come from a function.
type client struct {
	pb.MembersClient
	conn *grpc.ClientConn
}

func newClient(dial func(context.Context) (*Conn, error)) (*client, error) {
	c, err := newGRPC(dial)
	if err != nil {
		return nil, err
	}
	return &client{pb.NewMembersClient(c), c}, nil
}

func newGRPC(dial func(context.Context) (*Conn, error)) (*grpc.ClientConn, error) {
	c, err := grpc.NewClient("passthrough:///member",
		grpc.WithTransportCredentials(handed{}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			c, err := dial(ctx)
			if err != nil {
				return nil, err
			}
			return c, nil
		}),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(wire.Codec()), grpc.MaxCallRecvMsgSize(wire.MaxFrameBytes)),
		grpc.WithStaticStreamWindowSize(windowBytes),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithWriteBufferSize(ioBufferBytes),
		grpc.WithReadBufferSize(ioBufferBytes),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0),
	)
	if err != nil {
		return nil, farm.Errorf("connect", "", farm.Internal, "%w", err)
	}
	return c, nil
}

func (c *client) close() error { return c.conn.Close() }

// once gives the connection the first time.
func once(c *Conn) func(context.Context) (*Conn, error) {
	var used atomic.Bool
	return func(context.Context) (*Conn, error) {
		if used.Swap(true) {
			return nil, errLost
		}
		return c, nil
	}
}

// callBack makes the client for calls beside the session. Who has dialled the session dials for the calls too; who was
// dialled uses connections that the other side offers, so that it need not be able to dial.
func (s *session) callBack() (*client, error) {
	c, err := newClient(func(ctx context.Context) (c *Conn, err error) {
		if s.dialled {
			if c, err = s.link.hub.dial(ctx, s.link, protoMembers); err != nil {
				return nil, err
			}
		} else {
			select {
			case c = <-s.back:
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-s.ctx.Done():
				return nil, errLost
			}
		}
		context.AfterFunc(s.ctx, func() { _ = c.Close() }) // gRPC would wait for a connection that is stuck
		return c, nil
	})
	if err == nil && !s.dialled {
		c.conn.Connect() // the side that offers gives up a connection on which nobody says anything
	}
	return c, err
}

// offerBack keeps one connection open on which the other side may call.
func (s *session) offerBack() {
	l, pause := s.link, pauseMin
	for s.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(s.ctx, dialTimeout)
		c, err := l.hub.dial(ctx, l, protoBack)
		cancel()
		if err == nil {
			l.hub.calls.deliver(c)
			offered := l.hub.cfg.Now()
			select {
			case <-c.closed:
				if l.hub.cfg.Now().Sub(offered) > pauseMax {
					pause = pauseMin // else the other side does not want it
				}
			case <-s.ctx.Done():
				_ = c.Close() // the session is over
				return
			}
		}
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
		pause = min(2*pause, pauseMax)
	}
}

// takeBack gives an offered connection to the session that was dialled by the same side.
func (l *link) takeBack(c *Conn) {
	if s := l.current(); s != nil && !s.dialled && s.ctx.Err() == nil {
		for {
			select {
			case s.back <- c:
				return
			case old := <-s.back: // an unused one, most likely dead
				_ = old.Close()
			}
		}
	}
	_ = c.Close() // offered again after a pause
}

// closeCalls ends the calls beside the session.
func (s *session) closeCalls() {
	_ = s.calls.close() // closing twice is all that can fail
	for {
		select {
		case c := <-s.back:
			_ = c.Close() // never used
		default:
			return
		}
	}
}

// Fetch returns the content of a file from a member that has it. The path says where it may be found there; digest and
// size are what is wanted. A reader that comes to io.EOF has given exactly that content; farm.Corrupt is the error
// otherwise. Other errors: farm.Unavailable, and what the member's Content answered. The caller closes the reader.
func (h *Hub) Fetch(ctx context.Context, from farm.MemberID, folder farm.FolderID, path farm.Path, digest farm.Digest, size int64) (io.ReadCloser, error) {
	s, err := h.live("fetch", from)
	if err != nil {
		return nil, err
	}
	r := newFetched(ctx, s, wire.FetchRequest{Folder: folder, Path: path, Digest: digest}, size)
	if err := r.open(); err != nil {
		return nil, r.failed(err)
	}
	return r, nil
}

// Call runs a control call on another member.
func (h *Hub) Call(ctx context.Context, to farm.MemberID, q wire.CallRequest) ([]byte, error) {
	s, err := h.live("call", to)
	if err != nil {
		return nil, err
	}
	p, err := s.calls.Call(ctx, &pb.CallRequest{Method: q.Method, Body: q.Body})
	return p.GetBody(), wire.FromStatus("call "+q.Method, string(to), err)
}

// Sign lets a node sign a certificate for host names (CSR and answer in DER), for members without authority.
func (h *Hub) Sign(ctx context.Context, by farm.MemberID, csr []byte) ([]byte, error) {
	s, err := h.live("sign", by)
	if err != nil {
		return nil, err
	}
	p, err := s.calls.Sign(ctx, &pb.SignRequest{Csr: csr})
	return p.GetCertificate(), wire.FromStatus("sign", string(by), err)
}
