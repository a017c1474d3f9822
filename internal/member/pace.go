package member

import (
	"context"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/replica"
)

// paceEvery is how often the limits are looked up in the week's schedule.
const paceEvery = 5 * time.Second

// pace keeps the limits of the links as the configuration has them for this time of the week, until ctx ends.
func (m *Member) pace(ctx context.Context) error {
	t := time.NewTicker(paceEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
			if c := m.config(); c != nil {
				m.setLimits(c, time.Now())
			}
		}
	}
}

func (m *Member) setLimits(c *config.Config, now time.Time) {
	for _, other := range c.Members {
		if other.Name != m.self {
			m.hub.SetLimit(other.Name, int64(c.RateAt(m.self, other.Name, now)))
		}
	}
}

// exchanges tells whether changes of the folder go between this member and another. A pause does not stop what the farm
// itself needs: its configuration, which says that the pause is over, and its certificates.
func (m *Member) exchanges(id farm.FolderID, other farm.MemberID) bool {
	c := m.config()
	return c != nil && (id.Own() || !c.Paused(m.self, other))
}

// repace tells the folders of members that are paused from now on, or no more. For them it is as if the session had
// ended, or come about; heartbeats go on.
func (m *Member) repace(old, c *config.Config) {
	if old == nil {
		return
	}
	for _, other := range c.Members {
		was, is := old.Paused(m.self, other.Name), c.Paused(m.self, other.Name)
		if was == is || !m.links.up(other.Name) {
			continue
		}
		for _, f := range m.folders.heldBy(other.Name) {
			switch {
			case f.spec.id.Own():
			case is:
				f.deliver(m.ctx, replica.PeerUp{Peer: other.Name, Aside: true})
			default:
				m.introduceTo(f, other.Name)
			}
		}
	}
}

// introduceTo tells a folder of a session that exists already.
func (m *Member) introduceTo(f *folder, id farm.MemberID) {
	f.deliver(m.ctx, replica.PeerUp{Peer: id, Aside: !m.exchanges(f.spec.id, id)})
	said := m.links.get(id).state
	if s, ok := said.Folders[f.spec.id]; ok {
		f.deliver(m.ctx, replica.PeerState{Peer: id, State: s, Links: said.Links})
	}
}
