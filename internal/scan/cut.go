package scan

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"tandem/internal/chunk"
	"tandem/internal/farm"
)

// Recipes keeps recipes of contents: of large files, made in the same pass as their digests.
type Recipes interface {
	SaveRecipe(d farm.Digest, recipe []byte, marks []uint64) error
}

const (
	cutBlockBytes = 1 << 20 // read at a time from a large file
	cutBlocks     = 4       // of a file in memory
	cutAsideBytes = 8 << 20 // files from this size on are hashed and cut beside the reading
)

// block is what was read and is not yet hashed and cut.
type block struct {
	data []byte
	left atomic.Int32 // who has not done with it
}

// cut reads a large file for its digest and, if it can be cut, its recipe.
func (s *Scanner) cut(ctx context.Context, f io.Reader, size int64) (d farm.Digest, r chunk.Recipe, err error) {
	h, m := newHash(), chunk.NewMaker()
	takers := []io.Writer{h, m}
	free := make(chan *block, cutBlocks)
	for range min(cutBlocks, size/cutBlockBytes+1) {
		free <- &block{data: make([]byte, min(size+1, cutBlockBytes))}
	}
	give := func(b *block, n int) {
		for _, w := range takers {
			_, _ = w.Write(b.data[:n]) // neither fails
		}
		free <- b
	}
	end := func() {}
	if size >= cutAsideBytes {
		give, end = aside(takers, free)
	}
	err = readBlocks(ctx, f, size, free, give)
	end()
	if err != nil {
		return d, nil, err
	}
	h.Sum(d[:0])
	if r, ok := m.Recipe(); ok {
		return d, r, nil
	}
	return d, nil, nil
}

// aside starts a goroutine for each of the takers; give hands them a block, end waits until they have done with all.
func aside(takers []io.Writer, free chan<- *block) (give func(*block, int), end func()) {
	type part struct {
		*block
		n int
	}
	var group sync.WaitGroup
	queues := make([]chan part, len(takers))
	for i, w := range takers {
		queues[i] = make(chan part, cutBlocks)
		group.Go(func() {
			for p := range queues[i] {
				_, _ = w.Write(p.data[:p.n]) // neither fails
				if p.left.Add(-1) == 0 {
					free <- p.block
				}
			}
		})
	}
	give = func(b *block, n int) {
		b.left.Store(int32(len(takers)))
		for _, q := range queues {
			q <- part{b, n}
		}
	}
	end = func() {
		for _, q := range queues {
			close(q)
		}
		group.Wait()
	}
	return give, end
}

// readBlocks reads exactly size bytes in blocks that it takes from free.
func readBlocks(ctx context.Context, f io.Reader, size int64, free <-chan *block, give func(*block, int)) error {
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := <-free
		n, err := io.ReadFull(f, b.data)
		total += int64(n)
		end := err == io.EOF || err == io.ErrUnexpectedEOF
		switch {
		case total > size || end && total != size:
			return errMoved
		case err != nil && !end:
			return err
		}
		give(b, n)
		if end {
			return nil
		}
	}
}

func (s *Scanner) saveRecipe(p farm.Path, d farm.Digest, r chunk.Recipe) {
	if err := s.recipes.SaveRecipe(d, r.Encode(), r.Marks()); err != nil {
		s.log.Warn("a recipe can't be saved; it is made again when it is needed", "path", p, "err", err)
	}
}
