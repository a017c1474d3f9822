package sim

import (
	"strings"

	"tandem/internal/farm"
)

// twins is an application at work where a member can't tell some names apart. Elsewhere, names differ in case alone; on
// that member an application spells a name as its disk has it, since it would reach nothing else by it.
func (n *node) twins(p farm.Path) {
	switch {
	case n.folds:
		p = n.spelled(p)
	case n.f.chance(25):
		p = farm.MustPath(strings.ToUpper(p.String()))
	case n.f.chance(25):
		p = farm.MustPath(p.String()[:1] + strings.ToUpper(p.String()[1:]))
	}
	switch n.f.rng.IntN(12) {
	case 0, 1, 2, 3:
		n.write(p)
	case 4:
		n.appendTo(p)
	case 5:
		n.chmod(p)
	case 6, 7:
		n.remove(p)
	case 8:
		n.removeAll(p)
	case 9, 10:
		n.mkdir(p)
	case 11:
		if upper := farm.MustPath(strings.ToUpper(p.String())); !n.folds {
			n.rename(p, upper)
		}
	}
}

// spelled is p as the disk has it.
func (n *node) spelled(p farm.Path) farm.Path {
	at := farm.Path{}
	for name := range strings.SplitSeq(p.String(), "/") {
		list, err := n.mem.ReadDir(at)
		for _, e := range list {
			if err == nil && strings.EqualFold(e.Name, name) {
				name = e.Name
			}
		}
		at, err = at.Join(name)
		n.must(err)
	}
	return at
}

// folded is the tree that a member with got is right to have when want is the farm's: of what it can't tell apart, one,
// with all that is below it. Which one depends on what came first.
func folded(want, got map[string]string) map[string]string {
	out := map[string]string{}
	for p, entry := range want {
		if !shadowed(p, want, got) {
			out[p] = entry
		}
	}
	return out
}

// shadowed tells whether got has another path of want in the place of p, or of a directory that p is in.
func shadowed(p string, want, got map[string]string) bool {
	for at := farm.MustPath(p); !at.IsRoot(); at = at.Parent() {
		if _, ok := got[at.String()]; ok {
			return false
		}
		for q := range got {
			if _, ok := want[q]; ok && strings.EqualFold(q, at.String()) {
				return true
			}
		}
	}
	return false
}
