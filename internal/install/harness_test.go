package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

func path(s string) farm.Path { return farm.MustPath(s) }

// must is for set-up that can't fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func check(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		panic(err)
	}
}

// box is a member's tree in memory with a keeper, and a clock that stands still until it is told.
type box struct {
	mem    *vfs.Mem
	app    vfs.App
	now    time.Time
	k      *Keeper
	events []farm.Event
	cfg    Config // beyond what start sets
}

func newBox(cfg vfs.MemConfig) *box {
	b := &box{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	cfg.Now = func() time.Time { return b.now }
	b.mem = vfs.NewMem(cfg)
	b.app = b.mem.App()
	check(b.mem.Prepare("site"))
	return b
}

// start makes a keeper on fs, which is b.mem or a wrapper of it, as a process that starts does.
func (b *box) start(fs vfs.FS) error {
	cfg := b.cfg
	cfg.Folder, cfg.Now = "site", func() time.Time { return b.now }
	cfg.Sink = func(e farm.Event) { b.events = append(b.events, e) }
	b.k = New(fs, cfg)
	return b.k.Recover()
}

// observe is what the index would say of p after a look.
func observe(fs vfs.FS, p farm.Path) farm.Disk {
	st, err := fs.Lstat(p)
	if err != nil {
		return farm.Disk{}
	}
	d := farm.Disk{Attr: st.Attr(), Stat: st.Fingerprint}
	d.XAttrs = must(fs.XAttrs(p))
	switch st.Type {
	case farm.File:
		d.Digest, _, err = digest(fs, p)
	case farm.Symlink:
		d.Target, err = fs.Readlink(p)
	}
	check(err)
	return d
}

// source is a Source with content in memory.
type source map[farm.Digest]string

func (s source) Local(d farm.Digest) []farm.Path {
	if v, ok := s[d]; ok && strings.HasPrefix(v, "local:") {
		return []farm.Path{path("not-there"), path(strings.TrimPrefix(v, "local:"))}
	}
	return nil
}

func (s source) Fetch(_ context.Context, d farm.Digest, _ int64) (io.ReadCloser, error) {
	v, ok := s[d]
	if !ok || strings.HasPrefix(v, "local:") {
		return nil, farm.Errorf("fetch", "", farm.Unavailable, "nobody has it")
	}
	return io.NopCloser(strings.NewReader(v)), nil
}

func fileAttr(content string, mode uint32, mtime int64) farm.Attr {
	return farm.Attr{
		Type: farm.File, Mode: mode, MTime: mtime, Size: int64(len(content)),
		Digest: blake3.Sum256([]byte(content)), Owner: me(),
	}
}

func linkAttr(target string, mtime int64) farm.Attr {
	return farm.Attr{Type: farm.Symlink, Target: target, MTime: mtime, Owner: me()}
}

func dirAttr(mode uint32) farm.Attr { return farm.Attr{Type: farm.Dir, Mode: mode, Owner: me()} }

// me owns what the tests make: whoever runs them.
func me() farm.Owner {
	return farm.Owner{UID: uint32(os.Geteuid()), GID: uint32(os.Getegid())}
}

const mtime = int64(1_700_000_000_123_456_789)

var (
	oldText = "old content, as all members know it"
	newText = "new content, written on another member"
	bigText = strings.Repeat("large content that does not travel inline. ", 1600)

	oldBigText = bigText + "old"
)

// scenario is a kind of plan.
type scenario struct {
	name   string
	before func(w writer) // makes the tree
	want   farm.Attr
	data   string // content, where it is not in src
	src    source
	keep   bool // the plan preserves what is displaced
	gone   bool // what a deletion takes away is preserved
	pins   bool // the path exists before and after, so at every moment between
}

// writer is how scenarios make a tree, in memory or on disk.
type writer interface {
	WriteFile(p farm.Path, data []byte) error
	Mkdir(p farm.Path, mode uint32) error
	Symlink(target string, p farm.Path) error
	Link(from, to farm.Path) error
	SetAttr(p farm.Path, set vfs.SetAttr) error
}

var at = path("dir/entry")

func scenarios() []scenario {
	file := func(w writer) { check(w.WriteFile(at, []byte(oldText))) }
	big := func(w writer) { check(w.WriteFile(at, []byte(oldBigText))) }
	dir := func(w writer) { check(w.Mkdir(at, 0o755)) }
	link := func(w writer) { check(w.Symlink("old-target", at)) }
	none := func(writer) {}
	newFile, bigFile := fileAttr(newText, 0o640, mtime), fileAttr(bigText, 0o644, mtime)
	touched, moded := fileAttr(oldText, 0o644, mtime), fileAttr(oldText, 0o600, 0)
	noted, listed := fileAttr(oldText, 0o644, 0), dirAttr(0o770)
	noted.XAttrs, listed.XAttrs = someXAttrs("note"), someXAttrs("dir")
	richFile := newFile
	richFile.XAttrs = someXAttrs("new")
	marked := func(w writer) {
		file(w)
		x := someXAttrs("old")
		check(w.SetAttr(at, vfs.SetAttr{XAttrs: &x, Mode: new(uint32(0o644))}))
	}
	fetched := source{bigFile.Digest: bigText, newFile.Digest: newText}
	return []scenario{
		{name: "create file", before: none, want: newFile, data: newText},
		{name: "create empty file", before: none, want: fileAttr("", 0o600, -1)},
		{name: "create file fetched", before: none, want: bigFile, src: fetched},
		{name: "create file from local", before: func(w writer) {
			check(w.WriteFile(path("dir/twin"), []byte(bigText)))
		}, want: bigFile, src: source{bigFile.Digest: "local:dir/twin"}},
		{name: "create symlink", before: none, want: linkAttr("new-target", mtime)},
		{name: "create dir", before: none, want: dirAttr(0o1775)},
		{name: "replace file", before: file, want: newFile, data: newText, pins: true},
		{name: "replace file, preserve", before: file, want: newFile, data: newText, keep: true, pins: true},
		{name: "replace big file", before: big, want: bigFile, src: fetched, pins: true},
		{name: "replace symlink", before: link, want: linkAttr("new-target", mtime), pins: true},
		{name: "file to symlink", before: file, want: linkAttr("new-target", mtime), pins: true},
		{name: "symlink to file, preserve", before: link, want: newFile, data: newText, keep: true, pins: true},
		{name: "file to dir", before: file, want: dirAttr(0o755), pins: true},
		{name: "dir to file", before: dir, want: newFile, data: newText, pins: true},
		{name: "dir to symlink", before: dir, want: linkAttr("new-target", mtime), pins: true},
		{name: "touch file", before: file, want: touched, pins: true},
		{name: "chmod file", before: file, want: moded, pins: true},
		{name: "chmod dir", before: dir, want: dirAttr(0o700), pins: true},
		{name: "touch symlink", before: link, want: linkAttr("old-target", mtime), pins: true},
		{name: "create file with attributes", before: none, want: richFile, data: newText},
		{name: "create dir with attributes", before: none, want: listed},
		{name: "replace file, attributes too", before: marked, want: newFile, data: newText, keep: true, pins: true},
		{name: "set attributes of file", before: marked, want: noted, pins: true},
		{name: "set attributes of dir", before: dir, want: listed, pins: true},
		{name: "take attributes of file", before: marked, want: moded, pins: true},
		{name: "chmod a file of two names", before: func(w writer) {
			file(w)
			check(w.Link(at, path("dir/twin")))
		}, want: moded, pins: true},
		{name: "remove file", before: file},
		{name: "remove big file", before: big},
		{name: "remove file, preserve", before: file, keep: true},
		{name: "remove symlink", before: link},
		{name: "remove dir", before: dir},
		{name: "delete file", before: file, keep: true, gone: true},
		{name: "delete big file", before: big, keep: true, gone: true},
		{name: "delete symlink", before: link, keep: true, gone: true},
	}
}

// plan is the scenario's plan for what is on disk now.
func (s scenario) plan(fs vfs.FS) farm.Plan {
	p := farm.Plan{Path: at, Want: s.want, Expect: observe(fs, at)}
	if s.data != "" {
		p.Content = []byte(s.data)
	}
	if s.want.Type != farm.Absent && s.want.SameContent(p.Expect.Attr) && s.want.MTime == 0 {
		p.Want.MTime = p.Expect.MTime
	}
	if s.gone {
		p.Expect.Content = farm.Stamp{Dot: dot(7), Time: 99}
		p.By = farm.Stamp{Dot: dot(8), Time: 100}
	} else if s.keep {
		p.Preserve = &farm.Entry{Path: at, Attr: p.Expect.Attr, Version: farm.Version{Dot: dot(7), Time: 99}}
	}
	return p
}

func dot(n farm.Seq) farm.Position {
	return farm.Position{Actor: farm.Actor{Member: "web2", Epoch: 5}, Seq: n}
}

// set makes the tree of a scenario and lets it grow old, so that nothing is racy.
func (b *box) set(s scenario) {
	b.cfg.KeepDeleted = s.gone
	if _, err := b.mem.Lstat(path("dir")); err != nil {
		check(b.app.Mkdir(path("dir"), 0o755))
	}
	s.before(b.app)
	if _, err := b.mem.Lstat(at); err == nil {
		check(b.app.SetAttr(at, vfs.SetAttr{Owner: new(me())}))
	}
	b.now = b.now.Add(time.Second)
}

// isWanted tells how the disk differs from what the plan wanted.
func isWanted(fs vfs.FS, plan farm.Plan) error {
	is := observe(fs, plan.Path)
	if !is.Attr.Same(plan.Want) {
		return fmt.Errorf("there is %+v, want %+v", is.Attr, plan.Want)
	}
	return nil
}

// staged lists what is in staging.
func staged(fs vfs.FS) []vfs.DirEntry { return must(fs.ReadDir(path(vfs.StagingDir))) }

// kept returns what is preserved with its content.
func kept(t *testing.T, k *Keeper) map[string]Preserved {
	t.Helper()
	all := map[string]Preserved{}
	for _, p := range must(k.List()) {
		if p.Attr.Type == farm.Dir {
			continue
		}
		_, r, err := k.OpenPreserved(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		b := must(io.ReadAll(r))
		_ = r.Close()
		if p.Attr.Type == farm.File && blake3.Sum256(b) != p.Attr.Digest {
			t.Errorf("preserved %s does not have its digest", p.ID)
		}
		all[string(b)] = p
	}
	return all
}

// survives tells whether data is part of a file in the tree or of a preserved one.
func survives(fs vfs.FS, k *Keeper, data string) bool {
	for _, p := range must(k.List()) {
		if p.Attr.Type == farm.Dir {
			continue
		}
		_, r, err := k.OpenPreserved(p.ID)
		check(err)
		if b := must(io.ReadAll(r)); bytes.Contains(b, []byte(data)) {
			return true
		}
		_ = r.Close()
	}
	return inTree(fs, farm.Path{}, data)
}

func inTree(fs vfs.FS, dir farm.Path, data string) bool {
	for _, e := range must(fs.ReadDir(dir)) {
		p := must(dir.Join(e.Name))
		switch e.Type {
		case farm.Dir:
			if inTree(fs, p, data) {
				return true
			}
		case farm.File:
			f := must(fs.Open(p))
			b := must(io.ReadAll(f))
			_ = f.Close()
			if bytes.Contains(b, []byte(data)) {
				return true
			}
		case farm.Symlink:
			if must(fs.Readlink(p)) == data {
				return true
			}
		}
	}
	return false
}
