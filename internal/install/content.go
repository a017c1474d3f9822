package install

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// sourceError says that content was not to be had, as opposed to not to be stored.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// content returns a nameless file with the wanted content, verified: from the plan, from this disk, or from others.
func (k *Keeper) content(ctx context.Context, plan farm.Plan, src Source) (vfs.Temp, error) {
	want := plan.Want
	if int64(len(plan.Content)) == want.Size && blake3.Sum256(plan.Content) == want.Digest {
		return k.inline(plan.Content)
	}
	var locals []farm.Path
	if src != nil {
		locals = src.Local(want.Digest)
	}
	if want.SameContent(plan.Expect.Attr) {
		locals = append([]farm.Path{plan.Path}, locals...)
	}
	if p, ok := k.kept.content(want.Digest); ok {
		locals = append(slices.Clip(locals[:min(len(locals), maxLocals-1)]), p)
	}
	for _, p := range locals[:min(len(locals), maxLocals)] {
		t, err := k.copyLocal(p, want)
		if t != nil || err != nil {
			return t, err
		}
	}
	if src == nil {
		return nil, &sourceError{farm.Errorf("install", plan.Path.String(), farm.Unavailable, "no source has %s", want.Digest.Short())}
	}
	if parts, ok := src.(Parts); ok && k.cfg.Recipes != nil && want.Size > minChunkedLen {
		t, err := k.assemble(ctx, plan, src, parts)
		var s *sourceError
		if t != nil || err != nil && !(errors.As(err, &s) && farm.KindOf(err) == farm.Corrupt) {
			return t, err
		}
	}
	return k.fetch(ctx, plan.Path, want, src)
}

func (k *Keeper) inline(data []byte) (vfs.Temp, error) {
	t, err := k.fs.Temp()
	if err != nil || len(data) == 0 {
		return t, err
	}
	if _, err := t.Write(data); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// copyLocal copies the file at p if it holds what is wanted; nil if it does not. What is hashed is the copy: the
// original may change under the copying.
func (k *Keeper) copyLocal(p farm.Path, want farm.Attr) (vfs.Temp, error) {
	f, err := k.fs.Open(p)
	if err != nil {
		return nil, nil // moved or changed since; others may have it
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || st.Size != want.Size {
		return nil, nil
	}
	t, err := k.fs.Temp()
	if err != nil {
		return nil, err
	}
	if _, err = t.CopyFrom(f); err == nil {
		if d, n, err := sum(t, want.Size); err == nil && n == want.Size && d == want.Digest {
			return t, nil
		}
	}
	err = errors.Join(err, t.Close())
	if farm.KindOf(err) == farm.Full {
		return nil, err
	}
	return nil, nil
}

func (k *Keeper) fetch(ctx context.Context, p farm.Path, want farm.Attr, src Source) (vfs.Temp, error) {
	r, err := src.Fetch(ctx, want.Digest, want.Size)
	if err != nil {
		return nil, &sourceError{err}
	}
	defer r.Close()
	t, err := k.fs.Temp()
	if err != nil {
		return nil, err
	}
	if err := receive(ctx, t, r, p, want); err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return t, nil
}

// receive writes what r gives to t and verifies it. It reads at most one byte more than was announced.
func receive(ctx context.Context, t vfs.Temp, r io.Reader, p farm.Path, want farm.Attr) error {
	h := blake3.New()
	buf := make([]byte, min(bufferBytes, want.Size+1))
	r = io.LimitReader(r, want.Size+1)
	var n int64
	for {
		if err := ctx.Err(); err != nil {
			return &sourceError{err}
		}
		m, err := io.ReadFull(r, buf)
		if n += int64(m); n > want.Size {
			return &sourceError{farm.Errorf("fetch", p.String(), farm.Corrupt, "more than the announced %d bytes came", want.Size)}
		}
		_, _ = h.Write(buf[:m]) // never fails
		if m > 0 {
			if _, err := t.Write(buf[:m]); err != nil {
				return err
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return &sourceError{err}
		}
	}
	if got := farm.Digest(h.Sum(nil)); n != want.Size || got != want.Digest {
		return &sourceError{farm.Errorf("fetch", p.String(), farm.Corrupt, "got %d bytes of digest %s instead of %d of %s", n, got.Short(), want.Size, want.Digest.Short())}
	}
	return nil
}
