package scan

import (
	"context"
	"errors"
	"maps"
	"slices"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Catalogue is what the index believes to be on disk.
type Catalogue interface {
	// Children returns what lies directly in dir, by name. Entries of type Absent are as good as none. The map is the
	// caller's.
	Children(dir farm.Path) (map[string]farm.Disk, error)
}

// maxWalkErrors is how many unreadable directories an error of Walk names.
const maxWalkErrors = 10

// Walk compares what lies below dir with the catalogue and reports each path that is worth examining: what is new,
// missing, has another fingerprint, can't be looked at, or had been looked at too early to be sure. A directory comes
// before what is in it; of a missing directory, all that the catalogue has below is reported, too. Memory is bounded by
// the largest directory and the number of directories beside and above it.
//
// A report is a hint, and may be wrong by the time that it is examined; that nothing was reported of a path says that
// it was as in the catalogue when it was looked at. An error of report ends the walk and is returned. When directories
// could not be read the walk goes on, reports nothing of what is in them, and returns an error that names them. A root
// that is gone or not ours is the error of CheckRoot, and nothing is reported after it.
func (s *Scanner) Walk(ctx context.Context, dir farm.Path, cat Catalogue, report func(farm.Path) error) error {
	return s.compare(ctx, dir, true, cat, report)
}

// List is Walk of what lies directly in dir: a directory in it that the catalogue knows as another inode is reported and not
// entered. Only of directories that are missing it reports what was below them.
func (s *Scanner) List(ctx context.Context, dir farm.Path, cat Catalogue, report func(farm.Path) error) error {
	return s.compare(ctx, dir, false, cat, report)
}

func (s *Scanner) compare(ctx context.Context, dir farm.Path, deep bool, cat Catalogue, report func(farm.Path) error) error {
	if err := s.fs.CheckRoot(); err != nil {
		return err
	}
	if s.Excluded(dir) {
		return nil
	}
	w := &walk{Scanner: s, cat: cat, deep: deep, filter: s.filter.Load()}
	if deep && dir.IsRoot() {
		w.seen = s.beginCensus()
	}
	w.report = func(p farm.Path) error {
		w.count.Reported++
		return report(p)
	}
	todo := []farm.Path{dir}
	for len(todo) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		dir := todo[len(todo)-1]
		below, err := w.directory(dir)
		if err != nil {
			return err
		}
		if !deep {
			below = nil
		}
		slices.Reverse(below) // the first is to be the next
		todo = append(todo[:len(todo)-1], below...)
		w.count.Dirs++
		s.progress(w.count)
	}
	if w.seen != nil {
		s.endCensus(w.seen)
	}
	return errors.Join(w.failed...)
}

// walk is the state of one Walk.
type walk struct {
	*Scanner
	filter *Filter // one for the whole walk
	cat    Catalogue
	deep   bool
	report func(farm.Path) error
	count  Progress
	failed []error // directories that could not be read
	seen   *census // nil: not the whole folder is walked
}

// directory compares one directory and returns the directories in it.
func (w *walk) directory(dir farm.Path) (below []farm.Path, err error) {
	known, err := w.cat.Children(dir)
	if err != nil {
		return nil, err
	}
	_, excluded := w.filter.Decides(dir)
	at, list, err := w.list(dir)
	if err == nil {
		defer at.Close()
	}
	switch kind := farm.KindOf(err); {
	case err == nil:
	case kind == farm.NotFound || kind == farm.Conflict: // it is gone, or something else by now
		list = nil
	case kind == farm.Unavailable:
		return nil, err
	default:
		w.log.Warn("directory can't be read", "path", dir.String(), "err", err)
		if w.failed = append(w.failed, err); len(w.failed) > maxWalkErrors {
			w.failed = w.failed[:maxWalkErrors]
		}
		return nil, nil
	}
	for _, e := range list {
		child, err := dir.Join(e.Name)
		if err != nil || w.filter.leavesChild(child, excluded) {
			continue
		}
		prior := known[e.Name]
		delete(known, e.Name)
		isDir, err := w.entry(at, child, prior)
		if err != nil {
			return nil, err
		}
		if isDir {
			below = append(below, child)
		}
	}
	return below, w.absentees(dir, known, excluded)
}

// list opens the directory and lists it.
func (w *walk) list(dir farm.Path) (vfs.Dir, []vfs.DirEntry, error) {
	at, err := vfs.OpenDir(w.fs, dir)
	if err != nil {
		return nil, nil, err
	}
	list, err := at.List()
	if err != nil {
		_ = at.Close()
		return nil, nil, err
	}
	return at, list, nil
}

// entry compares one entry and tells whether it is a directory.
func (w *walk) entry(at vfs.Dir, p farm.Path, prior farm.Disk) (isDir bool, err error) {
	w.count.Entries++
	st, err := at.Lstat(p.Base())
	w.special(p, st, err)
	switch {
	case farm.KindOf(err) == farm.Unavailable:
		return false, err
	case err == nil && prior.Type == farm.Absent && w.filter.LeavesOut(p, st.Attr()):
		return false, nil
	case err == nil && (w.deep || st.Type != farm.Dir || st.Ino == prior.Stat.Ino):
		if same, e := w.unchanged(p, st, prior); same && e == nil {
			return st.Type == farm.Dir, nil
		}
	}
	if e := w.report(p); e != nil {
		return false, e
	}
	isDir = err == nil && st.Type == farm.Dir
	// Nothing can be below what is no directory now. What can't be looked at may still be one.
	if prior.Type == farm.Dir && !isDir && gone(st, err) {
		return false, w.missing(p)
	}
	return isDir, nil
}

func gone(st vfs.Stat, err error) bool {
	return err == nil && st.Type != farm.Dir || farm.KindOf(err) == farm.NotFound
}

// absentees reports what the catalogue has in dir and the disk has not, once it is sure that the root still is there.
// Excluded tells whether dir is.
func (w *walk) absentees(dir farm.Path, known map[string]farm.Disk, excluded bool) error {
	checked := false
	for _, name := range slices.Sorted(maps.Keys(known)) {
		child, err := dir.Join(name)
		if err != nil || known[name].Type == farm.Absent || w.filter.leavesChild(child, excluded) {
			continue
		}
		if !checked {
			if err := w.fs.CheckRoot(); err != nil {
				return err
			}
			checked = true
		}
		if err := w.report(child); err != nil {
			return err
		}
		if known[name].Type == farm.Dir {
			if err := w.missing(child); err != nil {
				return err
			}
		}
	}
	return nil
}

// missing reports all that the catalogue has below a directory that is gone.
func (w *walk) missing(dir farm.Path) error {
	known, err := w.cat.Children(dir)
	if err != nil {
		return err
	}
	_, excluded := w.filter.Decides(dir)
	return w.absentees(dir, known, excluded)
}
