package scan_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/farm"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// app is what an application does to a tree.
type app interface {
	WriteFile(p farm.Path, data []byte) error
	Open(p farm.Path) (writer, error)
	Mkdir(p farm.Path, mode uint32) error
	Symlink(target string, p farm.Path) error
	Mkfifo(p farm.Path) error
	Rename(from, to farm.Path) error
	Remove(p farm.Path) error
	Chmod(p farm.Path, mode uint32) error
}

// writer is an application's open file.
type writer interface {
	Append(data []byte) error
	Close() error
}

// rig is a tree with its application, and a scanner whose clock is later by skew.
type rig struct {
	*testing.T
	fs   vfs.FS
	app  app
	s    *scan.Scanner
	skew time.Duration
	base func() time.Time
}

// each runs a test on the real file system and in memory.
func each(t *testing.T, cfg scan.Config, test func(r *rig)) {
	t.Run("mem", func(t *testing.T) { test(newMem(t, cfg)) })
	t.Run("disk", func(t *testing.T) { test(newDisk(t, cfg, t.TempDir())) })
}

func newMem(t *testing.T, cfg scan.Config) *rig {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &rig{T: t, base: func() time.Time { return now }}
	m := vfs.NewMem(vfs.MemConfig{Now: r.now, Users: map[string]uint32{"root": 0, "www": 33}})
	r.fs, r.app = m, memApp{m.App()}
	return r.start(cfg)
}

func newDisk(t *testing.T, cfg scan.Config, root string) *rig {
	fs, err := vfs.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { fs.Close() })
	r := &rig{T: t, fs: fs, app: diskApp{root}, base: time.Now}
	return r.start(cfg)
}

func (r *rig) now() time.Time { return r.base().Add(r.skew) }

func (r *rig) start(cfg scan.Config) *rig {
	r.must(r.fs.Prepare("site"))
	cfg.Now = r.now
	r.s = scan.New(r.fs, cfg)
	return r
}

// faulty returns a scanner before whose n-th call of the named operation do is called.
func (r *rig) faulty(name string, n int, do func() error) *scan.Scanner {
	return scan.New(vfs.Fault(r.fs, func(op vfs.Op) error {
		if op.Name == name {
			if n--; n == 0 {
				return do()
			}
		}
		return nil
	}), scan.Config{Now: r.now})
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) write(p, data string) {
	r.Helper()
	r.must(r.app.WriteFile(farm.MustPath(p), []byte(data)))
}

func (r *rig) mkdir(ps ...string) {
	r.Helper()
	for _, p := range ps {
		r.must(r.app.Mkdir(farm.MustPath(p), 0o755))
	}
}

func (r *rig) symlink(target, p string) {
	r.Helper()
	r.must(r.app.Symlink(target, farm.MustPath(p)))
}

func (r *rig) remove(p string) {
	r.Helper()
	r.must(r.app.Remove(farm.MustPath(p)))
}

// see examines p and expects no error.
func (r *rig) see(p string, prior farm.Disk) farm.Observation {
	r.Helper()
	o, err := r.s.Examine(r.Context(), farm.MustPath(p), prior)
	r.must(err)
	return o
}

// settled is what the index holds after an observation, when the racy moment is over.
func settled(o farm.Observation) farm.Disk {
	o.Stat.Racy = false
	return farm.Disk{Attr: o.Attr, Stat: o.Stat}
}

// catalogue is an index of paths.
type catalogue map[string]farm.Disk

func (c catalogue) Children(dir farm.Path) (map[string]farm.Disk, error) {
	found := map[string]farm.Disk{}
	for s, d := range c {
		if p := farm.MustPath(s); p.Parent() == dir && !p.IsRoot() {
			found[p.Base()] = d
		}
	}
	return found, nil
}

// learn examines paths and puts them into a catalogue.
func (r *rig) learn(ps ...string) catalogue {
	r.Helper()
	c := catalogue{}
	for _, p := range ps {
		c[p] = settled(r.see(p, farm.Disk{}))
	}
	return c
}

type memApp struct{ vfs.App }

func (a memApp) Open(p farm.Path) (writer, error) { return a.OpenWrite(p) }

func (a memApp) Chmod(p farm.Path, mode uint32) error {
	return a.SetAttr(p, vfs.SetAttr{Mode: &mode})
}

type diskApp struct{ root string }

func (a diskApp) path(p farm.Path) string { return filepath.Join(a.root, p.String()) }

func (a diskApp) WriteFile(p farm.Path, data []byte) error {
	return os.WriteFile(a.path(p), data, 0o644)
}

func (a diskApp) Open(p farm.Path) (writer, error) {
	f, err := os.OpenFile(a.path(p), os.O_WRONLY|os.O_APPEND, 0)
	return diskWriter{f}, err
}

func (a diskApp) Mkdir(p farm.Path, mode uint32) error { return os.Mkdir(a.path(p), os.FileMode(mode)) }

func (a diskApp) Symlink(target string, p farm.Path) error { return os.Symlink(target, a.path(p)) }

func (a diskApp) Mkfifo(p farm.Path) error { return mkfifo(a.path(p)) }

func (a diskApp) Rename(from, to farm.Path) error { return os.Rename(a.path(from), a.path(to)) }

func (a diskApp) Remove(p farm.Path) error { return os.RemoveAll(a.path(p)) }

func (a diskApp) Chmod(p farm.Path, mode uint32) error {
	return os.Chmod(a.path(p), os.FileMode(mode))
}

type diskWriter struct{ *os.File }

func (w diskWriter) Append(data []byte) error {
	_, err := w.Write(data)
	return err
}
