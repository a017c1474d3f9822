package vfstest

import (
	"io"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

func tempParts(x *tester) {
	data := strings.Repeat("0123456789", 30_000)
	x.write("f", data)
	f, err := x.fs.Open(farm.MustPath("f"))
	x.ok(err)
	defer f.Close()
	tmp := x.temp("")
	_, err = tmp.WriteAt([]byte("tail"), 400_000)
	x.ok(err)
	x.ok(tmp.CopyRange(f, 5, 10, 290_000))
	_, err = tmp.WriteAt([]byte("head"), 0)
	x.ok(err)
	x.ok(tmp.Truncate(500_000))
	zeros := func(n int) string { return strings.Repeat("\x00", n) }
	want := "head" + zeros(6) + data[5:290_005] + zeros(400_000-290_010) + "tail" + zeros(100_000-4)
	b, err := io.ReadAll(io.NewSectionReader(tmp, 0, 1<<30))
	x.ok(err)
	if string(b) != want {
		x.Fatal("the parts are not where they belong")
	}
	x.kind(tmp.CopyRange(f, 299_990, 450_000, 100), farm.Conflict)
	x.ok(tmp.Truncate(3))
	x.ok(tmp.Link(farm.MustPath("g")))
	x.holds("g", "hea")
}

func partials(x *tester) {
	p := farm.MustPath(vfs.StagingDir + "/part-1")
	part, err := x.fs.Partial(p)
	x.ok(err)
	_, err = part.WriteAt([]byte("data"), 4)
	x.ok(err)
	x.ok(part.Close())
	x.holds(p.String(), "\x00\x00\x00\x00data")

	part, err = x.fs.Partial(p)
	x.ok(err)
	_, err = part.WriteAt([]byte("some"), 0)
	x.ok(err)
	x.write("taken", "old")
	x.kind(part.Link(farm.MustPath("taken")), farm.Exists)
	x.ok(part.Link(farm.MustPath("f")))
	x.ok(part.Close())
	x.holds("f", "somedata")
	_, err = x.fs.Lstat(p)
	x.kind(err, farm.NotFound)

	x.ok(x.fs.Symlink("/etc/passwd", p))
	_, err = x.fs.Partial(p)
	x.kind(err, farm.Conflict)
}
