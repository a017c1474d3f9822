package peer

import (
	"context"
	"net"

	"tandem/internal/farm"
)

// HTTP gives the connections on which edges send visitors' requests, for an HTTP/1.1 server of the caller's. They have
// no TLS to be done; MemberOf tells whose they are.
func (h *Hub) HTTP() net.Listener { return h.http }

// MemberOf is the verified name of the member at the other end of a connection that came from HTTP or DialHTTP.
func MemberOf(c net.Conn) (farm.MemberID, bool) {
	conn, ok := c.(*Conn)
	if !ok {
		return "", false
	}
	return conn.member, true
}

// DialHTTP opens a connection to a member's HTTP server. It needs no session, and is closed when the member is removed.
func (h *Hub) DialHTTP(ctx context.Context, m farm.MemberID) (net.Conn, error) {
	l := h.link(m)
	if l == nil {
		return nil, farm.Errorf("dial", string(m), farm.NotFound, "it is not a member")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := h.dial(ctx, l, protoHTTP)
	if err != nil {
		return nil, err
	}
	return c, nil
}
