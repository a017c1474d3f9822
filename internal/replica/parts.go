package replica

import (
	"context"
	"io"

	"tandem/internal/farm"
)

// Parts gives parts of contents on this disk to other members.
type Parts interface {
	// OpenPart opens a part of the file at p, which is what the index says; at the root, of a preserved file.
	OpenPart(ctx context.Context, p farm.Path, is farm.Disk, offset, n int64) (io.ReadCloser, error)
	// Recipe gives a recipe of the same content, which the asker's Parts understands; base is a content that it knows.
	Recipe(ctx context.Context, p farm.Path, is farm.Disk, base farm.Digest) ([]byte, error)
}

// Fetcher asks other members for parts of contents.
type Fetcher interface {
	OpenPart(ctx context.Context, from farm.MemberID, p farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error)
	Recipe(ctx context.Context, from farm.MemberID, p farm.Path, d, base farm.Digest) ([]byte, error)
}

// OpenPart opens a part of a content of the folder for another member. The part is not checked to be of that content.
func (r *Runner) OpenPart(ctx context.Context, p farm.Path, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	return ofContent(r, p, d, func(q farm.Path, is farm.Disk) (io.ReadCloser, error) {
		return r.cfg.Parts.OpenPart(ctx, q, is, offset, n)
	})
}

// Recipe gives a content's recipe to another member.
func (r *Runner) Recipe(ctx context.Context, p farm.Path, d, base farm.Digest) ([]byte, error) {
	return ofContent(r, p, d, func(q farm.Path, is farm.Disk) ([]byte, error) {
		return r.cfg.Parts.Recipe(ctx, q, is, base)
	})
}

// ofContent tries the path, all others that the index knows to have the content, and what is preserved.
func ofContent[T any](r *Runner, p farm.Path, d farm.Digest, try func(farm.Path, farm.Disk) (T, error)) (T, error) {
	var none T
	paths, err := r.cfg.Log.ByDigest(d)
	if err != nil {
		return none, err
	}
	for _, q := range append([]farm.Path{p}, paths...) {
		if rec, ok, err := r.cfg.Log.Get(q); err == nil && ok && rec.Disk.Type == farm.File && rec.Disk.Digest == d {
			if got, err := try(q, rec.Disk); err == nil {
				return got, nil
			}
		}
	}
	return try(farm.Path{}, farm.Disk{Attr: farm.Attr{Type: farm.File, Digest: d}})
}

// Holders implements the keeper's Parts, as do Recipe and OpenPart.
func (s source) Holders() []farm.MemberID {
	if s.r.cfg.Fetcher == nil {
		return nil
	}
	return s.r.cfg.Transport.Linked()
}

// Recipe asks a member.
func (s source) Recipe(ctx context.Context, from farm.MemberID, d, base farm.Digest) ([]byte, error) {
	return s.r.cfg.Fetcher.Recipe(ctx, from, s.path, d, base)
}

// OpenPart asks a member.
func (s source) OpenPart(ctx context.Context, from farm.MemberID, d farm.Digest, offset, n int64) (io.ReadCloser, error) {
	return s.r.cfg.Fetcher.OpenPart(ctx, from, s.path, d, offset, n)
}
