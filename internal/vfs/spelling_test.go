package vfs_test

import (
	"errors"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
	"tandem/internal/vfs/vfstest"
)

func prepared(t *testing.T, cfg vfs.MemConfig) (*vfs.Mem, vfs.FS) {
	t.Helper()
	m := vfs.NewMem(cfg)
	if err := m.Prepare("site"); err != nil {
		t.Fatal(err)
	}
	fs, err := vfs.Exact(m)
	if err != nil {
		t.Fatal(err)
	}
	return m, fs
}

// A file system that tells names apart is used as it is.
func TestExactIsForThoseThatFold(t *testing.T) {
	if m, fs := prepared(t, vfs.MemConfig{}); fs != vfs.FS(m) {
		t.Errorf("a tree that folds nothing became %T", fs)
	}
	if m, fs := prepared(t, vfs.MemConfig{Fold: true}); fs == vfs.FS(m) {
		t.Error("a tree that folds was taken as it is")
	}
}

func TestExactKeepsContract(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, vfstest.App) {
		m, fs := prepared(t, vfs.MemConfig{Fold: true})
		if err := m.Close(); err != nil { // the contract prepares it, and finds no live daemon
			t.Fatal(err)
		}
		return fs, memApp{m.App()}
	})
}

// What is asked for by another spelling than its own is not there, and can't be made either.
func TestOtherSpellings(t *testing.T) {
	m, fs := prepared(t, vfs.MemConfig{Fold: true})
	app := m.App()
	if err := errors.Join(app.WriteFile(path("readme"), []byte("1")), app.Mkdir(path("Docs"), 0o755), app.WriteFile(path("Docs/a"), []byte("2"))); err != nil {
		t.Fatal(err)
	}
	twinOf := func(err error, kind farm.Kind) string {
		t.Helper()
		var name *farm.NameError
		if !errors.As(err, &name) || farm.KindOf(err) != kind {
			t.Fatalf("%v, of kind %s", err, farm.KindOf(err))
		}
		return name.Twin.String()
	}
	mode := uint32(0o600)
	for what, c := range map[string]struct {
		err  error
		twin string
	}{
		"lstat":    {second(fs.Lstat(path("README"))), "readme"},
		"below":    {second(fs.Lstat(path("docs/a"))), "Docs"},
		"base":     {second(fs.Lstat(path("Docs/A"))), "Docs/a"},
		"private":  {second(fs.Lstat(path(".TANDEM"))), ".tandem"},
		"open":     {second(fs.Open(path("README"))), "readme"},
		"readdir":  {second(fs.ReadDir(path("docs"))), "Docs"},
		"setattr":  {fs.SetAttr(path("README"), vfs.SetAttr{Mode: &mode}), "readme"},
		"remove":   {fs.Remove(path("README")), "readme"},
		"rmdir":    {fs.RemoveDir(path("docs")), "Docs"},
		"exchange": {fs.Exchange(path("README"), path("Docs")), "readme"},
		"move":     {fs.RenameNoReplace(path("README"), path("x")), "readme"},
	} {
		if got := twinOf(c.err, farm.NotFound); got != c.twin {
			t.Errorf("%s: its twin is %q", what, got)
		}
	}
	temp := must(fs.Temp())
	for what, err := range map[string]error{
		"mkdir": fs.Mkdir(path("Readme"), 0o700), "symlink": fs.Symlink("x", path("reADme")), "link": temp.Link(path("README")),
		"rename": fs.RenameNoReplace(path("Docs"), path("README")),
	} {
		if got := twinOf(err, farm.Unsupported); got != "readme" {
			t.Errorf("%s: its twin is %q", what, got)
		}
	}
	if err := temp.Link(path("other")); err != nil {
		t.Error(err)
	}
	if err := fs.Mkdir(path("other"), 0o700); farm.KindOf(err) != farm.Exists {
		t.Errorf("a name that is taken as it is spelled: %v", err)
	}
	if _, err := fs.Lstat(path("nothing")); farm.KindOf(err) != farm.NotFound || errors.As(err, new(*farm.NameError)) {
		t.Errorf("of what is not there: %v", err)
	}
	if err := app.Rename(path("readme"), path("README")); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Lstat(path("README")); err != nil {
		t.Errorf("after it was renamed to that: %v", err)
	}
	if got := twinOf(second(fs.Lstat(path("readme"))), farm.NotFound); got != "README" {
		t.Errorf("the old name's twin is %q", got)
	}
}

func second[T any](_ T, err error) error { return err }
