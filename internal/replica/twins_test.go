package replica

import (
	"slices"
	"testing"
	"time"

	"tandem/internal/farm"
)

// A file with several names that changes in place is notified of under one of them: the others are looked at, too. A new
// file that takes one of the names concerns no other.
func TestOtherNamesOfAFile(t *testing.T) {
	path := farm.MustPath("a")
	now := time.Unix(1_700_000_000, 0)
	m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: farm.Actor{Member: "web1", Epoch: 1}}}, rows{})
	m.Step(now, Start{})
	see := func(ino uint64, size int64, linked bool) (twins bool) {
		m.Step(now, Dirty{Paths: []farm.Path{path}})
		effects := m.Step(now, Observed{Path: path, Seen: farm.Observation{Path: path, Linked: linked,
			Attr: farm.Attr{Type: farm.File, Size: size}, Stat: farm.Fingerprint{Ino: ino}}})
		return slices.ContainsFunc(effects, func(e Effect) bool { _, ok := e.(Twins); return ok })
	}
	for _, c := range []struct {
		what   string
		ino    uint64
		size   int64
		linked bool
		want   bool
	}{
		{"new", 1, 1, true, false}, {"in place", 1, 2, true, true}, {"another file", 2, 3, true, false}, {"one name", 2, 4, false, false},
	} {
		if got := see(c.ino, c.size, c.linked); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
