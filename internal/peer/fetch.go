package peer

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// maxResumes is how often a fetch goes on after its connection was lost, without a byte gained in between.
const maxResumes = 3

// fetched is content on its way. It resumes where a lost connection left off, and checks size and digest at the end.
type fetched struct {
	ctx     context.Context
	cancel  context.CancelFunc
	session *session
	req     wire.FetchRequest
	size    int64
	stream  interface{ Recv() (*pb.Chunk, error) }
	rest    []byte // received and not yet read
	hash    *blake3.Hasher
	resumes int
	err     error // sticky
}

func newFetched(ctx context.Context, s *session, req wire.FetchRequest, size int64) *fetched {
	r := &fetched{session: s, req: req, size: size, hash: blake3.New()}
	r.ctx, r.cancel = context.WithCancel(ctx)
	return r
}

// open begins or resumes and waits for the first chunk, which tells whether there is content at all.
func (r *fetched) open() error {
	st, err := r.session.calls.Fetch(r.ctx, wire.EncodeFetch(r.req))
	if err != nil {
		return err
	}
	r.stream = st
	c, err := st.Recv()
	if err != nil {
		return err
	}
	if c.GetSize() != r.size {
		return farm.Errorf("fetch", r.req.Path.String(), farm.Corrupt, "%d bytes are offered, %d are wanted", c.GetSize(), r.size)
	}
	r.take(c)
	return nil
}

func (r *fetched) take(c *pb.Chunk) {
	r.rest = c.GetData()
	if len(r.rest) > 0 {
		r.resumes = 0
	}
	r.req.Offset += int64(len(r.rest))
	_, _ = r.hash.Write(r.rest) // never fails
}

// Read gives the content as it comes in.
func (r *fetched) Read(b []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.err == nil {
			r.err = r.next()
		}
		if r.err != nil {
			return 0, r.err
		}
	}
	n := copy(b, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// next receives a chunk, or tells how the content ended.
func (r *fetched) next() error {
	c, err := r.stream.Recv()
	for err != nil && !errors.Is(err, io.EOF) {
		err = r.failed(err)
		if farm.KindOf(err) != farm.Unavailable || r.ctx.Err() != nil || r.session.ctx.Err() != nil || r.resumes == maxResumes {
			return err
		}
		r.resumes++
		if err = r.open(); err == nil {
			return nil
		}
	}
	if err == nil {
		r.take(c)
	}
	switch {
	case r.req.Offset > r.size:
		return farm.Errorf("fetch", r.req.Path.String(), farm.Corrupt, "more than %d bytes came", r.size)
	case err == nil:
		return nil
	case r.req.Offset < r.size:
		return farm.Errorf("fetch", r.req.Path.String(), farm.Corrupt, "%d bytes came, %d were promised", r.req.Offset, r.size)
	case !bytes.Equal(r.hash.Sum(nil), r.req.Digest[:]):
		return farm.Errorf("fetch", r.req.Path.String(), farm.Corrupt, "what came does not have the digest %s", r.req.Digest.Short())
	}
	return io.EOF
}

// failed is the error as the caller gets it.
func (r *fetched) failed(err error) error {
	return wire.FromStatus("fetch", string(r.session.link.id)+":"+r.req.Path.String(), err)
}

// Close ends the fetch, complete or not.
func (r *fetched) Close() error {
	r.cancel()
	return nil
}
