package vfstest

import (
	"io"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// before1970 is the moment 0.000000001 s before 1969-12-31 23:59:59 UTC.
const before1970 = int64(-1_000_000_001)

func tempWhole(x *tester) {
	p := farm.MustPath("f")
	tmp := x.temp("whole")
	mode, mtime := uint32(0o6640), int64(1_600_000_000_123_456_789)
	x.ok(tmp.SetAttr(vfs.SetAttr{Mode: &mode, MTime: &mtime}))
	before, err := tmp.Stat()
	x.ok(err)
	if before.Links != 0 && before.Links != 1 {
		x.Fatalf("%d links", before.Links)
	}
	x.ok(tmp.Link(p))
	st := x.lstat("f")
	if st.Mode&0o7777 != 0o640 || st.MTime != mtime || st.Ino != before.Ino || st.Size != 5 {
		x.Fatalf("%+v, before %+v", st, before)
	}
	f, err := x.fs.Open(p)
	x.ok(err)
	defer f.Close()
	if f.Writers() {
		x.Error("somebody still has it open for writing")
	}
	after, err := tmp.Stat()
	x.ok(err)
	if !after.Matches(st.Fingerprint) {
		x.Errorf("the temp shows %+v, the path %+v", after, st)
	}
	x.ok(tmp.Close())
	x.holds("f", "whole")
}

func tempVanishes(x *tester) {
	x.ok(x.temp("x").Close())
	list, err := x.fs.ReadDir(farm.MustPath(vfs.StagingDir))
	x.ok(err)
	if len(list) != 0 {
		x.Fatalf("left %v", list)
	}
}

func tempTaken(x *tester) {
	x.write("f", "old")
	x.mkdir("d")
	tmp := x.temp("new")
	x.kind(tmp.Link(farm.MustPath("f")), farm.Exists)
	x.kind(tmp.Link(farm.MustPath("d")), farm.Exists)
	x.holds("f", "old")
	x.ok(tmp.Link(farm.MustPath("d/g")))
	x.holds("d/g", "new")
}

func tempCopies(x *tester) {
	data := strings.Repeat("0123456789", 30_000)
	x.write("f", data)
	f, err := x.fs.Open(farm.MustPath("f"))
	x.ok(err)
	defer f.Close()
	_, err = f.Read(make([]byte, 7)) // where the reader stands does not matter
	x.ok(err)
	for _, head := range []string{"", "head"} {
		tmp := x.temp(head)
		n, err := tmp.CopyFrom(f)
		x.ok(err)
		if n != int64(len(data)) {
			x.Fatalf("copied %d", n)
		}
		b, err := io.ReadAll(io.NewSectionReader(tmp, 0, 1<<30))
		x.ok(err)
		if string(b) != head+data {
			x.Fatal("the copy differs")
		}
	}
}

func modes(x *tester) {
	for _, mode := range []uint32{0, 0o777, 0o1777, 0o600, 0o555} {
		x.ok(x.fs.Mkdir(farm.MustPath("d"), mode))
		if got := x.lstat("d").Mode & 0o7777; got != mode {
			x.Errorf("mkdir %o gave %o", mode, got)
		}
		x.ok(x.fs.RemoveDir(farm.MustPath("d")))
	}
	x.write("f", "")
	for _, set := range []uint32{0o777, 0, 0o6755, 0o644} {
		x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{Mode: &set}))
		if got := x.lstat("f").Mode & 0o7777; got != set&0o1777 {
			x.Errorf("chmod %o gave %o", set, got)
		}
	}
	x.symlink("f", "l")
	mode := uint32(0o111)
	x.ok(x.fs.SetAttr(farm.MustPath("l"), vfs.SetAttr{Mode: &mode}))
	if got := x.lstat("f").Mode & 0o7777; got != 0o644 {
		x.Errorf("a symlink was followed: %o", got)
	}
}

func mtimes(x *tester) {
	x.write("f", "")
	for _, ns := range []int64{0, 1, -1, before1970, 1_600_000_000_123_456_789, 4_300_000_000_000_000_001} {
		x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{MTime: &ns}))
		if got := x.lstat("f").MTime; got != ns {
			x.Errorf("set %d, got %d", ns, got)
		}
		tmp := x.temp("x")
		x.ok(tmp.SetAttr(vfs.SetAttr{MTime: &ns}))
		if st, err := tmp.Stat(); err != nil || st.MTime != ns {
			x.Errorf("temp: set %d, got %d, %v", ns, st.MTime, err)
		}
	}
}

func linkTime(x *tester) {
	x.write("f", "")
	x.symlink("f", "l")
	was, ns := x.lstat("f"), before1970
	owner := x.lstat("l").Owner
	x.ok(x.fs.SetAttr(farm.MustPath("l"), vfs.SetAttr{MTime: &ns, Owner: &owner}))
	if got := x.lstat("l").MTime; got != ns {
		x.Errorf("set %d, got %d", ns, got)
	}
	if now := x.lstat("f"); !now.Matches(was.Fingerprint) {
		x.Error("the link was followed")
	}
}

func setAttrIno(x *tester) {
	x.write("f", "")
	st, mode := x.lstat("f"), uint32(0o600)
	x.kind(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{Ino: st.Ino + 1_000_000, Mode: &mode}), farm.Conflict)
	if now := x.lstat("f"); now.Mode != st.Mode {
		x.Error("set all the same")
	}
	x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{Ino: st.Ino, Mode: &mode}))
	if now := x.lstat("f"); now.Mode&0o7777 != mode {
		x.Errorf("mode is %o", now.Mode)
	}
}

func openOutlives(x *tester) {
	x.write("f", "old")
	f, err := x.fs.Open(farm.MustPath("f"))
	x.ok(err)
	defer f.Close()
	x.ok(x.fs.Remove(farm.MustPath("f")))
	x.write("f", "new")
	b, err := io.ReadAll(f)
	x.ok(err)
	st, err := f.Stat()
	x.ok(err)
	if string(b) != "old" || st.Links != 0 {
		x.Fatalf("read %q of %d links", b, st.Links)
	}
}

func openRegular(x *tester) {
	x.mkdir("d")
	x.symlink("d", "l")
	x.ok(x.app.Mkfifo("p"))
	for _, p := range []string{"d", "l", "p"} {
		_, err := x.fs.Open(farm.MustPath(p))
		x.kind(err, farm.Conflict)
	}
}

func writers(x *tester) {
	x.write("f", "x")
	f, err := x.fs.Open(farm.MustPath("f"))
	x.ok(err)
	defer f.Close()
	if f.Writers() {
		x.Fatal("nobody has it open for writing")
	}
	h, err := x.app.OpenWrite("f")
	x.ok(err)
	if !f.Writers() {
		x.Fatal("the writer is not seen")
	}
	x.ok(x.fs.Remove(farm.MustPath("f")))
	if !f.Writers() {
		x.Fatal("the writer of a file without a name is not seen")
	}
	x.ok(h.Close())
	if f.Writers() {
		x.Fatal("the writer is gone")
	}
}

func fingerprints(x *tester) {
	x.write("f", "one")
	was, mtime := x.lstat("f"), int64(0)
	if !x.lstat("f").Matches(was.Fingerprint) {
		x.Fatal("nothing happened")
	}
	for range 100 { // what is not racy tells every write of the same size
		was := x.lstat("f")
		x.write("f", "eno")
		if !was.Racy && x.lstat("f").Matches(was.Fingerprint) {
			x.Fatal("just written, not racy, and a write left no trace")
		}
	}
	was = x.lstat("f")
	x.write("f", "three")
	if x.lstat("f").Matches(was.Fingerprint) {
		x.Fatal("a write was not seen")
	}
	x.ok(x.fs.SetAttr(farm.MustPath("f"), vfs.SetAttr{MTime: &mtime}))
	was = x.lstat("f")
	x.ok(x.fs.RenameNoReplace(farm.MustPath("f"), farm.MustPath("g")))
	now := x.lstat("g")
	now.CTime = was.CTime
	if !now.Matches(was.Fingerprint) {
		x.Fatalf("a rename changed more than the ctime: %+v, %+v", was, now)
	}
}

func logs(x *tester) {
	p := farm.MustPath(farm.PrivateDir + "/log")
	for range 2 {
		l, err := x.fs.OpenLog(p)
		x.ok(err)
		_, err = l.Write([]byte("line\n"))
		x.ok(err)
		x.ok(l.Close())
	}
	x.holds(p.String(), "line\nline\n")
	l, err := x.fs.OpenLog(p)
	x.ok(err)
	defer l.Close()
	x.ok(l.Reset())
	x.holds(p.String(), "")
	_, err = l.Write([]byte("next\n"))
	x.ok(err)
	x.holds(p.String(), "next\n")
}

func misc(x *tester) {
	x.write("f", "x")
	x.ok(x.fs.Sync())
	bytes, _, err := x.fs.Free()
	x.ok(err)
	if bytes == 0 {
		x.Error("nothing free")
	}
	x.ok(x.fs.CheckRoot())
	x.kind(x.fs.Prepare("another"), farm.Conflict)
}
