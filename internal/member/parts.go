package member

import (
	"context"
	"io"

	"tandem/internal/farm"
)

// parts implements peer.Parts: it finds the folder that is asked for.
type parts struct{ m *Member }

func (p parts) folder(id farm.FolderID) (*folder, error) {
	if f := p.m.folders.get(id); f != nil {
		return f, nil
	}
	return nil, farm.Errorf("open", string(id), farm.NotFound, "no such folder here")
}

func (p parts) OpenPart(ctx context.Context, id farm.FolderID, path farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	f, err := p.folder(id)
	if err != nil {
		return nil, err
	}
	return f.runner.OpenPart(ctx, path, d, offset, n)
}

func (p parts) Recipe(ctx context.Context, id farm.FolderID, path farm.Path, d, base farm.Digest) ([]byte, error) {
	f, err := p.folder(id)
	if err != nil {
		return nil, err
	}
	return f.runner.Recipe(ctx, path, d, base)
}
