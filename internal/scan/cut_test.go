package scan_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/zeebo/blake3"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/scan"
)

// recipes keeps what it is given.
type recipes map[farm.Digest][]byte

func (r recipes) SaveRecipe(d farm.Digest, recipe []byte, _ []uint64) error {
	r[d] = recipe
	return nil
}

// TestRecipes has a recipe made of every large file, beside its digest, and of no other.
func TestRecipes(t *testing.T) {
	const aside = 8 << 20
	for _, size := range []int{chunk.MinFileBytes, chunk.MinFileBytes + 1, 1 << 20, aside - 1, aside, aside + 12345} {
		content := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(content)
		m := chunk.NewMaker()
		_, _ = m.Write(content)
		want, _ := m.Recipe()
		kept := recipes{}
		each(t, scan.Config{Recipes: kept}, func(r *rig) {
			clear(kept)
			p := farm.MustPath("big")
			if err := r.app.WriteFile(p, content); err != nil {
				r.Fatal(err)
			}
			o, err := r.s.Examine(r.Context(), p, farm.Disk{})
			if err != nil || o.Attr.Digest != blake3.Sum256(content) {
				r.Fatalf("%d bytes: digest %s, %v", size, o.Attr.Digest.Short(), err)
			}
			switch got, err := chunk.Decode(kept[o.Attr.Digest], nil); {
			case size <= chunk.MinFileBytes && len(kept) > 0:
				r.Errorf("%d bytes have a recipe", size)
			case size > chunk.MinFileBytes && (err != nil || !slices.Equal(got, want)):
				r.Errorf("%d bytes: %v, %d chunks of %d", size, err, len(got), len(want))
			}
		})
	}
}
