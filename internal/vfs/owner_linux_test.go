package vfs_test

import (
	"os"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// TestOwnerOfNewFiles: a partial file that was given away in an earlier life says nothing about whose new files are.
func TestOwnerOfNewFiles(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may give files away")
	}
	fs, err := vfs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(fs.Prepare("www"))
	other, partial := farm.Owner{UID: 4242, GID: 4243}, farm.MustPath(vfs.StagingDir+"/part-1")
	for range 2 { // the second time it belongs to the other already
		p, err := fs.Partial(partial)
		must(err)
		must(p.SetAttr(vfs.SetAttr{Owner: &other}))
		must(p.Close())
	}
	f, err := fs.Temp()
	must(err)
	defer f.Close()
	must(f.SetAttr(vfs.SetAttr{Owner: &other}))
	if st, err := f.Stat(); err != nil || st.UID != other.UID || st.GID != other.GID {
		t.Errorf("a new file belongs to %d:%d, want %d:%d; %v", st.UID, st.GID, other.UID, other.GID, err)
	}
}
