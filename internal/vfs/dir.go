package vfs

import "tandem/internal/farm"

// Dir is an open directory, for many looks at what lies directly in it: its path is resolved once. It stays the directory
// that it was when it was opened, wherever it is moved meanwhile; so it is good for as long as a look may be old.
type Dir interface {
	// List is FS.ReadDir of the directory.
	List() ([]DirEntry, error)
	// Lstat is FS.Lstat of an entry.
	Lstat(name string) (Stat, error)
	// Open is FS.Open of an entry that Lstat has just found to be a file. The stat is that of what was opened.
	Open(name string) (File, Stat, error)
	// Stands tells whether its path still leads to it.
	Stands() bool
	Close() error
}

// LinkIn is t.Link of a path in a directory that is open.
func LinkIn(t Temp, d Dir, p farm.Path) error {
	if l, ok := t.(interface {
		linkIn(Dir, farm.Path) error
	}); ok {
		return l.linkIn(d, p)
	}
	return t.Link(p)
}

// MoveOut is fs.RenameNoReplace of p, which lies in a directory of fs that is open, to a path in the private area.
func MoveOut(fs FS, d Dir, p, to farm.Path) error {
	if m, ok := d.(mover); ok {
		return m.moveOut(p.Base(), to)
	}
	return fs.RenameNoReplace(p, to)
}

// MoveBack is MoveOut undone, even if the directory has been moved meanwhile.
func MoveBack(fs FS, d Dir, from, p farm.Path) error {
	if m, ok := d.(mover); ok {
		return m.moveBack(from, p.Base())
	}
	return fs.RenameNoReplace(from, p)
}

type mover interface {
	moveOut(name string, to farm.Path) error
	moveBack(from farm.Path, name string) error
}

// OpenDir opens a directory. What keeps it from being one is an error as of FS.ReadDir.
func OpenDir(fs FS, p farm.Path) (Dir, error) {
	if d, ok := fs.(interface {
		openDir(farm.Path) (Dir, error)
	}); ok {
		return d.openDir(p)
	}
	return pathDir{fs, p}, nil
}

// pathDir resolves the whole path for each look. Its directory is known to be one only by List.
type pathDir struct {
	fs FS
	p  farm.Path
}

func (d pathDir) List() ([]DirEntry, error) { return d.fs.ReadDir(d.p) }

func (d pathDir) Lstat(name string) (Stat, error) {
	p, err := d.p.Join(name)
	if err != nil {
		return Stat{}, err
	}
	return d.fs.Lstat(p)
}

func (d pathDir) Open(name string) (File, Stat, error) {
	p, err := d.p.Join(name)
	if err != nil {
		return nil, Stat{}, err
	}
	f, err := d.fs.Open(p)
	if err != nil {
		return nil, Stat{}, err
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, Stat{}, err
	}
	return f, st, nil
}

func (d pathDir) Stands() bool { return true }

func (d pathDir) Close() error { return nil }
