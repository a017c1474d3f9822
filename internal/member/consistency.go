package member

import (
	"context"
	"time"

	"tandem/internal/edge"
	"tandem/internal/farm"
)

// spreadTime is how long an answer to an unsafe request may wait until another node has what it wrote: usually a
// millisecond or two. Then the visitor does not depend on this node any more. It is a courtesy, not a confirmation: when
// the time is over, the answer leaves.
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
		ctx, cancel := context.WithTimeout(ctx, spreadTime)
		defer cancel()
		_ = m.links.await(ctx, func() bool { return m.links.anyHas(id, pos) }) // the time being over is no error
	}
	return pos, nil
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

func noFolder(op string, id farm.FolderID) error {
	return farm.Errorf(op, string(id), farm.NotFound, "this member does not hold the folder")
}
