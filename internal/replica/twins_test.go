package replica

import (
	"slices"
	"testing"
	"time"

	"tandem/internal/farm"
)

// A name that is new of a file which was written to under it says nothing of the others: all is looked at, in a while.
func TestUnknownNamesOfAFile(t *testing.T) {
	for _, written := range []bool{false, true} {
		now := time.Unix(1_700_000_000, 0)
		m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: farm.Actor{Member: "web1", Epoch: 1}}}, rows{})
		m.Step(now, Start{})
		m.Step(now, Walked{ID: 1})
		stat := farm.Fingerprint{Ino: 1, MTime: 1, CTime: 2}
		if written {
			stat.MTime = 2
		}
		path := farm.MustPath("a")
		m.Step(now, Dirty{Paths: []farm.Path{path}})
		m.Step(now, Observed{Path: path, Seen: farm.Observation{Path: path, Linked: true, Attr: farm.Attr{Type: farm.File}, Stat: stat}})
		if m.Trusted() == written {
			t.Errorf("written %v, trusted %v", written, m.Trusted())
		}
		effects := m.Step(now.Add(twinsDelay), Tick{})
		if slices.ContainsFunc(effects, func(e Effect) bool { _, ok := e.(Walk); return ok }) != written {
			t.Errorf("written %v: %v", written, effects)
		}
	}
}

// A file with several names that changes in place is notified of under one of them: the others are looked at, too, also
// when that name was taken away since. A file that never had another name concerns no other.
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
		{"new", 1, 1, true, false}, {"in place", 1, 2, true, true}, {"another file takes the name", 2, 3, true, true},
		{"one name is left", 2, 4, false, false}, {"a third file", 3, 5, false, true}, {"and a fourth", 4, 6, false, false},
	} {
		if got := see(c.ino, c.size, c.linked); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}
