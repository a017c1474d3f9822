package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"tandem/internal/farm"
	"tandem/internal/identity"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// joinTimeout is how long a join at one address may take, from dialling to the answer.
const joinTimeout = 30 * time.Second

// door answers those who have no certificate.
type door struct {
	pb.UnimplementedDoorServer
	hub *Hub
}

// Join lets a new member in if its token is good.
func (d *door) Join(ctx context.Context, q *pb.JoinRequest) (*pb.JoinReply, error) {
	h := d.hub
	select {
	case h.joins <- struct{}{}:
		defer func() { <-h.joins }()
	default:
		return nil, wire.Status(farm.Errorf("join", "", farm.Unavailable, "%d others are joining", maxJoins))
	}
	conn, err := connOf(ctx)
	if err != nil {
		return nil, wire.Status(err)
	}
	if h.cfg.Joiner == nil {
		return nil, wire.Status(farm.Errorf("join", "", farm.Unsupported, "this member takes nobody in"))
	}
	req, err := wire.DecodeJoin(q)
	if err != nil {
		return nil, wire.Status(err)
	}
	remote := conn.RemoteAddr().String()
	reply, err := h.cfg.Joiner.Join(ctx, remote, req)
	if err != nil {
		if farm.KindOf(err) == farm.Denied {
			h.tokenRefused(remote, req.Name, err)
		}
		return nil, wire.Status(err)
	}
	h.cfg.Sink(farm.Event{ID: farm.EventMemberJoined, Severity: farm.Info, Subject: string(req.Name),
		Message: "joined from " + remote})
	return wire.EncodeJoinReply(reply), nil
}

func (h *Hub) tokenRefused(remote string, name farm.MemberID, err error) {
	h.notices.raise(farm.Event{ID: farm.EventTokenRefused, Severity: farm.Warning, Subject: hostOf(remote),
		Message: "it wanted to join as " + string(name) + ": " + err.Error(), Next: "make a new token with `tandem invite`"})
}

// Join asks the farm of a token to let a new member in, at each of the token's addresses in turn until one answers.
// The other side proves that it is of the farm that the token names before it gets the secret; id and secret in q are
// filled in from the token. Errors: farm.Denied for a bad token or another farm, farm.Unavailable if nobody answers.
func Join(ctx context.Context, t identity.Token, q wire.JoinRequest, now func() time.Time) (wire.JoinReply, error) {
	q.Token, q.Secret = t.ID, t.Secret
	var failures error
	for _, address := range t.Addresses {
		reply, err := joinAt(ctx, address, identity.PinTLS(t.Pin, protoJoin, now), q)
		if err == nil {
			return reply, t.CheckCA(reply.CA)
		}
		if farm.KindOf(err) != farm.Unavailable {
			return wire.JoinReply{}, err
		}
		failures = errors.Join(failures, err)
	}
	return wire.JoinReply{}, &farm.Error{Op: "join", Kind: farm.Unavailable, Err: failures,
		Next: "can this machine reach the port of the member that made the token?"}
}

func joinAt(ctx context.Context, address string, config *tls.Config, q wire.JoinRequest) (reply wire.JoinReply, err error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: dialTimeout}, Config: config}
	raw, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		if farm.KindOf(err) == farm.Denied {
			return reply, err
		}
		return reply, farm.Errorf("join", address, farm.Unavailable, "%w", err)
	}
	conn := newConn(raw, "", protoJoin, func() error { return nil })
	defer func() { _ = conn.Close() }() // the answer is there, or the reason why not
	c, err := newGRPC(once(conn))
	if err != nil {
		return reply, err
	}
	defer func() { _ = c.Close() }() // closing twice is all that can fail
	p, err := pb.NewDoorClient(c).Join(ctx, wire.EncodeJoin(q))
	if err != nil {
		return reply, wire.FromStatus("join", address, err)
	}
	return wire.DecodeJoinReply(p)
}
