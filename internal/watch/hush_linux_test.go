package watch_test

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
	"tandem/internal/watch"
	"tandem/internal/watch/watchtest"
)

// area makes the private area in which only this process works.
func area(root string) {
	for _, d := range []string{"staging", "preserved"} {
		if err := os.MkdirAll(root+"/"+farm.PrivateDir+"/"+d, 0o700); err != nil {
			panic(err)
		}
	}
}

// TestHushed: what is prepared in the private area, and in a directory that was said to be quiet, is not even read, and what
// leaves the area is.
func TestHushed(t *testing.T) {
	needFanotify(t)
	needKernel6(t)
	top := inMemory(t)
	dir := top + "/quiet"
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := watchtest.OpenIn(t, top, watch.Fanotify, watch.Options{Quiet: []string{dir}}, area)
	r.Run()
	const files = 100
	for i := range files {
		shell(r, fmt.Sprintf("echo x > .tandem/staging/f%d; chmod 600 .tandem/staging/f%d; echo x > %s/f%d", i, i, dir, i))
	}
	r.Settle()
	if s := r.W.Stats(); s.Seen > files {
		t.Errorf("%d notifications of %d files in each of two directories of our own", s.Seen, files)
	}
	shell(r, "mv .tandem/staging/f0 f; echo y >> f")
	r.Settle()
	r.Want("f")
}

// TestOwnNewDirectory: a directory that we have prepared and given its name need not be looked at, and what others do in it
// is noticed.
func TestOwnNewDirectory(t *testing.T) {
	needFanotify(t)
	r := watchtest.New(t, watch.Fanotify, watch.Options{}, area)
	r.Must(os.Mkdir(r.Path(".tandem/staging/new"), 0o700))
	r.Must(os.Rename(r.Path(".tandem/staging/new"), r.Path("d")))
	shell(r, "echo x > d/f")
	r.Settle()
	r.Want("d/f")
	r.WantNot("d")
	r.Forget()
	shell(r, "mkdir .tandem/staging/theirs; mv .tandem/staging/theirs e")
	r.Settle()
	r.Want("e")
}

// needKernel6 skips a test of what came with Linux 6.0.
func needKernel6(t *testing.T) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.", &major); err != nil || major < 6 {
		t.Skip("older than Linux 6.0")
	}
}
