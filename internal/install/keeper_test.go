package install

import (
	"context"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"

	"go.uber.org/goleak"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

func TestMain(m *testing.M) {
	debug.SetGCPercent(400) // the sweeps make a great many small trees, of which few are alive at a time
	goleak.VerifyTestMain(m)
}

// osWriter is writer on a directory.
type osWriter string

func (w osWriter) at(p farm.Path) string { return filepath.Join(string(w), p.String()) }

func (w osWriter) WriteFile(p farm.Path, data []byte) error {
	return os.WriteFile(w.at(p), data, 0o644)
}
func (w osWriter) Mkdir(p farm.Path, mode uint32) error { return os.Mkdir(w.at(p), os.FileMode(mode)) }
func (w osWriter) Symlink(target string, p farm.Path) error {
	return os.Symlink(target, w.at(p))
}
func (w osWriter) Link(from, to farm.Path) error { return os.Link(w.at(from), w.at(to)) }
func (w osWriter) SetAttr(p farm.Path, set vfs.SetAttr) error {
	fs := must(vfs.Open(string(w)))
	defer fs.Close()
	return fs.SetAttr(p, set)
}

// TestPlans installs every kind of plan, in memory and on a real disk.
func TestPlans(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Run("mem", func(t *testing.T) {
				b := newBox(vfs.MemConfig{})
				b.set(s)
				check(b.start(b.mem))
				testPlan(t, s, b.mem, b.k)
			})
			t.Run("disk", func(t *testing.T) {
				fs, w := disk(t)
				check(w.Mkdir(path("dir"), 0o755))
				s.before(w)
				k := New(fs, Config{Folder: "site", KeepDeleted: s.gone})
				check(k.Recover())
				defer k.Close()
				testPlan(t, s, fs, k)
			})
		})
	}
}

func disk(t *testing.T) (vfs.FS, osWriter) {
	t.Helper()
	root := t.TempDir()
	fs := must(vfs.Open(root))
	t.Cleanup(func() { fs.Close() })
	check(fs.Prepare("site"))
	return fs, osWriter(root)
}

func testPlan(t *testing.T, s scenario, fs vfs.FS, k *Keeper) {
	t.Helper()
	plan := s.plan(fs)
	r := k.Install(context.Background(), plan, s.src)
	if r.Outcome != farm.Done || r.Err != nil {
		t.Fatalf("%v: %v", r.Outcome, r.Err)
	}
	if err := isWanted(fs, plan); err != nil {
		t.Error(err)
	}
	if is := observe(fs, at); !is.Attr.Same(r.Attr) || !is.Stat.Matches(r.Stat) {
		t.Errorf("reported %+v %+v,\nthere is %+v %+v", r.Attr, r.Stat, is.Attr, is.Stat)
	}
	k.Sweep(context.Background())
	if left := staged(fs); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
	all := kept(t, k)
	if !s.keep {
		if len(all) > 0 {
			t.Errorf("preserved for no reason: %v", all)
		}
		return
	}
	want, reason := oldText, farm.ReasonConflict
	if s.gone {
		reason = farm.ReasonDeleted
	}
	if plan.Expect.Size > int64(len(oldText)) {
		want = bigText + "old"
	}
	if plan.Expect.Type == farm.Symlink {
		want = plan.Expect.Target
	}
	if p, ok := all[want]; !ok || len(all) != 1 || p.Path != at || p.Lost.Dot != dot(7) || p.Lost.Time != 99 || p.Reason != reason || (p.By != farm.Stamp{}) != s.gone {
		t.Errorf("preserved: %+v", all)
	}
}

func TestOutcomes(t *testing.T) {
	inline := func(text string) farm.Plan {
		return farm.Plan{Path: at, Want: fileAttr(text, 0o644, mtime), Content: []byte(text)}
	}
	cases := []struct {
		name   string
		before func(*box)
		plan   func(*box) farm.Plan
		src    Source
		want   farm.Outcome
		kind   farm.Kind
	}{
		{name: "taken", before: func(b *box) { check(b.app.WriteFile(at, nil)) },
			plan: func(*box) farm.Plan { return inline(newText) }, want: farm.Changed},
		{name: "no parent", plan: func(*box) farm.Plan { p := inline(newText); p.Path = path("none/x"); return p }, want: farm.NoParent},
		{name: "file as parent", before: func(b *box) { check(b.app.WriteFile(at, nil)) },
			plan: func(*box) farm.Plan { p := inline(newText); p.Path = path("dir/entry/x"); return p }, want: farm.NoParent},
		{name: "symlink as parent", before: func(b *box) { check(b.app.Symlink("dir", path("link"))) },
			plan: func(*box) farm.Plan { p := inline(newText); p.Path = path("link/x"); return p }, want: farm.NoParent},
		{name: "no source", plan: func(*box) farm.Plan { p := inline(newText); p.Content = nil; return p }, want: farm.NoSource, kind: farm.Unavailable},
		{name: "source refuses", plan: func(*box) farm.Plan { p := inline(newText); p.Content = nil; return p }, src: source{}, want: farm.NoSource, kind: farm.Unavailable},
		{name: "too much", plan: func(*box) farm.Plan { p := inline(newText); p.Content = nil; return p },
			src: source{fileAttr(newText, 0, 0).Digest: newText + "x"}, want: farm.NoSource, kind: farm.Corrupt},
		{name: "too little", plan: func(*box) farm.Plan { p := inline(newText); p.Content = nil; return p },
			src: source{fileAttr(newText, 0, 0).Digest: newText[1:]}, want: farm.NoSource, kind: farm.Corrupt},
		{name: "other content", plan: func(*box) farm.Plan { p := inline(newText); p.Content = nil; return p },
			src: source{fileAttr(newText, 0, 0).Digest: "x" + newText[1:]}, want: farm.NoSource, kind: farm.Corrupt},
		{name: "wrong inline content", plan: func(*box) farm.Plan { p := inline(newText); p.Content = []byte("x" + newText[1:]); return p }, want: farm.NoSource, kind: farm.Unavailable},
		{name: "private", plan: func(*box) farm.Plan { p := inline(newText); p.Path = path(".tandem/staging/x"); return p }, want: farm.Failed, kind: farm.Denied},
		{name: "private area itself", plan: func(*box) farm.Plan { p := inline(newText); p.Path = path(".tandem"); return p }, want: farm.Failed, kind: farm.Denied},
		{name: "root", plan: func(*box) farm.Plan { p := inline(newText); p.Path = farm.Path{}; return p }, want: farm.Failed, kind: farm.Denied},
		{name: "fifo in the way", before: func(b *box) { check(b.app.Mkfifo(at)) },
			plan: func(*box) farm.Plan { return inline(newText) }, want: farm.Failed, kind: farm.Unsupported},
		{name: "remove what has children", before: func(b *box) { check(b.app.Mkdir(at, 0o755), b.app.WriteFile(path("dir/entry/x"), nil)) },
			plan: func(b *box) farm.Plan { return farm.Plan{Path: at, Expect: observe(b.mem, at)} }, want: farm.NotEmpty},
		{name: "replace what has children", before: func(b *box) { check(b.app.Mkdir(at, 0o755), b.app.WriteFile(path("dir/entry/x"), nil)) },
			plan: func(b *box) farm.Plan { p := inline(newText); p.Expect = observe(b.mem, at); return p }, want: farm.NotEmpty},
		{name: "remove what is gone", plan: func(*box) farm.Plan { return farm.Plan{Path: at, Expect: farm.Disk{Attr: fileAttr(oldText, 0o644, 0)}} }, want: farm.Changed},
		{name: "nothing to remove", plan: func(*box) farm.Plan { return farm.Plan{Path: at} }, want: farm.Done},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(vfs.MemConfig{})
			check(b.app.Mkdir(path("dir"), 0o755))
			if c.before != nil {
				c.before(b)
			}
			check(b.start(b.mem))
			r := b.k.Install(context.Background(), c.plan(b), c.src)
			if r.Outcome != c.want || farm.KindOf(r.Err) != c.kind {
				t.Errorf("%v, %v", r.Outcome, r.Err)
			}
			b.k.Sweep(context.Background())
			if left := staged(b.mem); len(left) > 0 {
				t.Errorf("left in staging: %v", left)
			}
		})
	}
}

// TestExpectation has files that only a second look can tell apart.
func TestExpectation(t *testing.T) {
	same := vfs.SetAttr{MTime: new(mtime), Owner: new(me())}
	for _, c := range []struct {
		name string
		then func(b *box)
		want farm.Outcome
	}{
		{"untouched", func(*box) {}, farm.Done},
		{"same content rewritten", func(b *box) { check(b.app.WriteFile(at, []byte(oldText)), b.app.SetAttr(at, same)) }, farm.Done},
		{"same file renamed over", func(b *box) {
			check(b.app.WriteFile(path("tmp"), []byte(oldText)), b.app.SetAttr(path("tmp"), same), b.app.Rename(path("tmp"), at))
		}, farm.Done},
		{"other content of equal size and time", func(b *box) {
			check(b.app.WriteFile(at, []byte("X"+oldText[1:])), b.app.SetAttr(at, same))
		}, farm.Changed},
		{"other time", func(b *box) { check(b.app.SetAttr(at, vfs.SetAttr{MTime: new(mtime + 1)})) }, farm.Changed},
		{"other mode", func(b *box) { check(b.app.SetAttr(at, vfs.SetAttr{Mode: new(uint32(0o600))})) }, farm.Changed},
		{"gone", func(b *box) { check(b.app.Remove(at)) }, farm.Changed},
		{"other type", func(b *box) { check(b.app.Remove(at), b.app.Mkdir(at, 0o755)) }, farm.Changed},
	} {
		for _, racy := range []bool{false, true} {
			b := newBox(vfs.MemConfig{})
			s := scenarios()[6]
			b.set(s)
			check(b.app.SetAttr(at, same))
			if !racy {
				b.set(scenario{before: func(writer) {}})
			}
			plan := s.plan(b.mem)
			if plan.Expect.Stat.Racy != racy {
				t.Fatal("the case is not what it says")
			}
			c.then(b)
			check(b.start(b.mem))
			if r := b.k.Install(context.Background(), plan, nil); r.Outcome != c.want {
				t.Errorf("%s, racy %v: %v, %v", c.name, racy, r.Outcome, r.Err)
			}
		}
	}
}
