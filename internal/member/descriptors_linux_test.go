package member

import (
	"os"
	"runtime"
	"testing"

	"tandem/internal/control"
)

// A folder that is closed gives back, in the end, each descriptor that it had, however often it is opened.
func TestClosedFolderHoldsNoFiles(t *testing.T) {
	s := first(t, "web1")
	eventually(t, "the folder is live", s.inState(control.FolderLive))
	open := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	spec := s.folders.get("www").spec
	spec.id, spec.root = "other", t.TempDir()
	before := open()
	for range 20 {
		f, err := s.openFolder(spec, opening{})
		if err != nil {
			t.Fatal(err)
		}
		if f.close(); f.err != nil {
			t.Fatal(f.err)
		}
	}
	eventually(t, "they are given back", func() bool {
		runtime.GC() // the number of a root's stays taken until nobody has the disk
		return open() < before+20
	})
}
