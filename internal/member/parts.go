package member

import (
	"context"
	"io"

	"tandem/internal/farm"
)

// notShared is the error of a member that asks for what is in a folder which it does not hold.
func notShared(op string, from farm.MemberID, id farm.FolderID) error {
	return farm.Errorf(op, string(id), farm.Denied, "%s does not hold this folder", from)
}

// parts implements peer.Parts: it finds the folder that is asked for.
type parts struct{ m *Member }

// shared is the folder, for a member that asks for what is in it. Only one that holds the folder itself is answered.
func (m *Member) shared(op string, from farm.MemberID, id farm.FolderID) (*folder, error) {
	if !m.holds(from, id) {
		return nil, notShared(op, from, id)
	}
	if f := m.folders.get(id); f != nil {
		return f, nil
	}
	return nil, farm.Errorf(op, string(id), farm.NotFound, "no such folder here")
}

func (p parts) OpenPart(ctx context.Context, from farm.MemberID, id farm.FolderID, path farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	f, err := p.m.shared("open", from, id)
	if err != nil {
		return nil, err
	}
	return f.runner.OpenPart(ctx, path, d, offset, n)
}

func (p parts) Recipe(ctx context.Context, from farm.MemberID, id farm.FolderID, path farm.Path, d, base farm.Digest) ([]byte, error) {
	f, err := p.m.shared("open", from, id)
	if err != nil {
		return nil, err
	}
	return f.runner.Recipe(ctx, path, d, base)
}
