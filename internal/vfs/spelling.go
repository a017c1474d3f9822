package vfs

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"tandem/internal/farm"
)

// Exact returns fs with names that are taken as they are spelled. Where the file system leads from README to an entry
// called readme, or strips a dot at the end, another spelling than that of the entry leads to nothing: NotFound. What
// can't be made because the entry is there, or because the file system refuses such a name, is Unsupported. The cause of
// both is a *farm.NameError. A file system that tells all names apart is returned as it is.
//
// The folder's root says for the whole tree what the file system is like. fs must be prepared.
func Exact(fs FS) (FS, error) {
	e := &exact{FS: fs, dirs: map[farm.Path]listing{}}
	private := farm.MustPath(farm.PrivateDir)
	if _, err := fs.Lstat(private); err != nil {
		return nil, err
	}
	leads := func(name string) bool {
		_, err := fs.Lstat(farm.MustPath(name))
		return err == nil
	}
	e.strips = leads(farm.PrivateDir + ".")
	if e.strips || leads(strings.ToUpper(farm.PrivateDir)) {
		return e, nil
	}
	composed, decomposed := StagingDir+"/"+TempPrefix+"\u00e9", StagingDir+"/"+TempPrefix+"e\u0301"
	probe := farm.MustPath(composed)
	if err := fs.Mkdir(probe, 0o700); err != nil && farm.KindOf(err) != farm.Exists {
		if e := (*farm.NameError)(nil); errors.As(err, &e) {
			return fs, nil // then it has no two spellings of it either
		}
		return nil, err
	}
	normalises := leads(decomposed)
	if err := fs.RemoveDir(probe); err != nil {
		return nil, err
	}
	if normalises {
		return e, nil
	}
	return fs, nil
}

// exact is a tree whose file system leads from several spellings to one entry.
type exact struct {
	FS
	strips bool // dots and spaces at the end of a name

	mu    sync.Mutex
	dirs  map[farm.Path]listing
	names int // in dirs
}

// listing is what a directory held when it was as Fingerprint says.
type listing struct {
	farm.Fingerprint
	names map[string]bool
}

// maxListed bounds the names that are remembered.
const maxListed = 1 << 18

// spelled fails as Lstat of p does, or with NotFound if p is not spelled as its entries are.
func (e *exact) spelled(op string, p farm.Path) error {
	st, err := e.FS.Lstat(p)
	if err == nil {
		err = e.spelledAs(op, p, st)
	}
	return err
}

// spelledAs is spelled of what leads to st.
func (e *exact) spelledAs(op string, p farm.Path, st Stat) error {
	if p.IsRoot() || p.Private() {
		return nil
	}
	if err := e.spelled(op, p.Parent()); err != nil {
		return err
	}
	for range maxListings {
		names, err := e.list(p.Parent())
		if err != nil || names[p.Base()] {
			return err
		}
		if st, err = e.FS.Lstat(p); err != nil {
			return err
		}
		// Where the system numbers no inodes, a short or otherwise normalised name has a twin that is not found.
		if twin := e.twin(p, st, names); !twin.IsRoot() || st.Ino == 0 {
			return &farm.Error{Op: op, Path: p.String(), Kind: farm.NotFound, Err: &farm.NameError{Twin: twin}}
		}
	}
	return farm.Errorf(op, p.String(), farm.Unstable, "its directory changes while it is looked for")
}

// maxListings is how often a directory is listed for an entry that it seems not to have and to have.
const maxListings = 4

// list returns the names in dir. They are the ones at some time after the call.
func (e *exact) list(dir farm.Path) (map[string]bool, error) {
	st, err := e.FS.Lstat(dir)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	was, ok := e.dirs[dir]
	e.mu.Unlock()
	if ok && st.Matches(was.Fingerprint) {
		return was.names, nil
	}
	entries, err := e.FS.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	now := listing{st.Fingerprint, make(map[string]bool, len(entries))}
	for _, entry := range entries {
		now.names[entry.Name] = true
	}
	if !st.Racy { // else a later change may leave no trace
		e.remember(dir, now)
	}
	return now.names, nil
}

func (e *exact) remember(dir farm.Path, l listing) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.names += len(l.names) - len(e.dirs[dir].names)
	if e.names > maxListed {
		clear(e.dirs)
		e.names = len(l.names)
	}
	e.dirs[dir] = l
}

// twin is the entry that p leads to, one of names, where it is found.
func (e *exact) twin(p farm.Path, it Stat, names map[string]bool) farm.Path {
	if strings.EqualFold(p.Base(), farm.PrivateDir) && p.Parent().IsRoot() {
		return farm.MustPath(farm.PrivateDir)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		q, err := p.Parent().Join(name)
		alike := strings.EqualFold(name, p.Base())
		if err != nil || !alike && (it.Ino == 0 || it.Links > 1 && it.Type != farm.Dir) {
			continue
		}
		if st, err := e.FS.Lstat(q); err == nil && (alike || st.Ino == it.Ino && st.Dev == it.Dev) {
			return q
		}
	}
	return farm.Path{}
}

// naming gives p to something by do.
func (e *exact) naming(op string, p farm.Path, do func() error) error {
	if p.Private() {
		return do()
	}
	if end := strings.TrimRight(p.Base(), ". "); e.strips && end != p.Base() {
		return refusedName(op, p, nil)
	}
	if err := e.spelled(op, p.Parent()); err != nil {
		return err
	}
	err := do()
	if farm.KindOf(err) != farm.Exists {
		return err
	}
	if name := (*farm.NameError)(nil); errors.As(e.spelled(op, p), &name) {
		return &farm.Error{Op: op, Path: p.String(), Kind: farm.Unsupported, Err: name}
	}
	return err
}

// refusedName is the error of a name that the file system can't have: nothing is there, and nothing can be made there.
func refusedName(op string, p farm.Path, err error) error {
	e := &farm.Error{Op: op, Path: p.String(), Kind: farm.NotFound, Err: &farm.NameError{Err: err}}
	switch op {
	case "link", "rename", "mkdir", "symlink":
		e.Kind = farm.Unsupported
	}
	if had := (*farm.NameError)(nil); errors.As(err, &had) {
		e.Err = had
	}
	return e
}

// plainName tells whether every file system that people use can have the name.
func plainName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return !strings.HasSuffix(s, ".")
}

func (e *exact) Lstat(p farm.Path) (Stat, error) {
	st, err := e.FS.Lstat(p)
	if err == nil {
		err = e.spelledAs("lstat", p, st)
	}
	if err != nil {
		return Stat{}, err
	}
	return st, nil
}

func (e *exact) ReadDir(p farm.Path) ([]DirEntry, error) {
	if err := e.spelled("readdir", p); err != nil {
		return nil, err
	}
	return e.FS.ReadDir(p)
}

func (e *exact) Readlink(p farm.Path) (string, error) {
	if err := e.spelled("readlink", p); err != nil {
		return "", err
	}
	return e.FS.Readlink(p)
}

func (e *exact) Open(p farm.Path) (File, error) {
	if err := e.spelled("open", p); err != nil {
		return nil, err
	}
	return e.FS.Open(p)
}

func (e *exact) XAttrs(p farm.Path) (farm.XAttrs, error) {
	if err := e.spelled("getxattr", p); err != nil {
		return farm.XAttrs{}, err
	}
	return e.FS.XAttrs(p)
}

func (e *exact) SetAttr(p farm.Path, set SetAttr) error {
	if err := e.spelled("setattr", p); err != nil {
		return err
	}
	return e.FS.SetAttr(p, set)
}

func (e *exact) Temp() (Temp, error) { return e.temp(e.FS.Temp()) }

func (e *exact) Partial(p farm.Path) (Temp, error) { return e.temp(e.FS.Partial(p)) }

func (e *exact) temp(t Temp, err error) (Temp, error) {
	if err != nil {
		return nil, err
	}
	return &exactTemp{t, e}, nil
}

// exactTemp is a Temp that gets an exact name.
type exactTemp struct {
	Temp
	e *exact
}

func (t *exactTemp) Link(p farm.Path) error {
	return t.e.naming("link", p, func() error { return t.Temp.Link(p) })
}

func (e *exact) Mkdir(p farm.Path, mode uint32) error {
	return e.naming("mkdir", p, func() error { return e.FS.Mkdir(p, mode) })
}

func (e *exact) Symlink(target string, p farm.Path) error {
	return e.naming("symlink", p, func() error { return e.FS.Symlink(target, p) })
}

func (e *exact) RenameNoReplace(from, to farm.Path) error {
	if err := e.spelled("rename", from); err != nil {
		return err
	}
	return e.naming("rename", to, func() error { return e.FS.RenameNoReplace(from, to) })
}

func (e *exact) Exchange(a, b farm.Path) error {
	for _, p := range []farm.Path{a, b} {
		if err := e.spelled("exchange", p); err != nil {
			return err
		}
	}
	return e.FS.Exchange(a, b)
}

func (e *exact) Remove(p farm.Path) error {
	if err := e.spelled("remove", p); err != nil {
		return err
	}
	return e.FS.Remove(p)
}

func (e *exact) RemoveDir(p farm.Path) error {
	if err := e.spelled("rmdir", p); err != nil {
		return err
	}
	return e.FS.RemoveDir(p)
}
