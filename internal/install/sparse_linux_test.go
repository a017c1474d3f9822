package install

import (
	"context"
	"flag"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

var sparseBytes = flag.Int64("sparse", 64<<20, "size of the sparse file; 1073741824 takes some seconds")

// A file that is nearly all hole is copied from this disk without filling the holes.
func TestSparseCopyStaysSparse(t *testing.T) {
	fs, w := disk(t)
	k := New(fs, Config{Folder: "site"})
	check(k.Recover())
	const mostBytes = 1 << 20
	size := *sparseBytes
	f := must(os.Create(w.at(path("sparse"))))
	for _, at := range []int64{0, size/3 + 17, size - 3} {
		must(f.WriteAt([]byte("end"), at))
	}
	check(f.Close())
	var st unix.Stat_t
	check(unix.Stat(w.at(path("sparse")), &st))
	if st.Blocks*512 > mostBytes {
		t.Skip("this file system fills holes")
	}
	want := observe(fs, path("sparse")).Attr
	src := source{want.Digest: "local:sparse"}
	r := k.Install(context.Background(), farm.Plan{Path: path("copy"), Want: want}, src)
	if r.Outcome != farm.Done {
		t.Fatalf("%v, %v", r.Outcome, r.Err)
	}
	check(unix.Stat(w.at(path("copy")), &st))
	if st.Size != size || st.Blocks*512 > mostBytes {
		t.Errorf("%d bytes take %d blocks", st.Size, st.Blocks)
	}
}
