package install

import (
	"context"
	"io"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Open opens content for another member: the file at p, or a preserved file that has it. The reader gives exactly size
// bytes and then io.EOF, or Conflict if what it gave does not have the digest; so a file that changes under the reading
// is never taken for what it was. Without such content here the error is NotFound.
func (k *Keeper) Open(ctx context.Context, p farm.Path, d farm.Digest) (r io.ReadCloser, size int64, err error) {
	if p.Private() {
		return nil, 0, farm.Errorf("serve", p.String(), farm.Denied, "lies in Tandem's private area")
	}
	var f vfs.File
	if kept, ok := k.kept.content(d); ok { // surely it, while the path may have changed
		f, _ = k.fs.Open(kept)
	}
	if f == nil {
		if f, err = k.fs.Open(p); err != nil {
			return nil, 0, err
		}
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return &verifier{ctx: ctx, f: f, p: p, left: st.Size, hash: blake3.New(), want: d}, st.Size, nil
}

// verifier hashes what it reads.
type verifier struct {
	ctx  context.Context
	f    vfs.File
	p    farm.Path
	left int64
	hash *blake3.Hasher
	want farm.Digest
}

func (v *verifier) Read(b []byte) (int, error) {
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	if v.left == 0 {
		if farm.Digest(v.hash.Sum(nil)) != v.want {
			return 0, farm.Errorf("serve", v.p.String(), farm.Conflict, "the file is not %s any more", v.want.Short())
		}
		return 0, io.EOF
	}
	n, err := v.f.Read(b[:min(int64(len(b)), v.left)])
	_, _ = v.hash.Write(b[:n]) // never fails
	v.left -= int64(n)
	if err == io.EOF {
		return n, farm.Errorf("serve", v.p.String(), farm.Conflict, "the file became shorter")
	}
	return n, err
}

func (v *verifier) Close() error { return v.f.Close() }
