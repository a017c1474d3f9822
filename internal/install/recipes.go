package install

import (
	"context"
	"io"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Recipes keeps recipes of contents. They are hints: what is lost is made again, what is wrong costs a transfer.
type Recipes interface {
	Recipe(farm.Digest) ([]byte, error) // nil without an error: there is none
	SaveRecipe(d farm.Digest, recipe []byte, marks []uint64) error
	// Similar lists contents whose recipes share marks.
	Similar(marks []uint64) ([]farm.Digest, error)
}

// recipeOf returns the recipe of a content, if it is known.
func (k *Keeper) recipeOf(d farm.Digest) chunk.Recipe {
	b, err := k.cfg.Recipes.Recipe(d)
	if err == nil && b == nil {
		return nil
	}
	var r chunk.Recipe
	if err == nil {
		r, err = chunk.Decode(b, nil)
	}
	if err != nil {
		k.cfg.Log.Warn("a recipe can't be read; it is made again when it is needed", "digest", d.Short(), "err", err)
	}
	return r
}

func (k *Keeper) saveRecipe(d farm.Digest, r chunk.Recipe) {
	if err := k.cfg.Recipes.SaveRecipe(d, r.Encode(), r.Marks()); err != nil {
		k.cfg.Log.Warn("a recipe can't be saved; it is made again when it is needed", "digest", d.Short(), "err", err)
	}
}

// ownRecipe is that of what the plan replaces; it is made if need be. Nil: it shares nothing.
func (k *Keeper) ownRecipe(ctx context.Context, plan farm.Plan) chunk.Recipe {
	is := plan.Expect
	if is.Type != farm.File || is.Size <= minChunkedLen {
		return nil
	}
	if r := k.recipeOf(is.Digest); r != nil {
		return r
	}
	r, err := k.makeRecipe(ctx, plan.Path, is)
	if err != nil {
		return nil // it has changed, and the plan will find out
	}
	return r
}

// makeRecipe reads the file at p, which has to be what the index says.
func (k *Keeper) makeRecipe(ctx context.Context, p farm.Path, is farm.Disk) (chunk.Recipe, error) {
	k.making.Lock() // one at a time: it takes a core
	defer k.making.Unlock()
	if r := k.recipeOf(is.Digest); r != nil {
		return r, nil
	}
	r, err := k.OpenPart(ctx, p, is, 0, is.Size)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	m := chunk.NewMaker()
	if _, err := io.CopyBuffer(struct{ io.Writer }{m}, struct{ io.Reader }{r}, make([]byte, hashBytes)); err != nil {
		return nil, err
	}
	recipe, ok := m.Recipe()
	if !ok {
		return nil, farm.Errorf("cut", p.String(), farm.Unsupported, "it has too many chunks")
	}
	k.saveRecipe(is.Digest, recipe)
	return recipe, nil
}

// wantedRecipe is that of what the plan wants, from here or from a member. Nil: nobody has one that can be.
func (k *Keeper) wantedRecipe(ctx context.Context, plan farm.Plan, own chunk.Recipe, parts Parts) chunk.Recipe {
	want := plan.Want
	if r := k.recipeOf(want.Digest); r != nil && r.Size() == want.Size {
		return r
	}
	var base farm.Digest
	if own != nil {
		base = plan.Expect.Digest
	}
	for _, m := range parts.Holders() {
		b, err := parts.Recipe(ctx, m, want.Digest, base)
		if err != nil {
			continue
		}
		r, err := chunk.Decode(b, own)
		if err == nil && r.Size() == want.Size {
			return r
		}
		k.cfg.Log.Info("a member has no good recipe", "member", m, "path", plan.Path, "err", err)
	}
	return nil
}

// openBases opens the local files that share chunks with what is wanted: what the plan replaces, and similar ones.
func (k *Keeper) openBases(plan farm.Plan, own, recipe chunk.Recipe, src Source) []base {
	var list []base
	add := func(p farm.Path, r chunk.Recipe) bool {
		f, err := k.fs.Open(p)
		if err != nil {
			return false
		}
		list = append(list, base{f, r})
		return true
	}
	if own != nil {
		add(plan.Path, own)
	}
	similar, err := k.cfg.Recipes.Similar(recipe.Marks())
	if err != nil {
		k.cfg.Log.Warn("can't look for similar files", "err", err)
	}
	for _, d := range similar[:min(len(similar), maxBases)] {
		if d == plan.Want.Digest || d == plan.Expect.Digest {
			continue
		}
		r := k.recipeOf(d)
		paths := src.Local(d)
		if p, ok := k.kept.content(d); ok {
			paths = append(paths[:len(paths):len(paths)], p)
		}
		for _, p := range paths[:min(len(paths), maxLocals)] {
			if r == nil || add(p, r) {
				break
			}
		}
	}
	return list
}

// OpenPart opens a part of a content for another member, from the file at p if it still is what the index says; at the
// root, from a preserved file. If it changes while it is read, the error at the end is Conflict.
func (k *Keeper) OpenPart(ctx context.Context, p farm.Path, is farm.Disk, offset, n int64) (io.ReadCloser, error) {
	if p.Private() {
		return nil, farm.Errorf("serve", p.String(), farm.Denied, "lies in Tandem's private area")
	}
	preserved := p.IsRoot()
	if preserved {
		kept, ok := k.kept.content(is.Digest)
		if !ok {
			return nil, farm.Errorf("serve", is.Digest.Short(), farm.NotFound, "nothing here has this content")
		}
		p = kept
	}
	f, err := k.fs.Open(p)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	switch {
	case err != nil:
	case !preserved && !st.Matches(is.Stat):
		err = farm.Errorf("serve", p.String(), farm.Conflict, "the file is not %s any more", is.Digest.Short())
	case offset < 0 || n < 0 || n > st.Size || offset > st.Size-n:
		err = farm.Errorf("serve", p.String(), farm.Invalid, "%d bytes at %d are not in a file of %d", n, offset, st.Size)
	}
	if err != nil {
		_ = f.Close() // it was not read
		return nil, err
	}
	return &served{ctx: ctx, f: f, p: p, was: st, at: offset, left: n}, nil
}

// served is a part that is read by another member.
type served struct {
	ctx  context.Context
	f    vfs.File
	p    farm.Path
	was  vfs.Stat
	at   int64
	left int64
}

func (s *served) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	if s.left == 0 {
		if st, err := s.f.Stat(); err != nil || !st.Matches(s.was.Fingerprint) {
			return 0, farm.Errorf("serve", s.p.String(), farm.Conflict, "the file changed while it was read")
		}
		return 0, io.EOF
	}
	n, err := s.f.ReadAt(b[:min(int64(len(b)), s.left)], s.at)
	s.at += int64(n)
	s.left -= int64(n)
	if err == io.EOF && s.left > 0 {
		return n, farm.Errorf("serve", s.p.String(), farm.Conflict, "the file became shorter")
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (s *served) Close() error { return s.f.Close() }

// Recipe returns the recipe of the file at p for another member, against that of base if it is known here.
func (k *Keeper) Recipe(ctx context.Context, p farm.Path, is farm.Disk, baseOf farm.Digest) ([]byte, error) {
	if k.cfg.Recipes == nil {
		return nil, farm.Errorf("serve", p.String(), farm.Unsupported, "no recipes are kept")
	}
	r := k.recipeOf(is.Digest)
	if r == nil {
		if p.IsRoot() {
			return nil, farm.Errorf("serve", is.Digest.Short(), farm.NotFound, "it has no recipe")
		}
		var err error
		if r, err = k.makeRecipe(ctx, p, is); err != nil {
			return nil, err
		}
	}
	if !baseOf.IsZero() {
		if b := k.recipeOf(baseOf); b != nil {
			return r.EncodeAgainst(b), nil
		}
	}
	return r.Encode(), nil
}
