//go:build darwin || windows

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tandem/internal/farm"
)

func (d *portable) Open(p farm.Path) (File, error) {
	st, err := d.Lstat(p)
	if err != nil {
		return nil, err
	}
	if st.Type != farm.File {
		return nil, fail("open", p, errNotFile)
	}
	f, err := d.root.Open(filepath.FromSlash(p.String()))
	if err != nil {
		return nil, fail("open", p, err)
	}
	return &portableFile{f, d}, nil
}

type portableFile struct {
	*os.File
	d *portable
}

func (f *portableFile) Stat() (Stat, error) {
	fi, err := f.File.Stat()
	if err != nil {
		return Stat{}, fail("stat", farm.Path{}, err)
	}
	return f.d.stat(fi), nil
}

// XAttrs is File.XAttrs: none are represented here.
func (f *portableFile) XAttrs() (farm.XAttrs, error) { return farm.XAttrs{}, nil }

func (f *portableFile) Writers() bool { return false }

// portableTemp has a name in the staging directory until it is linked.
type portableTemp struct {
	portableFile
	p      farm.Path
	keep   bool // when it is closed
	linked bool
}

func (d *portable) Temp() (Temp, error) {
	for {
		p := d.stagingName(TempPrefix)
		f, err := d.root.OpenFile(filepath.FromSlash(p.String()), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fail("temp", p, err)
		}
		return &portableTemp{portableFile: portableFile{f, d}, p: p}, nil
	}
}

func (d *portable) Partial(p farm.Path) (Temp, error) {
	st, err := d.Lstat(p)
	if err == nil && st.Type != farm.File {
		return nil, fail("open partial", p, errNotFile)
	}
	f, err := d.root.OpenFile(filepath.FromSlash(p.String()), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fail("open partial", p, err)
	}
	return &portableTemp{portableFile: portableFile{f, d}, p: p, keep: true}, nil
}

func (t *portableTemp) CopyRange(f File, at, to, n int64) error { return copyPart(t, f, at, to, n) }

func (t *portableTemp) SetAttr(set SetAttr) error { return t.d.SetAttr(t.p, set) }

// Link syncs the file and closes it for writing before it appears.
func (t *portableTemp) Link(p farm.Path) error {
	if err := t.File.Sync(); err != nil {
		return fail("link", p, err)
	}
	t.File.Close()
	err := t.d.RenameNoReplace(t.p, p)
	if err == nil {
		t.p, t.linked = p, true
	}
	f, e := t.d.root.Open(filepath.FromSlash(t.p.String()))
	if e != nil {
		return fail("link", p, errors.Join(err, e))
	}
	t.File = f
	return err
}

func (t *portableTemp) Close() error {
	err := t.File.Close()
	if !t.linked && !t.keep {
		err = errors.Join(err, t.d.Remove(t.p))
	}
	return err
}

func (t *portableTemp) CopyFrom(f File) (int64, error) { return copyAll(t, f) }

type portableLog struct{ *os.File }

func (d *portable) OpenLog(p farm.Path) (Log, error) {
	f, err := d.root.OpenFile(filepath.FromSlash(p.String()), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fail("open log", p, err)
	}
	return portableLog{f}, nil
}

func (l portableLog) Reset() error { return fail("reset log", farm.Path{}, l.Truncate(0)) }
