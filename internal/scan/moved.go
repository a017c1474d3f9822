package scan

import (
	"context"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// maxBesides is how many entries may be listed that a renamed directory holds and the catalogue does not know.
const maxBesides = 1024

// Moved tells whether the directory that was at from, which was is, is now at to with all that the catalogue has in it: the same inodes,
// unchanged. No content is read. What lies there besides and may be replicated is listed, and so are files whose fingerprint may
// hide a write.
//
// An error of the root is that of CheckRoot; what can't be looked at for another reason is not the same.
func (s *Scanner) Moved(ctx context.Context, from, to farm.Path, is farm.Disk, cat Catalogue) (farm.Fingerprint, []farm.Path, bool, error) {
	c := comparison{Scanner: s, filter: s.filter.Load(), cat: cat}
	if err := s.fs.CheckRoot(); err != nil {
		return farm.Fingerprint{}, nil, false, err
	}
	if st, err := s.fs.Lstat(from); err == nil && st.Ino == is.Stat.Ino || err != nil && farm.KindOf(err) != farm.NotFound {
		return farm.Fingerprint{}, nil, false, nil
	}
	top, err := s.fs.Lstat(to)
	if err != nil || !c.same(to, top, is) {
		return farm.Fingerprint{}, nil, false, nil
	}
	todo := [][2]farm.Path{{from, to}}
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return farm.Fingerprint{}, nil, false, err
		}
		pair := todo[len(todo)-1]
		below, ok := c.directory(pair[0], pair[1])
		if !ok {
			return farm.Fingerprint{}, nil, false, nil
		}
		todo = append(todo[:len(todo)-1], below...)
	}
	return top.Fingerprint, c.besides, true, nil
}

// comparison is the state of one Moved.
type comparison struct {
	*Scanner
	filter  *Filter
	cat     Catalogue
	extra   int
	besides []farm.Path
}

// directory compares one directory, and returns the pairs of those in it.
func (c *comparison) directory(from, to farm.Path) (below [][2]farm.Path, ok bool) {
	known, err := c.cat.Children(from)
	if err != nil {
		return nil, false
	}
	list, err := c.fs.ReadDir(to)
	if err != nil {
		return nil, false
	}
	_, excluded := c.filter.Decides(to)
	for _, e := range list {
		child, err := to.Join(e.Name)
		if err != nil || c.filter.leavesChild(child, excluded) {
			continue
		}
		prior, is := known[e.Name]
		if !is || prior.Type == farm.Absent {
			if c.extra++; c.extra > maxBesides {
				return nil, false
			}
			c.besides = append(c.besides, child)
			continue
		}
		delete(known, e.Name)
		st, err := c.fs.Lstat(child)
		if err != nil || !c.same(child, st, prior) {
			return nil, false
		}
		if prior.Stat.Racy && st.Type != farm.Dir && st.Size <= RacyReadBytes {
			c.besides = append(c.besides, child)
		}
		if st.Type == farm.Dir {
			was, err := from.Join(e.Name)
			if err != nil {
				return nil, false
			}
			below = append(below, [2]farm.Path{was, child})
		}
	}
	for _, d := range known {
		if d.Type != farm.Absent {
			return nil, false // something is missing
		}
	}
	return below, true
}

// same tells whether st is of what prior describes, under another name.
func (c *comparison) same(p farm.Path, st vfs.Stat, prior farm.Disk) bool {
	if st.Type != farm.Dir || st.Type != prior.Type {
		return st.Type == prior.Type && st.Matches(prior.Stat)
	}
	same, err := c.unchanged(p, st, prior)
	return err == nil && same && st.Ino == prior.Stat.Ino && st.Dev == prior.Stat.Dev
}
