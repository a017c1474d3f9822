package peer

import (
	"bytes"
	"context"
	"io"

	"tandem/internal/farm"
	"tandem/internal/wire"
	"tandem/internal/wire/pb"
)

// askByCall asks over gRPC.
func askByCall(ctx context.Context, s *session, q wire.FetchRequest) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	r := &called{cancel: cancel, path: string(s.link.id) + ":" + q.Path.String(), left: q.Length, any: q.Recipe}
	st, err := s.calls.Fetch(ctx, wire.EncodeFetch(q))
	if err == nil {
		r.stream = st
		err = r.next()
	}
	if err != nil && err != io.EOF {
		cancel()
		return nil, wire.FromStatus("fetch", r.path, err)
	}
	return r, nil
}

// called is a part that comes over gRPC. A member of an older version sends more than was asked for.
type called struct {
	cancel func()
	path   string
	stream interface{ Recv() (*pb.Chunk, error) }
	left   int64
	any    bool
	rest   bytes.Reader
}

func (r *called) next() error {
	c, err := r.stream.Recv()
	if err != nil {
		return err
	}
	b := c.GetData()
	if !r.any {
		b = b[:min(int64(len(b)), r.left)]
		r.left -= int64(len(b))
	}
	r.rest.Reset(b)
	return nil
}

// Read gives the part as it comes in.
func (r *called) Read(b []byte) (int, error) {
	for r.rest.Len() == 0 {
		if !r.any && r.left == 0 {
			return 0, io.EOF
		}
		if err := r.next(); err == io.EOF && !r.any {
			return 0, farm.Errorf("fetch", r.path, farm.Corrupt, "it ends %d bytes too early", r.left)
		} else if err != nil {
			if err != io.EOF {
				err = wire.FromStatus("fetch", r.path, err)
			}
			return 0, err
		}
	}
	return r.rest.Read(b)
}

// Close ends the part, complete or not.
func (r *called) Close() error {
	r.cancel()
	return nil
}
