package member

import (
	"context"

	"tandem/internal/farm"
)

// Barrier implements web.Consistency.
func (m *Member) Barrier(ctx context.Context, id farm.FolderID) (farm.Position, error) {
	f := m.folders.get(id)
	if f == nil {
		return farm.Position{}, noFolder("barrier", id)
	}
	return f.runner.Barrier(ctx)
}

// Wait implements web.Consistency.
func (m *Member) Wait(ctx context.Context, id farm.FolderID, pos farm.Position) error {
	f := m.folders.get(id)
	if f == nil {
		return noFolder("wait", id)
	}
	return f.runner.Wait(ctx, pos)
}

// Holders implements web.Consistency: linked members that have all up to pos on disk.
func (m *Member) Holders(id farm.FolderID, pos farm.Position) []farm.MemberID {
	var ids []farm.MemberID
	for _, h := range (transport{m, id}).Linked() {
		if s, ok := m.links.get(h).state.Folders[id]; ok && s.Applied.Covers(pos) {
			ids = append(ids, h)
		}
	}
	return ids
}

func noFolder(op string, id farm.FolderID) error {
	return farm.Errorf(op, string(id), farm.NotFound, "this member does not hold the folder")
}
