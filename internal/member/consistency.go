package member

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/config"
	"tandem/internal/edge"
	"tandem/internal/farm"
)

// spreadTime is how long an answer may wait until another node has what it wrote, or what it shows: usually a millisecond
// or two. Then the visitor does not depend on this node any more. It is a courtesy, not a confirmation: when the time is
// over, the answer leaves.
const spreadTime = 100 * time.Millisecond

// Barrier implements web.Consistency.
func (m *Member) Barrier(ctx context.Context, id farm.FolderID) (farm.Position, error) {
	f := m.folders.get(id)
	if f == nil {
		return farm.Position{}, noFolder("barrier", id)
	}
	pos, err := f.runner.Barrier(ctx)
	if err != nil || pos.Seq == 0 {
		return farm.Position{}, err
	}
	if len((transport{m, id}).Linked()) > 0 {
		m.spread(ctx, id, pos, spreadTime)
	}
	return pos, nil
}

// spread waits until another node has all up to pos. The time being over is no error.
func (m *Member) spread(ctx context.Context, id farm.FolderID, pos farm.Position, limit time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	_ = m.links.await(ctx, func() bool { return m.links.anyHas(id, pos) })
}

// Wait implements web.Consistency.
func (m *Member) Wait(ctx context.Context, id farm.FolderID, pos farm.Position) error {
	f := m.folders.get(id)
	if f == nil {
		return noFolder("wait", id)
	}
	return f.runner.Wait(ctx, m.attainable(f, pos))
}

// Holders implements web.Consistency: linked members that have all up to pos on disk.
func (m *Member) Holders(id farm.FolderID, pos farm.Position) []farm.MemberID {
	if f := m.folders.get(id); f != nil {
		pos = m.attainable(f, pos)
	}
	var ids []farm.MemberID
	for _, h := range (transport{m, id}).Linked() {
		if s, ok := m.links.get(h).state.Folders[id]; ok && s.Applied.Covers(pos) {
			ids = append(ids, h)
		}
	}
	return ids
}

// Linked implements web.Consistency.
func (m *Member) Linked(id farm.MemberID) bool { return m.links.up(id) }

// attainable is what a visitor who has seen pos may wait for. While the folder is seeded, what this member knows says
// nothing of what is lost.
func (m *Member) attainable(f *folder, pos farm.Position) farm.Position {
	own, sum := f.runner.State()
	if sum.Seeding || own.Known.Covers(pos) {
		return pos
	}
	states := []farm.FolderState{own}
	for _, h := range (transport{m, f.spec.id}).Linked() {
		states = append(states, m.links.get(h).state.Folders[f.spec.id])
	}
	return edge.Attainable(pos, states)
}

// Reach implements web.Consistency.
func (m *Member) Reach(ctx context.Context, id farm.FolderID, writing bool) farm.Vector {
	f := m.folders.get(id)
	if f == nil {
		return farm.Vector{}
	}
	if writing {
		if _, err := f.runner.Barrier(ctx); err != nil {
			m.log.Warn("an answer may show what has no number yet", "folder", id, "err", err)
		}
	}
	reach := f.runner.Reach()
	own, _ := f.runner.State()
	pos := farm.Position{Actor: own.Actor, Seq: reach.At(own.Actor)}
	if wait := f.company.look(time.Now(), pos.Seq, m.links.most(id, own.Actor)); wait > 0 && len((transport{m, id}).Linked()) > 0 {
		m.spread(ctx, id, pos, wait)
	}
	return reach
}

// Reached implements web.Consistency.
func (m *Member) Reached(id farm.FolderID, v farm.Vector) bool {
	f := m.folders.get(id)
	return f != nil && f.runner.Reach().CoversAll(v)
}

// Rest implements web.Consistency. A member that is away counts: it may come back to visitors before it has caught up.
// What it had then it still has.
func (m *Member) Rest(id farm.FolderID, v farm.Vector) farm.Vector {
	f := m.folders.get(id)
	if f == nil {
		return farm.Vector{}
	}
	own, _ := f.runner.State()
	key := restOf{of: v, applied: own.Applied, heard: m.links.latest(), config: m.config()}
	if last := f.rest.Load(); last != nil && last.same(key) {
		return last.rest
	}
	key.rest = v
	for p := range v.All() {
		if m.everywhere(f, own, p) {
			key.rest = key.rest.Capped(p.Actor, 0)
		}
	}
	f.rest.Store(&key)
	return key.rest
}

// restOf is the latest answer of Rest, with all that it depends on.
type restOf struct {
	of, applied farm.Vector
	heard       <-chan struct{}
	config      *config.Config
	rest        farm.Vector
}

func (r *restOf) same(s restOf) bool {
	return r.heard == s.heard && r.config == s.config && r.of.Equal(s.of) && r.applied.Equal(s.applied)
}

// everywhere tells whether every node that holds the folder has p on disk. Those that were given up begin anew.
func (m *Member) everywhere(f *folder, own farm.FolderState, p farm.Position) bool {
	for _, h := range m.holders(f.spec.id) {
		applied := own.Applied
		if h != m.self {
			applied = m.links.get(h).state.Folders[f.spec.id].Applied
		}
		if !applied.Covers(p) && !f.evicted(h) {
			return false
		}
	}
	return true
}

// company is how far others follow what this member writes in a folder.
type company struct {
	mu          sync.Mutex
	own, others farm.Seq
	since       time.Time // when it was last up to date, or moved
}

// look takes note of how far this member is with its own feed, and how far any other is, and returns how long it makes
// sense to wait for it: it may be busy with a large file for long.
func (c *company) look(now time.Time, own, others farm.Seq) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own <= c.others || others != c.others {
		c.since = now
	}
	c.own, c.others = own, others
	if own <= others {
		return 0
	}
	return max(0, spreadTime-now.Sub(c.since))
}

// Confirm implements web.Consistency. A member that has it counts even if it is away now: it is on its disk.
func (m *Member) Confirm(ctx context.Context, id farm.FolderID, pos farm.Position, n int, durable bool) (have, want int) {
	var others []farm.MemberID
	for _, h := range m.holders(id) {
		if f := m.folders.get(id); h != m.self && f != nil && (n >= 0 || !f.evicted(h)) {
			others = append(others, h)
		}
	}
	if want = n; n < 0 {
		want = len(others)
	}
	// The time being over is no error: have says how far it came.
	_ = m.links.await(ctx, func() bool {
		can := 0
		have = 0
		for _, h := range others {
			l := m.links.entry(h)
			has := l.state.Folders[id].Applied
			if durable {
				has = l.state.Folders[id].Durable
			}
			switch {
			case has.Covers(pos):
				have++
			case l.up && m.exchanges(id, h):
				can++
			}
		}
		return have >= want || have+can < want
	})
	return have, want
}

// Arriving implements web.Consistency.
func (m *Member) Arriving(id farm.FolderID) bool {
	f := m.folders.get(id)
	return f != nil && f.runner.Arrivals().Any()
}

// Arrival implements web.Consistency.
func (m *Member) Arrival(id farm.FolderID, p farm.Path) (want farm.Vector, since time.Time, is bool) {
	if f := m.folders.get(id); f != nil {
		return f.runner.Arrivals().Of(p)
	}
	return farm.Vector{}, time.Time{}, false
}

// Arrived implements web.Consistency.
func (m *Member) Arrived(ctx context.Context, id farm.FolderID, p farm.Path) error {
	if f := m.folders.get(id); f != nil {
		return f.runner.Arrivals().Wait(ctx, p)
	}
	return nil
}

// Digest implements web.Consistency. An index that has just looked, so that a later write would not show, knows nothing yet.
func (m *Member) Digest(path string) (farm.Digest, bool) {
	for _, f := range m.folders.all() {
		rel, err := filepath.Rel(f.spec.root, path)
		if err != nil || !filepath.IsLocal(rel) {
			continue
		}
		p, err := farm.ParsePath(filepath.ToSlash(rel))
		if err != nil {
			return farm.Digest{}, false
		}
		rec, ok, err := f.index.Get(p)
		if err != nil || !ok || rec.Disk.Type != farm.File || rec.Disk.Stat.Racy {
			return farm.Digest{}, false
		}
		now, err := f.fs.Lstat(p)
		return rec.Disk.Digest, err == nil && rec.Disk.Stat.Matches(now.Fingerprint)
	}
	return farm.Digest{}, false
}

// contentDigest is the digest of a content, as indexes have it.
func contentDigest(b []byte) farm.Digest { return blake3.Sum256(b) }

// Applied implements web.Consistency.
func (m *Member) Applied(id farm.FolderID) farm.Vector {
	f := m.folders.get(id)
	if f == nil {
		return farm.Vector{}
	}
	own, _ := f.runner.State()
	return own.Applied
}

// Settled implements web.Consistency.
func (m *Member) Settled(id farm.FolderID) bool {
	f := m.folders.get(id)
	return f != nil && m.Rest(id, f.runner.Reach()).Len() == 0
}

func noFolder(op string, id farm.FolderID) error {
	return farm.Errorf(op, string(id), farm.NotFound, "this member does not hold the folder")
}

// latest changes whenever anything is heard of other members.
func (l *links) latest() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// most is how far the linked member that is furthest has applied a feed.
func (l *links) most(id farm.FolderID, a farm.Actor) (most farm.Seq) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.at {
		if s.up {
			most = max(most, s.state.Folders[id].Applied.At(a))
		}
	}
	return most
}
