package member

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

const (
	// addressTime is how long an edge that stops waits for its virtual addresses to move: keepalived asks once a second whether it is fit.
	addressTime = 8 * time.Second
	addressPoll = 50 * time.Millisecond
	// returnTime is how long it may take at most until a virtual address returns to the edge that it belongs to.
	returnTime = 10 * time.Second
)

// virtual are the virtual addresses that this member has and another edge could take; none: visitors who come to them can't be
// sent elsewhere, or nothing is known of the interfaces.
func (m *Member) virtual() []string {
	c := m.config()
	if c == nil || len(c.Edge.VirtualAddress) == 0 || len(m.file.Addresses) > 0 || !m.otherEdge(c, func(farm.MemberID) bool { return true }) {
		return nil
	}
	if me, _ := c.Member(m.self); !me.Has(farm.RoleEdge) {
		return nil
	}
	var here []string
	own := m.ownAddresses()
	for _, v := range c.Edge.VirtualAddress {
		if p, err := netip.ParsePrefix(v); err == nil && slices.Contains(own, p.Addr().String()) {
			here = append(here, p.Addr().String())
		}
	}
	return here
}

// letGo lets visitors' connections end when a virtual address is about to return to an edge that ranks higher, since when it is
// linked and takes visitors; keepalived waits for two good answers of that edge. It takes since when that is so, and returns it
// anew; zero: it is not.
func (m *Member) letGo(since time.Time) time.Time {
	c := m.config()
	if c == nil || len(m.virtual()) == 0 || !m.otherEdge(c, func(e farm.MemberID) bool { return e < m.self }) {
		m.edge.SetLeaving(false)
		return time.Time{}
	}
	now := time.Now()
	if since.IsZero() {
		since = now
	}
	m.edge.SetLeaving(now.Sub(since) < returnTime)
	return since
}

// otherEdge tells whether there is another edge that takes visitors, and fits.
func (m *Member) otherEdge(c *config.Config, fits func(farm.MemberID) bool) bool {
	return slices.ContainsFunc(c.With(farm.RoleEdge), func(e config.Member) bool {
		l := m.links.get(e.Name)
		return e.Name != m.self && fits(e.Name) && l.up && !l.state.Draining
	})
}

// awaitMoved waits, for a bounded time, until this member has no virtual address any more. Until then it serves.
func (m *Member) awaitMoved(ctx context.Context) {
	if len(m.virtual()) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, addressTime)
	defer cancel()
	t := time.NewTicker(addressPoll)
	defer t.Stop()
	for {
		here := m.virtual()
		if len(here) == 0 {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			m.log.Warn("a virtual address has not moved to another edge", "addresses", here)
			return
		}
	}
}
