//go:build darwin || windows

package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"tandem/internal/farm"
)

// portable is the tree in an os.Root.
type portable struct {
	root   *os.Root
	path   string
	seq    atomic.Uint64
	names  names
	lock   *os.File
	folder farm.FolderID
}

// Open is OpenWith the zero Options.
func Open(root string) (FS, error) { return OpenWith(root, Options{}) }

// OpenWith opens the directory root as a folder's tree. Extended attributes and special bits are not to be had here.
func OpenWith(root string, _ Options) (FS, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, farm.Errorf("open folder", root, farm.Invalid, "%w", err)
	}
	r, err := os.OpenRoot(abs)
	if err != nil {
		return nil, fail("open folder", farm.Path{}, err)
	}
	return &portable{root: r, path: abs}, nil
}

func fail(op string, p farm.Path, err error) error {
	if err == nil {
		return nil
	}
	if e := (*farm.Error)(nil); errors.As(err, &e) {
		return err
	}
	if e := (*farm.NameError)(nil); errors.As(err, &e) || refusesName(err) {
		return refusedName(op, p, err)
	}
	kind := farm.Other
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		kind = farm.NotFound
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		kind = farm.Exists
	case errors.Is(err, fs.ErrPermission):
		kind = farm.Denied
	case errors.Is(err, syscall.ENOSPC):
		kind = farm.Full
	case errors.Is(err, syscall.EIO):
		kind = farm.Corrupt
	case errors.Is(err, errors.ErrUnsupported):
		kind = farm.Unsupported
	case errors.Is(err, syscall.ELOOP), errors.Is(err, errNotDir), errors.Is(err, errNotFile), errors.Is(err, errNotLink):
		kind = farm.Conflict
	}
	return &farm.Error{Op: op, Path: p.String(), Kind: kind, Err: err}
}

// name is p for the os.Root, once no parent is a symbolic link.
func (d *portable) name(p farm.Path) (string, error) {
	for at := p.Parent(); !at.IsRoot(); at = at.Parent() {
		fi, err := d.root.Lstat(filepath.FromSlash(at.String()))
		switch {
		case err != nil:
			return "", err
		case fi.Mode()&fs.ModeSymlink != 0:
			return "", fmt.Errorf("a symbolic link stands in the way: %w", syscall.ELOOP)
		case !fi.IsDir():
			return "", fs.ErrNotExist
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(p.String())) {
		return "", &farm.NameError{} // the system reads it differently
	}
	return filepath.FromSlash(p.String()), nil
}

func (d *portable) Prepare(folder farm.FolderID) error {
	for _, s := range []string{farm.PrivateDir, StagingDir, PreservedDir, BarrierDir} {
		if err := d.Mkdir(farm.MustPath(s), 0o700); err != nil && farm.KindOf(err) != farm.Exists {
			return err
		}
	}
	marker := filepath.Join(farm.PrivateDir, markerName)
	b, err := d.root.ReadFile(marker)
	if errors.Is(err, fs.ErrNotExist) {
		err = d.root.WriteFile(marker, []byte(string(folder)+"\n"), 0o600)
		b = []byte(folder)
	}
	if err != nil {
		return fail("prepare", farm.MustPath(farm.PrivateDir), err)
	}
	if was := strings.TrimSpace(string(b)); was != string(folder) {
		return farm.Errorf("prepare", d.path, farm.Conflict, "the directory already is folder %s", was)
	}
	if d.lock == nil {
		if d.lock, err = lockFile(d.root, filepath.Join(farm.PrivateDir, lockName)); err != nil {
			return farm.Errorf("prepare", d.path, farm.Conflict, "another running Tandem has this directory: %w", err)
		}
	}
	d.folder = folder
	return nil
}

func (d *portable) CheckRoot() error {
	now, err := os.Stat(d.path)
	if err != nil {
		return fail("check root", farm.Path{}, err)
	}
	then, err := d.root.Stat(".")
	if err != nil {
		return fail("check root", farm.Path{}, err)
	}
	b, err := d.root.ReadFile(filepath.Join(farm.PrivateDir, markerName))
	if err != nil {
		return fail("check root", farm.Path{}, err)
	}
	if !os.SameFile(now, then) || strings.TrimSpace(string(b)) != string(d.folder) {
		return farm.Errorf("check root", d.path, farm.Conflict, "another directory is there now")
	}
	return nil
}

func (d *portable) stat(fi fs.FileInfo) Stat {
	s := Stat{Links: 1, Fingerprint: farm.Fingerprint{Size: fi.Size(), MTime: fi.ModTime().UnixNano(), Mode: uint32(fi.Mode().Perm())}}
	if fi.Mode()&fs.ModeSticky != 0 {
		s.Mode |= 0o1000
	}
	s.Type, s.Other = typeOf(fi.Mode())
	s.Racy = true // where the system tells of no ctime, content alone decides
	systemStat(fi, &s)
	if s.CTime != 0 {
		s.Racy = time.Now().UnixNano()-s.CTime < int64(RacyWindow)
		s.Owner = d.names.owner(s.UID, s.GID)
	}
	return s
}

func typeOf(m fs.FileMode) (farm.Type, string) {
	switch {
	case m.IsRegular():
		return farm.File, ""
	case m.IsDir():
		return farm.Dir, ""
	case m&fs.ModeSymlink != 0:
		return farm.Symlink, ""
	case m&fs.ModeNamedPipe != 0:
		return farm.Absent, "fifo"
	case m&fs.ModeSocket != 0:
		return farm.Absent, "socket"
	}
	return farm.Absent, "device"
}

func (d *portable) Lstat(p farm.Path) (Stat, error) {
	name, err := d.name(p)
	if err != nil {
		return Stat{}, fail("lstat", p, err)
	}
	fi, err := d.root.Lstat(name)
	if err != nil {
		return Stat{}, fail("lstat", p, err)
	}
	return d.stat(fi), nil
}

func (d *portable) ReadDir(p farm.Path) ([]DirEntry, error) {
	st, err := d.Lstat(p)
	if err != nil {
		return nil, err
	}
	if st.Type != farm.Dir {
		return nil, fail("readdir", p, errNotDir)
	}
	f, err := d.root.Open(filepath.FromSlash(p.String()))
	if err != nil {
		return nil, fail("readdir", p, err)
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return nil, fail("readdir", p, err)
	}
	var list []DirEntry
	for _, e := range entries {
		if !p.IsRoot() || e.Name() != farm.PrivateDir {
			t, _ := typeOf(e.Type())
			list = append(list, DirEntry{e.Name(), t})
		}
	}
	slices.SortFunc(list, func(a, b DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

func (d *portable) Readlink(p farm.Path) (string, error) {
	st, err := d.Lstat(p)
	if err != nil {
		return "", err
	}
	if st.Type != farm.Symlink {
		return "", fail("readlink", p, errNotLink)
	}
	target, err := d.root.Readlink(filepath.FromSlash(p.String()))
	return target, fail("readlink", p, err)
}

func (d *portable) Mkdir(p farm.Path, mode uint32) error {
	name, err := d.name(p)
	if err == nil {
		err = d.root.Mkdir(name, 0o700)
	}
	if err == nil {
		err = d.root.Chmod(name, fileMode(mode))
	}
	return fail("mkdir", p, err)
}

func fileMode(mode uint32) fs.FileMode {
	m := fs.FileMode(mode & 0o777)
	if mode&0o1000 != 0 {
		m |= fs.ModeSticky
	}
	return m
}

func (d *portable) Symlink(target string, p farm.Path) error {
	name, err := d.name(p)
	if err == nil {
		err = d.root.Symlink(target, name)
	}
	return fail("symlink", p, err)
}

func (d *portable) SetAttr(p farm.Path, set SetAttr) error {
	st, err := d.Lstat(p)
	if err != nil {
		return err
	}
	if set.Ino != 0 && set.Ino != st.Ino {
		return farm.Errorf("setattr", p.String(), farm.Conflict, "another inode is there now")
	}
	if st.Type == farm.Symlink {
		return nil // neither owner nor time can be set without following it
	}
	name := filepath.FromSlash(p.String())
	if set.Owner != nil && st.CTime != 0 {
		uid, gid := d.names.ids(*set.Owner)
		_ = d.root.Lchown(name, int(uid), int(gid)) // without the right to, it is left
	}
	if set.Mode != nil {
		mode := *set.Mode
		if set.XAttrs != nil {
			mode = withoutACL(mode, *set.XAttrs)
		}
		if err := d.root.Chmod(name, fileMode(mode)); err != nil {
			return fail("chmod", p, err)
		}
	}
	if set.MTime != nil {
		return fail("utimes", p, d.root.Chtimes(name, time.Time{}, time.Unix(0, *set.MTime)))
	}
	return nil
}

// XAttrs is FS.XAttrs: none are represented here.
func (d *portable) XAttrs(p farm.Path) (farm.XAttrs, error) {
	_, err := d.Lstat(p)
	return farm.XAttrs{}, err
}

// RenameNoReplace looks first: somebody who takes the name between the look and the rename is replaced.
func (d *portable) RenameNoReplace(from, to farm.Path) error {
	if _, err := d.Lstat(to); err == nil {
		return fail("rename", to, fs.ErrExist)
	}
	return fail("rename", to, d.rename(from, to))
}

func (d *portable) rename(from, to farm.Path) error {
	a, err := d.name(from)
	if err != nil {
		return err
	}
	b, err := d.name(to)
	if err != nil {
		return err
	}
	return d.root.Rename(a, b)
}

// Exchange is three renames: for a moment b is missing. Its third name is not a Temp's: what has it after a crash is not
// ours to throw away.
func (d *portable) Exchange(a, b farm.Path) error {
	for _, p := range []farm.Path{a, b} {
		if _, err := d.Lstat(p); err != nil {
			return err
		}
	}
	third := d.stagingName("swap-")
	if err := d.rename(b, third); err != nil {
		return fail("exchange", b, err)
	}
	if err := d.rename(a, b); err != nil {
		return fail("exchange", b, errors.Join(err, d.rename(third, b)))
	}
	return fail("exchange", a, d.rename(third, a))
}

func (d *portable) stagingName(prefix string) farm.Path {
	return farm.MustPath(StagingDir + "/" + prefix + strconv.FormatUint(d.seq.Add(1), 36))
}

func (d *portable) Remove(p farm.Path) error {
	st, err := d.Lstat(p)
	if err != nil {
		return err
	}
	if st.Type == farm.Dir {
		return farm.Errorf("remove", p.String(), farm.Conflict, "is a directory")
	}
	return fail("remove", p, d.root.Remove(filepath.FromSlash(p.String())))
}

func (d *portable) RemoveDir(p farm.Path) error {
	st, err := d.Lstat(p)
	if err != nil {
		return err
	}
	if st.Type != farm.Dir {
		return fail("rmdir", p, errNotDir)
	}
	list, err := d.ReadDir(p)
	if err != nil {
		return err
	}
	if len(list) > 0 {
		return fail("rmdir", p, fs.ErrExist)
	}
	return fail("rmdir", p, d.root.Remove(filepath.FromSlash(p.String())))
}

// Sync can't ask for the whole file system here; each file is synced when it is linked.
func (d *portable) Sync() error { return nil }

func (d *portable) Free() (bytes, inodes uint64, err error) {
	return 0, 0, farm.Errorf("free", d.path, farm.Unsupported, "not known on this system")
}

func (d *portable) Close() error {
	if d.lock != nil {
		d.lock.Close()
	}
	return fail("close", farm.Path{}, d.root.Close())
}
