package peer

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	grpcpeer "google.golang.org/grpc/peer"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// newServer makes a gRPC server for connections that have been authenticated.
func newServer() *grpc.Server {
	return grpc.NewServer(
		grpc.Creds(handed{}),
		grpc.ForceServerCodecV2(wire.Codec()),
		grpc.MaxRecvMsgSize(wire.MaxFrameBytes),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.StaticStreamWindowSize(windowBytes),
		grpc.StaticConnWindowSize(connWindow),
		grpc.WriteBufferSize(ioBufferBytes),
		grpc.ReadBufferSize(ioBufferBytes),
		grpc.ConnectionTimeout(greetTimeout),
		grpc.WaitForHandlers(true),
	)
}

// service answers members.
type service struct {
	pb.UnimplementedMembersServer
	hub *Hub
}

// connOf is the connection on which a call came in.
func connOf(ctx context.Context) (*Conn, error) {
	if p, ok := grpcpeer.FromContext(ctx); ok {
		if info, ok := p.AuthInfo.(authInfo); ok {
			return info.conn, nil
		}
	}
	return nil, farm.Errorf("call", "", farm.Internal, "the call has no connection")
}

// caller is the link of the member that calls.
func (s *service) caller(ctx context.Context) (*link, *Conn, error) {
	conn, err := connOf(ctx)
	if err != nil {
		return nil, nil, err
	}
	l := s.hub.link(conn.member)
	if l == nil {
		return nil, nil, farm.Errorf("call", string(conn.member), farm.Unavailable, "it is not a member here")
	}
	return l, conn, nil
}

// Session takes a session that another member has dialled and carries it to its end.
func (s *service) Session(st grpc.BidiStreamingServer[pb.Frame, pb.Frame]) error {
	l, conn, err := s.caller(st.Context())
	if err != nil {
		return wire.Status(err)
	}
	// The call has no deadline of its own: without a Hello in time the connection is closed, which ends it.
	timer := time.AfterFunc(greetTimeout, func() { _ = conn.Close() })
	session, err := s.greet(st, l, conn)
	timer.Stop()
	if err != nil {
		if farm.KindOf(err) == farm.Denied {
			s.hub.refused(string(l.id), err)
		}
		return wire.Status(err)
	}
	session.run()
	return wire.Status(errLost)
}

func (s *service) greet(st grpc.BidiStreamingServer[pb.Frame, pb.Frame], l *link, conn *Conn) (*session, error) {
	hello, err := s.hub.receiveHello(st, l.id)
	if err != nil {
		return nil, err
	}
	g, err := l.claim(hello)
	if err != nil {
		return nil, err
	}
	session, err := newSession(l, st, conn, hello, false)
	if err != nil {
		l.abandon(g, err)
		return nil, err
	}
	if err = sendTo(st, s.hub.hello()); err == nil && !l.adopt(g, session) {
		err = errTaken
	}
	if err != nil {
		l.abandon(g, err)
		session.discard()
		return nil, err
	}
	return session, nil
}

// Fetch streams content.
func (s *service) Fetch(q *pb.FetchRequest, st grpc.ServerStreamingServer[pb.Chunk]) error {
	l, _, err := s.caller(st.Context())
	if err != nil {
		return wire.Status(err)
	}
	return wire.Status(s.fetch(l, q, st))
}

func (s *service) fetch(l *link, q *pb.FetchRequest, st grpc.ServerStreamingServer[pb.Chunk]) (err error) {
	req, err := wire.DecodeFetch(q)
	if err != nil {
		return err
	}
	if req.Recipe || req.Length > 0 {
		return s.hub.part(st.Context(), l, req, func(b []byte) (int, error) { return len(b), st.Send(&pb.Chunk{Data: b}) })
	}
	if s.hub.cfg.Content == nil {
		return farm.Errorf("fetch", req.Path.String(), farm.Unsupported, "this member holds no folders")
	}
	r, size, err := s.hub.cfg.Content.Open(st.Context(), l.id, req.Folder, req.Path, req.Digest, req.Offset)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	buf := make([]byte, wire.ChunkBytes)
	for first := true; ; first = false {
		if err := l.limit.wait(st.Context()); err != nil {
			return err
		}
		n, err := io.ReadFull(r, buf[:l.limit.chunk(len(buf))])
		end := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !end {
			return err
		}
		if n > 0 || first {
			l.limit.spend(n, false)
			if err := st.Send(&pb.Chunk{Size: size, Data: buf[:n]}); err != nil {
				return err
			}
		}
		if end {
			return nil
		}
	}
}

// Sign signs a certificate for host names.
func (s *service) Sign(ctx context.Context, q *pb.SignRequest) (*pb.SignReply, error) {
	if _, _, err := s.caller(ctx); err != nil {
		return nil, wire.Status(err)
	}
	if s.hub.cfg.Signer == nil {
		return nil, wire.Status(farm.Errorf("sign", "", farm.Unsupported, "this member signs nothing"))
	}
	csr, err := wire.DecodeSign(q)
	if err != nil {
		return nil, wire.Status(err)
	}
	der, err := s.hub.cfg.Signer.SignServer(csr)
	return &pb.SignReply{Certificate: der}, wire.Status(err)
}

// Call runs a control call.
func (s *service) Call(ctx context.Context, q *pb.CallRequest) (*pb.CallReply, error) {
	l, _, err := s.caller(ctx)
	if err != nil {
		return nil, wire.Status(err)
	}
	if s.hub.cfg.Caller == nil {
		return nil, wire.Status(farm.Errorf("call", q.GetMethod(), farm.Unsupported, "this member takes no calls"))
	}
	req, err := wire.DecodeCall(q)
	if err != nil {
		return nil, wire.Status(err)
	}
	body, err := s.hub.cfg.Caller.Call(ctx, l.id, req)
	return &pb.CallReply{Body: body}, wire.Status(err)
}
