package sim

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"tandem/internal/farm"
)

const (
	largeBytes      = 300 << 10 // of a large value, besides what makes it unique
	simPartialBytes = 64 << 10  // to be fetched for a transfer to be resumed
	breakPercent    = 3         // of fetched parts that end in the middle
)

// enlarge makes a value large, if values are: what is unique stands somewhere in what all have.
func (f *sim) enlarge(value string) string {
	if !f.opt.Large {
		return value
	}
	if f.filling == "" {
		b := make([]byte, largeBytes)
		_, _ = rand.NewChaCha8([32]byte{}).Read(b)
		clear(b[100<<10 : 180<<10])
		f.filling = string(b)
	}
	at := largeBytes / 8 * (f.values % 8)
	return "<" + f.filling[:at] + "[" + value + "]" + f.filling[at:] + ">"
}

// short is a value without what makes it large.
func short(value string) string {
	if len(value) < largeBytes {
		return value
	}
	var out strings.Builder
	for {
		_, rest, ok := strings.Cut(value, "[")
		if !ok {
			return out.String()
		}
		word, tail, ok := strings.Cut(rest, "]")
		if ok && len(word) < 20 && strings.Trim(word, "abcdefgh0123456789") == "" {
			out.WriteString(word)
		}
		value = rest
		if ok {
			value = tail
		}
	}
}

// recipe is what catalogue keeps of a recipe.
type recipe struct {
	value []byte
	marks []uint64
}

// Recipe implements install.Recipes, as do SaveRecipe and Similar. Recipes are hints: that a power cut spares them here
// makes no difference.
func (c *catalogue) Recipe(d farm.Digest) ([]byte, error) { return c.recipes[d].value, nil }

func (c *catalogue) SaveRecipe(d farm.Digest, value []byte, marks []uint64) error {
	c.recipes[d] = recipe{value, marks}
	return nil
}

func (c *catalogue) Similar(marks []uint64) (list []farm.Digest, err error) {
	for d, r := range c.recipes {
		if slices.ContainsFunc(r.marks, func(m uint64) bool { return slices.Contains(marks, m) }) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b farm.Digest) int { return bytes.Compare(a[:], b[:]) })
	return list, nil
}

// Holders makes source an install.Parts, as do Recipe and OpenPart.
func (s source) Holders() (ids []farm.MemberID) {
	for _, o := range s.n.f.linked(s.n) {
		ids = append(ids, o.id)
	}
	return ids
}

// places of a content on a member, as its index says, and at last its preserved files.
func (s source) places(o *node, d farm.Digest) []farm.Record {
	var list []farm.Record
	for _, p := range o.cat.byDigest(d) {
		r, _ := o.cat.Get(p)
		list = append(list, r)
	}
	return append(list, farm.Record{Disk: farm.Disk{Attr: farm.Attr{Type: farm.File, Digest: d}}})
}

func (s source) Recipe(ctx context.Context, from farm.MemberID, d, base farm.Digest) (b []byte, err error) {
	o := s.n.f.node(from)
	for _, r := range s.places(o, d) {
		if b, err = o.keeper.Recipe(ctx, r.Path, r.Disk, base); err == nil {
			return b, nil
		}
	}
	return nil, err
}

func (s source) OpenPart(ctx context.Context, from farm.MemberID, d farm.Digest, offset, n int64) (rc io.ReadCloser, err error) {
	o := s.n.f.node(from)
	gone := farm.Errorf("fetch", s.path.String(), farm.Unavailable, "the member died")
	if !o.up {
		return nil, gone
	}
	for _, r := range s.places(o, d) {
		if rc, err = o.keeper.OpenPart(ctx, r.Path, r.Disk, offset, n); err == nil {
			break
		}
	}
	if err != nil || s.n.f.calm || !s.n.f.chance(breakPercent) {
		return rc, err
	}
	return broken{io.LimitReader(rc, n/2), rc, gone}, nil
}

// broken is a part whose member dies in the middle.
type broken struct {
	io.Reader
	io.Closer
	err error
}

func (b broken) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		err = b.err
	}
	return n, err
}
