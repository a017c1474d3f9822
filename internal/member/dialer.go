package member

import (
	"context"
	"net"
	"os"
	"path/filepath"

	"tandem/internal/farm"
)

// dialer is the edge's way to the nodes: over the farm's mTLS, and to this member itself, when it is a node too, by a
// socket in the state directory, which nobody else may enter.
type dialer struct{ m *Member }

// DialHTTP implements edge.Dialer.
func (d dialer) DialHTTP(ctx context.Context, node farm.MemberID) (net.Conn, error) {
	if node == d.m.self {
		return (&net.Dialer{}).DialContext(ctx, "unix", d.m.paths.visitors())
	}
	return d.m.hub.DialHTTP(ctx, node)
}

func (p Paths) visitors() string { return filepath.Join(p.State, "visitors.sock") }

// listenSelf opens that socket; one that a dead daemon left is replaced.
func (m *Member) listenSelf() (net.Listener, error) {
	if err := os.Remove(m.paths.visitors()); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	return net.Listen("unix", m.paths.visitors())
}
