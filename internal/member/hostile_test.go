package member

import (
	"math"
	"testing"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
)

// TestAbsurdFetch: a member asks for what there is not.
func TestAbsurdFetch(t *testing.T) {
	s := first(t, "web1")
	digest := farm.Digest(blake3.Sum256([]byte("hello")))
	s.write("a", "hello")
	p := farm.MustPath("a")
	eventually(t, "the file is known", func() bool {
		r, _, err := s.Open(t.Context(), "www", p, digest, 0)
		if err != nil {
			return false
		}
		return r.Close() == nil
	})
	for name, x := range map[string]struct {
		folder farm.FolderID
		digest farm.Digest
		offset int64
		kind   farm.Kind
	}{
		"behind the end": {"www", digest, 6, farm.Invalid},
		"absurd offset":  {"www", digest, math.MaxInt64, farm.Invalid},
		"no such folder": {"none", digest, 0, farm.NotFound},
	} {
		if _, _, err := s.Open(t.Context(), x.folder, p, x.digest, x.offset); farm.KindOf(err) != x.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, _, err := s.Open(t.Context(), "www", p, farm.Digest(blake3.Sum256([]byte("another"))), 0); err == nil {
		t.Errorf("content that nobody has was opened: %v", r.Close())
	}
}
