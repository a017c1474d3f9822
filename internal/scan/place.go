package scan

import (
	"context"
	"errors"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// ErrLarge is what Near.Examine returns of a file whose content is not small enough to hold up other looks.
var ErrLarge = errors.New("a file that takes its time")

// place is a path, and perhaps its open directory.
type place struct {
	fs   vfs.FS
	path farm.Path
	dir  vfs.Dir // nil: the whole path is resolved
	late bool    // that the root stands is found out afterwards
}

func (at place) lstat() (vfs.Stat, error) {
	if at.dir != nil {
		return at.dir.Lstat(at.path.Base())
	}
	return at.fs.Lstat(at.path)
}

// open opens what lstat found to be a file.
func (at place) open() (vfs.File, vfs.Stat, error) {
	if at.dir != nil {
		return at.dir.Open(at.path.Base())
	}
	f, err := at.fs.Open(at.path)
	if err != nil {
		return nil, vfs.Stat{}, err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, vfs.Stat{}, err
	}
	return f, st, nil
}

// Near looks at paths of one directory, which is resolved once: what is seen is what lay there since Near was made. That
// nothing is at a path is to be believed only when Stands says, afterwards, that the root is there.
type Near struct {
	s   *Scanner
	dir vfs.Dir
}

// Near opens the directory for a number of looks. Where that fails each look finds out what there is to say. The caller
// closes it.
func (s *Scanner) Near(dir farm.Path) Near {
	d, err := vfs.OpenDir(s.fs, dir)
	if err != nil {
		d = nil
	}
	return Near{s, d}
}

// Examine is Scanner.Examine of a path in the directory, but for files that are not small: ErrLarge.
func (n Near) Examine(ctx context.Context, p farm.Path, prior farm.Disk) (farm.Observation, error) {
	return n.s.examine(ctx, place{n.s.fs, p, n.dir, true}, prior, true)
}

// Stands tells whether the root still is there; if not, the error is that of CheckRoot.
func (n Near) Stands() error { return n.s.fs.CheckRoot() }

// Close lets go of the directory.
func (n Near) Close() {
	if n.dir != nil {
		_ = n.dir.Close() // it was only read
	}
}
