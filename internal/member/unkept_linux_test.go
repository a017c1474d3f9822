package member

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A FIFO that is made or removed while the member runs is counted, or forgotten, at once.
func TestSpecialsAreCountedAtOnce(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "the first scan has ended", func() bool {
		f := web1.folders.get("www")
		return f != nil && f.unkept.Load() != nil && web1.folder().InSync
	})
	pipe := filepath.Join(web1.www, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return web1.folder().Unkept["fifo"] == 1 })
	if err := os.Remove(pipe); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is forgotten", func() bool { return len(web1.folder().Unkept) == 0 })
}
