package index

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
)

func contentNumber(n int) farm.Digest {
	return blake3.Sum256(binary.AppendVarint(nil, int64(n)))
}

func TestRecipes(t *testing.T) {
	dir := t.TempDir()
	x, err := Open(dir, "site")
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := contentNumber(1), contentNumber(2), contentNumber(3)
	if v, err := x.Recipe(a); v != nil || err != nil {
		t.Errorf("before: %q, %v", v, err)
	}
	for _, err := range []error{
		x.SaveRecipe(a, []byte("first"), []uint64{1, 2}),
		x.SaveRecipe(b, []byte("other"), []uint64{2, 3, 1 << 63}),
		x.SaveRecipe(a, []byte("again"), []uint64{3, 4}),
		x.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if x, err = Open(dir, "site"); err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if v, err := x.Recipe(a); string(v) != "again" || err != nil {
		t.Errorf("after: %q, %v", v, err)
	}
	if v, err := x.Recipe(c); v != nil || err != nil {
		t.Errorf("of another: %q, %v", v, err)
	}
	for _, q := range []struct {
		marks []uint64
		want  []farm.Digest
	}{{[]uint64{1}, nil}, {[]uint64{1 << 63}, []farm.Digest{b}}, {[]uint64{2, 3}, []farm.Digest{b, a}}, {nil, nil}} {
		if got, err := x.Similar(q.marks); !slices.Equal(got, q.want) || err != nil {
			t.Errorf("similar %v: %v, %v", q.marks, got, err)
		}
	}
}

// TestRecipesAreBounded keeps those of contents that a record has, and the latest of the others, up to a size.
func TestRecipesAreBounded(t *testing.T) {
	x, err := Open(t.TempDir(), "site")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	held := contentNumber(1)
	rec := farm.Record{Path: farm.MustPath("big"), Disk: farm.Disk{Attr: farm.Attr{Type: farm.File, Digest: held, Size: 1}}}
	if err := x.Commit(Batch{Put: []farm.Record{rec}}); err != nil {
		t.Fatal(err)
	}
	const saves = 2*maxRecipeOrphans + recipeTrimEvery
	for i := range saves {
		if err := x.SaveRecipe(contentNumber(1+i), []byte("recipe"), []uint64{uint64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	count := func() (n int) {
		for i := range saves {
			if v, _ := x.Recipe(contentNumber(1 + i)); v != nil {
				n++
			}
		}
		return n
	}
	if n := count(); n < maxRecipeOrphans || n > maxRecipeOrphans+recipeTrimEvery+1 {
		t.Errorf("%d recipes are kept", n)
	}
	if v, _ := x.Recipe(held); v == nil {
		t.Error("that of a content in the folder is gone")
	}
	x.write.Lock()
	err = x.writer.transaction(func() error { return x.writer.trimRecipes(0, 10*int64(len("recipe"))) })
	x.write.Unlock()
	if n := count(); n != 10 || err != nil {
		t.Errorf("%d recipes are kept below the limit, %v", n, err)
	}
	if marks, err := x.writer.number("SELECT count(*) FROM mark"); marks != 10 || err != nil {
		t.Errorf("%d marks, %v", marks, err)
	}
}
