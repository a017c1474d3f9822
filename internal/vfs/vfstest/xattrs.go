package vfstest

import (
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

func (x *tester) make(list ...farm.XAttr) *farm.XAttrs {
	x.Helper()
	a, err := farm.MakeXAttrs(list)
	x.ok(err)
	return &a
}

func (x *tester) has(p string, want *farm.XAttrs) {
	x.Helper()
	got, err := x.fs.XAttrs(farm.MustPath(p))
	x.ok(err)
	if !got.Same(*want) {
		x.Fatalf("%s has %v, want %v", p, got, want)
	}
}

func xattrs(x *tester) {
	x.write("f", "data")
	x.mkdir("d")
	none := x.make()
	some := x.make(farm.XAttr{Name: "user.a", Value: "1"}, farm.XAttr{Name: "user.empty"}, farm.XAttr{Name: "user.b", Value: "\x00\xff"})
	other := x.make(farm.XAttr{Name: "user.a", Value: "2"})
	for _, p := range []string{"f", "d"} {
		q := farm.MustPath(p)
		if !x.lstat(p).XAttrs {
			x.Skip("this file system has no extended attributes")
		}
		x.has(p, none)
		was := x.lstat(p)
		for _, set := range []*farm.XAttrs{some, other, none} {
			x.ok(x.fs.SetAttr(q, vfs.SetAttr{XAttrs: set}))
			x.has(p, set)
		}
		if now := x.lstat(p); now.CTime == was.CTime || now.MTime != was.MTime || now.Mode != was.Mode {
			x.Errorf("%+v became %+v", was, now)
		}
	}
	mode := uint32(0o440)
	tmp := x.temp("x")
	x.ok(tmp.SetAttr(vfs.SetAttr{Mode: &mode, XAttrs: some}))
	got, err := tmp.XAttrs()
	x.ok(err)
	x.ok(tmp.Link(farm.MustPath("g")))
	f, err := x.fs.Open(farm.MustPath("g"))
	x.ok(err)
	defer f.Close()
	again, err := f.XAttrs()
	x.ok(err)
	if got != *some || again != *some {
		x.Fatalf("the temp has %v, the file %v", got, again)
	}
	foreign := x.make(farm.XAttr{Name: "trusted.x", Value: "1"}, farm.XAttr{Name: "system.x", Value: "1"}, farm.XAttr{Name: "user.a", Value: "3"})
	x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{XAttrs: foreign}))
	x.has("f", x.make(farm.XAttr{Name: "user.a", Value: "3"}))
}

func acls(x *tester) {
	x.write("f", "data")
	x.mkdir("d")
	if !x.lstat("f").XAttrs {
		x.Skip("this file system has no extended attributes")
	}
	list := x.make(farm.XAttr{Name: farm.XAttrACL, Value: "g=4,u:4242=6,g:4343=5"})
	mode := uint32(0o664)
	x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{Mode: &mode, XAttrs: list}))
	x.has("f", list)
	if got := x.lstat("f").Mode & 0o7777; got != mode {
		x.Fatalf("mode is %o", got)
	}
	mode = 0o600
	x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{Mode: &mode}))
	x.has("f", list) // a chmod sets the mask, and that is the mode
	if got := x.lstat("f").Mode & 0o7777; got != mode {
		x.Fatalf("mode is %o", got)
	}
	mode = 0o755
	both := x.make(farm.XAttr{Name: farm.XAttrACL, Value: "g=0,u:4242=7"},
		farm.XAttr{Name: farm.XAttrDefaultACL, Value: "u=7,g=5,m=7,o=0,u:4242=7"})
	x.ok(x.fs.SetAttr(farm.MustPath("d"), vfs.SetAttr{Mode: &mode, XAttrs: both}))
	x.has("d", both)
	mode = 0o700
	x.ok(x.fs.SetAttr(farm.MustPath("d"), vfs.SetAttr{Mode: &mode, XAttrs: x.make()}))
	x.has("d", x.make())
	if got := x.lstat("d").Mode & 0o7777; got != mode {
		x.Fatalf("mode is %o", got)
	}
}

func linkXAttrs(x *tester) {
	x.write("f", "data")
	x.symlink("f", "l")
	x.ok(x.fs.SetAttr(farm.MustPath("l"), vfs.SetAttr{XAttrs: x.make(farm.XAttr{Name: "user.a", Value: "1"})}))
	x.has("l", x.make())
	x.has("f", x.make())
}
