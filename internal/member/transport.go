package member

import (
	"context"
	"errors"
	"io"
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
	"tandem/internal/wire"
)

// transport carries one folder's messages over the hub.
type transport struct {
	m  *Member
	id farm.FolderID
}

// Push implements replica.Transport.
func (t transport) Push(c farm.Change) {
	msg := wire.Changes{Folder: t.id, List: []farm.Change{c}}
	for _, to := range t.Linked() {
		t.m.hub.Send(to, msg)
	}
}

// Relay implements replica.Transport.
func (t transport) Relay(to []farm.MemberID, c farm.Change) {
	msg := wire.Changes{Folder: t.id, List: []farm.Change{c}}
	for _, id := range to {
		if t.m.exchanges(t.id, id) {
			t.m.hub.Send(id, msg)
		}
	}
}

// PushMove implements replica.Transport.
func (t transport) PushMove(to []farm.MemberID, mv farm.Move) (cannot []farm.MemberID) {
	for _, id := range to {
		switch {
		case !wire.Can(t.m.hub.Protocol(id), wire.CanMove):
			cannot = append(cannot, id)
		case t.m.exchanges(t.id, id):
			t.m.hub.Send(id, wire.Move{Folder: t.id, Move: mv})
		}
	}
	return cannot
}

// Want implements replica.Transport.
func (t transport) Want(to farm.MemberID, known farm.Vector, bare bool) {
	if t.m.exchanges(t.id, to) {
		t.m.hub.Send(to, wire.Want{Folder: t.id, Known: known, Bare: bare})
	}
}

// CatchUp implements replica.Transport.
func (t transport) CatchUp(to farm.MemberID) { t.m.hub.CatchUp(to, t.id) }

// Behind implements replica.Transport.
func (t transport) Behind(to farm.MemberID, self farm.Actor) (first farm.Seq, is bool) {
	return t.m.hub.Behind(to, t.id, self)
}

// Send implements replica.Transport.
func (t transport) Send(ctx context.Context, to farm.MemberID, list []farm.Change) error {
	if !t.m.exchanges(t.id, to) {
		return farm.Errorf("send", string(to), farm.Unavailable, "one of the two is paused")
	}
	return t.m.hub.SendWait(ctx, to, wire.Changes{Folder: t.id, List: list})
}

// Had implements replica.Transport.
func (t transport) Had(ctx context.Context, to farm.MemberID, upto farm.Vector) error {
	return t.m.hub.SendWait(ctx, to, wire.Have{Folder: t.id, Known: upto})
}

// Fetch implements replica.Transport.
func (t transport) Fetch(ctx context.Context, from farm.MemberID, p farm.Path, d farm.Digest, size int64) (io.ReadCloser, error) {
	return t.m.hub.Fetch(ctx, from, t.id, p, d, size)
}

// roomWait bounds how long a look at the disk waits for members that take changes too slowly. Those that took nothing
// meanwhile lag then.
const roomWait = 300 * time.Millisecond

// Room implements replica.Transport. One holder that keeps up is enough: the others catch up later.
func (t transport) Room(ctx context.Context) {
	full := t.crowded()
	if full == nil {
		return
	}
	timer := time.NewTimer(roomWait)
	defer timer.Stop()
	for moved := false; full != nil; full = t.crowded() {
		select {
		case <-ctx.Done():
			return
		case <-full: // something was taken; there may be no room still
			moved = true
		case <-timer.C:
			if !moved {
				for _, id := range t.Linked() {
					t.m.hub.Lag(id, t.id)
				}
			}
			return
		}
	}
}

// crowded is closed when a holder has taken something, if none keeps up; else it is nil.
func (t transport) crowded() <-chan struct{} {
	var full <-chan struct{}
	for _, id := range t.Linked() {
		if full = t.m.hub.Crowded(id, t.id); full == nil {
			return nil
		}
	}
	return full
}

// OpenPart implements replica.Fetcher.
func (t transport) OpenPart(ctx context.Context, from farm.MemberID, p farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	return t.m.hub.OpenPart(ctx, from, t.id, p, d, offset, n)
}

// Recipe implements replica.Fetcher.
func (t transport) Recipe(ctx context.Context, from farm.MemberID, p farm.Path, d, base farm.Digest) ([]byte, error) {
	return t.m.hub.Recipe(ctx, from, t.id, p, d, base)
}

// Linked implements replica.Transport.
func (t transport) Linked() []farm.MemberID {
	var ids []farm.MemberID
	for _, id := range t.m.holders(t.id) {
		if id != t.m.self && t.m.links.up(id) && t.m.exchanges(t.id, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Up implements peer.Handler.
func (m *Member) Up(id farm.MemberID, hello wire.Hello) {
	m.links.set(id, true, hello.Version, nil)
	m.tellLinks()
	m.edge.Link(id, true)
	for _, f := range m.folders.heldBy(id) {
		f.deliver(m.ctx, replica.PeerUp{Peer: id, Aside: !m.exchanges(f.spec.id, id)})
	}
}

// Down implements peer.Handler.
func (m *Member) Down(id farm.MemberID, reason error) {
	m.links.set(id, false, "", reason)
	m.tellLinks()
	m.edge.Link(id, false)
	for _, f := range m.folders.heldBy(id) {
		f.deliver(m.ctx, replica.PeerDown{Peer: id})
	}
}

// Receive implements peer.Handler.
func (m *Member) Receive(ctx context.Context, from farm.MemberID, msg wire.Message) {
	switch msg := msg.(type) {
	case wire.State:
		if msg.Member != from {
			return // nobody speaks for another
		}
		m.links.heard(msg.MemberState)
		m.edge.State(msg.MemberState)
		for id, s := range msg.Folders {
			m.deliver(ctx, from, id, replica.PeerState{Peer: from, State: s, Links: msg.Links})
		}
	case wire.Heard:
		m.takeHeard(ctx, from, msg.MemberState)
	case wire.Changes:
		for _, c := range m.enrich(from, msg) {
			m.deliver(ctx, from, msg.Folder, replica.Arrived{From: from, Change: c})
		}
	case wire.Move:
		m.deliver(ctx, from, msg.Folder, replica.ArrivedMove{From: from, Move: msg.Move})
	case wire.Want:
		m.deliver(ctx, from, msg.Folder, replica.Wanted{From: from, Known: msg.Known, Bare: msg.Bare})
	case wire.Have:
		m.deliver(ctx, from, msg.Folder, replica.Had{From: from, Upto: msg.Known})
	}
}

// deliver gives an input to the folder, if both this member and the sender hold it.
func (m *Member) deliver(ctx context.Context, from farm.MemberID, id farm.FolderID, in replica.Input) {
	f := m.folders.get(id)
	if f == nil || !m.holds(from, id) {
		return
	}
	if !m.exchanges(id, from) {
		switch in.(type) {
		case replica.PeerState, replica.Relayed: // who is paused is heard still
		default:
			return
		}
	}
	f.deliver(ctx, in)
}

// Open implements peer.Content.
func (m *Member) Open(ctx context.Context, from farm.MemberID, id farm.FolderID, p farm.Path, d farm.Digest, offset int64) (io.ReadCloser, int64, error) {
	f, err := m.shared("open", from, id)
	if err != nil {
		return nil, 0, err
	}
	rc, size, err := f.runner.Open(ctx, p, d)
	if err != nil {
		return nil, 0, err
	}
	if offset > size { // it would be read to its end for nothing
		return nil, 0, errors.Join(farm.Errorf("open", p.String(), farm.Invalid, "offset %d of %d bytes", offset, size), rc.Close())
	}
	if offset > 0 {
		if _, err := io.CopyN(io.Discard, rc, offset); err != nil {
			rc.Close()
			return nil, 0, &farm.Error{Op: "open", Path: p.String(), Kind: farm.Invalid, Err: err}
		}
	}
	return rc, size, nil
}
