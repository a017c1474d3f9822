package install

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/zeebo/blake3"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

const (
	pieceBytes    = 8 << 20 // of an assembly, copied or fetched in one go
	perHolder     = 2       // pieces fetched from one member at a time
	maxFetchers   = 8       // pieces fetched at a time for one content
	maxFailures   = 3       // of a member in a row, until it is asked no more
	maxRepairs    = 2       // what came from local files and was wrong is fetched
	maxBases      = 3       // files that are read besides the path's own
	hashBytes     = 1 << 20 // read and hashed at a time
	alreadyThere  = -3      // piece.From of what an earlier attempt left
	minChunkedLen = chunk.MinFileBytes
)

// Parts is a Source that gives parts of contents too.
type Parts interface {
	// Holders are the members to ask.
	Holders() []farm.MemberID
	// Recipe asks a member for the recipe of a content, which may refer to that of base.
	Recipe(ctx context.Context, from farm.MemberID, d, base farm.Digest) ([]byte, error)
	// OpenPart opens n bytes of a content from the offset on. What it gives is not checked.
	OpenPart(ctx context.Context, from farm.MemberID, d farm.Digest, offset, n int64) (io.ReadCloser, error)
}

// assembly is a content that is being put together. Its pieces follow each other from offset 0.
type assembly struct {
	k      *Keeper
	plan   farm.Plan
	parts  Parts
	recipe chunk.Recipe
	bases  []base
	temp   vfs.Temp
	pieces []chunk.Step
	strict bool // something was wrong

	mu     sync.Mutex
	change *sync.Cond
	queue  []int  // pieces to be fetched
	flying int    // pieces being copied or fetched, which may come back to the queue
	ready  []bool // pieces
	err    error  // why all is given up
	last   error  // of a member
}

// base is a local file that shares chunks with what is wanted.
type base struct {
	file   vfs.File
	recipe chunk.Recipe
}

// assemble puts the wanted content together from what is on this disk and what others have. Nil without an error: it
// is to be fetched whole.
func (k *Keeper) assemble(ctx context.Context, plan farm.Plan, src Source, parts Parts) (vfs.Temp, error) {
	own := k.ownRecipe(ctx, plan)
	recipe := k.wantedRecipe(ctx, plan, own, parts)
	if recipe == nil {
		return nil, ctx.Err()
	}
	a := &assembly{k: k, plan: plan, parts: parts, recipe: recipe}
	a.change = sync.NewCond(&a.mu)
	a.bases = k.openBases(plan, own, recipe, src)
	defer func() {
		for _, b := range a.bases {
			_ = b.file.Close() // it was only read
		}
	}()
	steps := a.steps()
	temp, done, err := k.openPartial(plan.Want, recipe, steps)
	if err != nil {
		return nil, err
	}
	a.temp = temp
	a.cut(steps, done)
	ok, err := a.whole(ctx)
	if err == nil && ok {
		k.saveRecipe(plan.Want.Digest, recipe)
		return temp, nil
	}
	if !ok && err == nil {
		// The recipe is not that of the content. What was put together by it is of no use.
		err = temp.Truncate(0)
	}
	return nil, errors.Join(err, temp.Close())
}

func (a *assembly) steps() []chunk.Step {
	have := make([]chunk.Recipe, len(a.bases))
	for i, b := range a.bases {
		have[i] = b.recipe
	}
	return chunk.Plan(a.recipe, have...)
}

// cut makes pieces of the steps, none too large. Chunks for which done is set are there.
func (a *assembly) cut(steps []chunk.Step, done []bool) {
	for _, s := range steps {
		at, to := s.At, s.To
		for i := s.First; i < s.First+s.Count; i++ {
			p := chunk.Step{From: s.From, At: at, To: to, Len: a.recipe[i].Len, First: i, Count: 1}
			if done != nil && done[i] {
				p.From = alreadyThere
			}
			at, to = at+p.Len, to+p.Len
			if n := len(a.pieces) - 1; n >= 0 && a.pieces[n].From == p.From && a.pieces[n].Len+p.Len <= pieceBytes &&
				(p.From < 0 || a.pieces[n].At+a.pieces[n].Len == p.At) {
				a.pieces[n].Len += p.Len
				a.pieces[n].Count++
				continue
			}
			a.pieces = append(a.pieces, p)
		}
	}
}

// whole fills the file and tells whether it has the wanted digest in the end.
func (a *assembly) whole(ctx context.Context) (bool, error) {
	for range maxRepairs + 1 {
		d, err := a.fill(ctx)
		if err != nil {
			return false, err
		}
		if d == a.plan.Want.Digest {
			return true, nil
		}
		bad, err := a.wrong()
		if err != nil || len(bad) == 0 {
			return false, err
		}
		// A local file or a member did not have what it was thought to have. Others have it.
		done := make([]bool, len(a.recipe))
		for i := range done {
			done[i] = true
		}
		for _, i := range bad {
			done[i] = false
		}
		a.pieces, a.strict = nil, true
		a.cut(chunk.Plan(a.recipe), done)
	}
	return false, nil
}

// wrong lists the chunks that are not in the file.
func (a *assembly) wrong() (bad []int, err error) {
	done, err := present(a.temp, a.recipe)
	for i, ok := range done {
		if !ok {
			bad = append(bad, i)
		}
	}
	return bad, err
}

// fill gets all pieces and returns the digest of the whole, which is computed meanwhile.
func (a *assembly) fill(ctx context.Context) (farm.Digest, error) {
	if err := a.temp.Truncate(a.plan.Want.Size); err != nil {
		return farm.Digest{}, err
	}
	a.ready = make([]bool, len(a.pieces))
	var local []int
	for i, p := range a.pieces {
		switch {
		case p.From == alreadyThere || p.From == chunk.Zeros:
			a.ready[i] = true
		case p.From == chunk.Remote:
			a.queue = append(a.queue, i)
		default:
			local = append(local, i)
		}
	}
	a.flying = len(local)
	if a.k.cfg.Serial {
		a.copyLocal(ctx, local)
		for _, m := range a.parts.Holders() {
			a.fetchFrom(ctx, m)
		}
		a.settle(ctx)
		return a.hash()
	}
	unhook := context.AfterFunc(ctx, func() { a.fail(&sourceError{ctx.Err()}) })
	defer unhook()
	var all sync.WaitGroup
	all.Go(func() {
		var group sync.WaitGroup
		group.Go(func() { a.copyLocal(ctx, local) })
		for i, m := range a.fetchers() {
			if i < maxFetchers {
				group.Go(func() { a.fetchFrom(ctx, m) })
			}
		}
		group.Wait()
		a.settle(ctx)
	})
	d, err := a.hash()
	all.Wait()
	return d, err
}

// fetchers names a member for each of the goroutines that fetch: all members once, then again.
func (a *assembly) fetchers() []farm.MemberID {
	var list []farm.MemberID
	holders := a.parts.Holders()
	for range perHolder {
		list = append(list, holders...)
	}
	return list
}

// settle gives up if pieces are left over.
func (a *assembly) settle(ctx context.Context) {
	a.mu.Lock()
	left, err := len(a.queue), a.last
	a.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		a.fail(&sourceError{ctx.Err()})
	case left == 0:
	case err == nil:
		a.fail(&sourceError{farm.Errorf("fetch", a.plan.Path.String(), farm.Unavailable, "no linked member has the content")})
	default:
		a.fail(&sourceError{err})
	}
}

func (a *assembly) fail(err error) {
	a.mu.Lock()
	if a.err == nil {
		a.err = err
	}
	a.mu.Unlock()
	a.change.Broadcast()
}

// finished takes note of a piece that was copied or fetched, or has to be fetched again.
func (a *assembly) finished(i int, ok bool) {
	a.mu.Lock()
	a.flying--
	if ok {
		a.ready[i] = true
	} else {
		a.queue = append([]int{i}, a.queue...)
	}
	a.mu.Unlock()
	a.change.Broadcast()
}

// next waits for a piece to fetch; -1: there will be none.
func (a *assembly) next() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.queue) == 0 && a.flying > 0 && a.err == nil {
		a.change.Wait()
	}
	if len(a.queue) == 0 || a.err != nil {
		return -1
	}
	i := a.queue[0]
	a.queue = a.queue[1:]
	a.flying++
	return i
}

// copyLocal copies pieces from files on this disk. What can't be had from them is fetched.
func (a *assembly) copyLocal(ctx context.Context, list []int) {
	for _, i := range list {
		p := a.pieces[i]
		err := ctx.Err()
		if err == nil {
			err = a.temp.CopyRange(a.bases[p.From].file, p.At, p.To, p.Len)
		}
		if kind := farm.KindOf(err); kind == farm.Full || kind == farm.Corrupt {
			a.fail(err)
		}
		a.finished(i, err == nil)
	}
}

// fetchFrom fetches pieces from a member until there are none or it fails.
func (a *assembly) fetchFrom(ctx context.Context, m farm.MemberID) {
	buf := make([]byte, chunk.MaxBytes)
	for failures := 0; failures < maxFailures; {
		i := a.next()
		if i < 0 {
			return
		}
		err := a.fetchPiece(ctx, m, a.pieces[i], buf)
		if err == nil {
			failures = 0
			a.finished(i, true)
			continue
		}
		a.finished(i, false)
		source := (*sourceError)(nil)
		if !errors.As(err, &source) {
			a.fail(err)
			return
		}
		a.mu.Lock()
		a.last = err
		a.mu.Unlock()
		if failures++; farm.KindOf(err) != farm.Unavailable || ctx.Err() != nil {
			return // it does not have it, or something else instead
		}
	}
}

// fetchPiece writes a piece as it comes in. The digest of the whole verifies it, and after a failure of that each chunk
// is verified before it is written: so that one knows who gave what.
func (a *assembly) fetchPiece(ctx context.Context, m farm.MemberID, p chunk.Step, buf []byte) (err error) {
	r, err := a.parts.OpenPart(ctx, m, a.plan.Want.Digest, p.To, p.Len)
	if err != nil {
		return &sourceError{err}
	}
	defer func() {
		if e := r.Close(); err == nil && e != nil {
			err = &sourceError{e}
		}
	}()
	if !a.strict {
		return a.take(r, m, p.To, chunk.Chunk{Len: p.Len}, buf)
	}
	to := p.To
	for _, c := range a.recipe[p.First : p.First+p.Count] {
		if err := a.take(r, m, to, c, buf); err != nil {
			return err
		}
		to += c.Len
	}
	return nil
}

// take writes c.Len bytes of r. A chunk of more than the buffer is one of zeros.
func (a *assembly) take(r io.Reader, m farm.MemberID, to int64, c chunk.Chunk, buf []byte) error {
	for end := to + c.Len; to < end; {
		b := buf[:min(end-to, int64(len(buf)))]
		if _, err := io.ReadFull(r, b); err != nil {
			return &sourceError{err}
		}
		if a.strict && !(chunk.Chunk{Len: int64(len(b)), Sum: c.Sum}).Holds(b) {
			return &sourceError{farm.Errorf("fetch", a.plan.Path.String(), farm.Corrupt, "%s gives something else at %d", m, to)}
		}
		if _, err := a.temp.WriteAt(b, to); err != nil {
			return err
		}
		to += int64(len(b))
	}
	return nil
}

// hash follows the pieces as they become ready.
func (a *assembly) hash() (d farm.Digest, err error) {
	h := blake3.New()
	buf := make([]byte, min(hashBytes, a.plan.Want.Size))
	for i, p := range a.pieces {
		a.mu.Lock()
		for !a.ready[i] && a.err == nil {
			a.change.Wait()
		}
		err := a.err
		a.mu.Unlock()
		if err != nil {
			return d, err
		}
		for off, end := p.To, p.To+p.Len; off < end; {
			b := buf[:min(int64(len(buf)), end-off)]
			if p.From == chunk.Zeros {
				clear(b)
			} else if _, err := a.temp.ReadAt(b, off); err != nil && err != io.EOF {
				a.fail(err)
				return d, err
			}
			_, _ = h.Write(b) // never fails
			off += int64(len(b))
		}
	}
	h.Sum(d[:0])
	return d, nil
}
