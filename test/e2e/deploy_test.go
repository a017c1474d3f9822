//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestDeploy: releases go live by turning a symlink. On the other node whoever follows it always finds a whole release,
// although its largest file takes longest, and also when the node was away and catches up.
func TestDeploy(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.inSync("web1", "web2")
	deploy := func(n int) {
		dir := filepath.Join(f.folder("web1"), "releases", fmt.Sprint(n))
		for i := range 100 {
			f.write(filepath.Join(dir, "lib", fmt.Sprint(i)), fmt.Sprint(n))
		}
		f.write(filepath.Join(dir, "large"), string(bytes.Repeat(fmt.Appendf(nil, "%08d", n), 4<<20/8)))
		f.write(filepath.Join(dir, "version"), fmt.Sprint(n))
		link := filepath.Join(f.folder("web1"), "current")
		if err := errors.Join(os.Symlink(fmt.Sprint("releases/", n), link+".new"), os.Rename(link+".new", link)); err != nil {
			t.Fatal(err)
		}
	}
	live := filepath.Join(f.folder("web2"), "current")
	arrived := func(n int) error {
		text, err := os.Readlink(live)
		if err != nil {
			return err
		}
		for name, size := range map[string]int{"version": 1, "large": 4 << 20, "lib/0": 1, "lib/99": 1} {
			path := filepath.Join(filepath.Dir(live), text, name)
			b, err := os.ReadFile(path)
			if err != nil || len(b) != size {
				t.Fatalf("%s is live without %s: %d bytes, %v", text, name, len(b), err)
			}
		}
		if text != fmt.Sprint("releases/", n) {
			return fmt.Errorf("%s is live", text)
		}
		return nil
	}
	deploy(1)
	f.inSync("web1", "web2")
	for n := 2; n <= 5; n++ {
		deploy(n)
		f.awaitEvery(time.Millisecond, 20*time.Second, fmt.Sprintf("release %d is live", n), func() error { return arrived(n) })
	}
	f.stop("web2")
	deploy(6)
	f.start("web2")
	f.awaitEvery(time.Millisecond, 20*time.Second, "a release is live that was made while the node was away", func() error { return arrived(6) })
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
}
