package vfstest

import (
	"fmt"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

func prepare(x *tester) {
	for _, p := range []string{farm.PrivateDir, vfs.StagingDir, vfs.PreservedDir, vfs.BarrierDir} {
		if st := x.lstat(p); st.Type != farm.Dir || st.Mode&0o7777 != 0o700 {
			x.Fatalf("%s is %v %o", p, st.Type, st.Mode)
		}
	}
	x.ok(x.fs.CheckRoot())
}

func types(x *tester) {
	x.write("f", "abc")
	x.mkdir("d")
	x.symlink("nowhere", "l")
	x.ok(x.app.Mkfifo("p"))
	for p, want := range map[string]farm.Type{"f": farm.File, "d": farm.Dir, "l": farm.Symlink, "p": farm.Absent, ".": farm.Dir} {
		if st := x.lstat(p); st.Type != want || st.Ino == 0 || (want == farm.Absent) != (st.Other != "") {
			x.Errorf("%s is %v %q", p, st.Type, st.Other)
		}
	}
	if st := x.lstat("f"); st.Size != 3 || st.Attr().Size != 3 {
		x.Errorf("size is %d", st.Size)
	}
	if a := x.lstat("d").Attr(); a.Size != 0 || a.MTime != 0 {
		x.Errorf("a directory has size or time: %+v", a)
	}
	if a := x.lstat("l").Attr(); a.Mode != 0 {
		x.Errorf("a symlink has a mode: %+v", a)
	}
	if target, err := x.fs.Readlink(farm.MustPath("l")); err != nil || target != "nowhere" {
		x.Errorf("readlink: %q, %v", target, err)
	}
	_, err := x.fs.Readlink(farm.MustPath("f"))
	x.kind(err, farm.Conflict)
}

func readDir(x *tester) {
	for _, p := range []string{"b", "a", "c"} {
		x.write(p, "")
	}
	x.mkdir("d")
	x.symlink("a", "e")
	list, err := x.fs.ReadDir(farm.Path{})
	x.ok(err)
	if got := fmt.Sprint(list); got != "[{a file} {b file} {c file} {d dir} {e symlink}]" {
		x.Fatal(got)
	}
	list, err = x.fs.ReadDir(farm.MustPath(farm.PrivateDir))
	x.ok(err)
	if len(list) < 3 {
		x.Fatalf("the private area lists %v", list)
	}
	_, err = x.fs.ReadDir(farm.MustPath("a"))
	x.kind(err, farm.Conflict)
	_, err = x.fs.ReadDir(farm.MustPath("e"))
	x.kind(err, farm.Conflict)
	_, err = x.fs.ReadDir(farm.MustPath("nowhere"))
	x.kind(err, farm.NotFound)
}

// openDir: an open directory says what the tree says of it.
func openDir(x *tester) {
	x.mkdir("d")
	x.write("d/f", "abc")
	x.mkdir("d/sub")
	x.symlink("f", "d/l")
	x.ok(x.app.Mkfifo("d/p"))
	d, err := vfs.OpenDir(x.fs, farm.MustPath("d"))
	x.ok(err)
	list, err := d.List()
	x.ok(err)
	if want, err := x.fs.ReadDir(farm.MustPath("d")); err != nil || fmt.Sprint(list) != fmt.Sprint(want) {
		x.Errorf("lists %v, want %v, %v", list, want, err)
	}
	for _, name := range []string{"f", "sub", "l", "p", "none"} {
		got, err := d.Lstat(name)
		want, werr := x.fs.Lstat(farm.MustPath("d/" + name))
		if got != want || farm.KindOf(err) != farm.KindOf(werr) {
			x.Errorf("lstat %s: %+v, %v, want %+v, %v", name, got, err, want, werr)
		}
		f, st, err := d.Open(name)
		_, werr = x.fs.Open(farm.MustPath("d/" + name))
		if (err == nil) != (name == "f") || name != "p" && farm.KindOf(err) != farm.KindOf(werr) {
			x.Errorf("open %s: %v, want %v", name, err, werr)
		}
		if err == nil && (st != want || f.Close() != nil) {
			x.Errorf("%s is open as %+v, want %+v", name, st, want)
		}
	}
	x.ok(d.Close())
	for p, kind := range map[string]farm.Kind{"d/f": farm.Conflict, "d/l": farm.Conflict, "none": farm.NotFound} {
		d, err := vfs.OpenDir(x.fs, farm.MustPath(p))
		if err == nil {
			_, err = d.List()
		}
		x.kind(err, kind)
	}
}

func names(x *tester) {
	for _, name := range []string{"new\nline", "\xff\xfe", strings.Repeat("n", 255), " ", "-rf", "a\\b", "ü", "\t"} {
		x.ok(x.temp(name).Link(farm.MustPath(name)))
		x.holds(name, name)
		x.mkdir("dir")
		x.ok(x.fs.RenameNoReplace(farm.MustPath(name), farm.MustPath("dir/"+name)))
		list, err := x.fs.ReadDir(farm.MustPath("dir"))
		x.ok(err)
		if len(list) != 1 || list[0].Name != name {
			x.Fatalf("listed %q", list)
		}
		x.ok(x.fs.Remove(farm.MustPath("dir/" + name)))
		x.ok(x.fs.RemoveDir(farm.MustPath("dir")))
	}
}

// every calls each operation with p as its path.
func (x *tester) every(p string, want farm.Kind) {
	x.Helper()
	q, free := farm.MustPath(p), farm.MustPath("free")
	mode := uint32(0o700)
	tmp := x.temp("x")
	for name, call := range map[string]func() error{
		"lstat":       func() error { _, err := x.fs.Lstat(q); return err },
		"readdir":     func() error { _, err := x.fs.ReadDir(q); return err },
		"readlink":    func() error { _, err := x.fs.Readlink(q); return err },
		"open":        func() error { _, err := x.fs.Open(q); return err },
		"mkdir":       func() error { return x.fs.Mkdir(q, 0o755) },
		"symlink":     func() error { return x.fs.Symlink("t", q) },
		"setattr":     func() error { return x.fs.SetAttr(q, vfs.SetAttr{Mode: &mode}) },
		"rename from": func() error { return x.fs.RenameNoReplace(q, free) },
		"rename to":   func() error { return x.fs.RenameNoReplace(farm.MustPath("other"), q) },
		"exchange a":  func() error { return x.fs.Exchange(q, farm.MustPath("other")) },
		"exchange b":  func() error { return x.fs.Exchange(farm.MustPath("other"), q) },
		"remove":      func() error { return x.fs.Remove(q) },
		"rmdir":       func() error { return x.fs.RemoveDir(q) },
		"temp.link":   func() error { return tmp.Link(q) },
		"openlog":     func() error { _, err := x.fs.OpenLog(q); return err },
	} {
		if err := call(); farm.KindOf(err) != want || err == nil {
			x.Errorf("%s %s: got %v of kind %v, want kind %v", name, p, err, farm.KindOf(err), want)
		}
	}
}

func confined(x *tester) {
	x.mkdir("real")
	x.mkdir("real/sub")
	x.write("real/f", "kept")
	x.write("other", "other")
	x.symlink("real", "link")
	x.every("link/f", farm.Conflict)
	x.every("link/sub/f", farm.Conflict)
	x.symlink("..", "real/up")
	x.every("real/up/other", farm.Conflict)
	x.symlink("/", "abs")
	x.every("abs/etc", farm.Conflict)
	x.holds("real/f", "kept")
	x.holds("other", "other")
}

func fileParent(x *tester) {
	x.write("f", "kept")
	x.write("other", "other")
	x.every("f/x", farm.NotFound)
	x.every("f/x/y", farm.NotFound)
	x.holds("f", "kept")
}

func missing(x *tester) {
	x.write("other", "other")
	x.every("none/x", farm.NotFound)
	p := farm.MustPath("none")
	_, err := x.fs.Lstat(p)
	x.kind(err, farm.NotFound)
	_, err = x.fs.Open(p)
	x.kind(err, farm.NotFound)
	x.kind(x.fs.Remove(p), farm.NotFound)
	x.kind(x.fs.RemoveDir(p), farm.NotFound)
	x.kind(x.fs.Exchange(p, farm.MustPath("other")), farm.NotFound)
	x.kind(x.fs.Exchange(farm.MustPath("other"), p), farm.NotFound)
	x.kind(x.fs.RenameNoReplace(p, farm.MustPath("free")), farm.NotFound)
}

func rootRefused(x *tester) {
	root, other := farm.Path{}, farm.MustPath("other")
	x.write("other", "other")
	for name, call := range map[string]func() error{
		"mkdir":       func() error { return x.fs.Mkdir(root, 0o755) },
		"symlink":     func() error { return x.fs.Symlink("t", root) },
		"rename from": func() error { return x.fs.RenameNoReplace(root, other) },
		"rename to":   func() error { return x.fs.RenameNoReplace(other, root) },
		"exchange":    func() error { return x.fs.Exchange(other, root) },
		"remove":      func() error { return x.fs.Remove(root) },
		"rmdir":       func() error { return x.fs.RemoveDir(root) },
	} {
		if call() == nil {
			x.Errorf("%s of the root went through", name)
		}
	}
	x.ok(x.fs.CheckRoot())
}

func renameNoReplace(x *tester) {
	a, b := farm.MustPath("a"), farm.MustPath("d/b")
	x.write("a", "a")
	x.mkdir("d")
	x.write("d/b", "b")
	ino := x.lstat("a").Ino
	x.kind(x.fs.RenameNoReplace(a, b), farm.Exists)
	x.ok(x.fs.Remove(b))
	x.ok(x.fs.RenameNoReplace(a, b))
	x.gone("a")
	x.holds("d/b", "a")
	if x.lstat("d/b").Ino != ino {
		x.Fatal("another inode")
	}
}

func exchange(x *tester) {
	x.write("f", "file")
	x.mkdir("d")
	x.write("d/child", "child")
	x.symlink("target", "l")
	f, d := x.lstat("f").Ino, x.lstat("d").Ino
	x.ok(x.fs.Exchange(farm.MustPath("f"), farm.MustPath("d")))
	if x.lstat("f").Ino != d || x.lstat("d").Ino != f {
		x.Fatal("not swapped")
	}
	x.holds("f/child", "child")
	x.holds("d", "file")
	x.ok(x.fs.Exchange(farm.MustPath("f/child"), farm.MustPath("l")))
	x.holds("l", "child")
	if x.lstat("f/child").Type != farm.Symlink {
		x.Fatal("not swapped")
	}
}

func removes(x *tester) {
	x.write("f", "")
	x.mkdir("d")
	x.write("d/x", "")
	x.symlink("d", "l")
	x.kind(x.fs.Remove(farm.MustPath("d")), farm.Conflict)
	x.kind(x.fs.RemoveDir(farm.MustPath("f")), farm.Conflict)
	x.kind(x.fs.RemoveDir(farm.MustPath("l")), farm.Conflict)
	x.kind(x.fs.RemoveDir(farm.MustPath("d")), farm.Exists)
	x.ok(x.fs.Remove(farm.MustPath("l")))
	x.ok(x.fs.Remove(farm.MustPath("d/x")))
	x.ok(x.fs.RemoveDir(farm.MustPath("d")))
	x.ok(x.fs.Remove(farm.MustPath("f")))
	for _, p := range []string{"f", "d", "l"} {
		x.gone(p)
	}
}
