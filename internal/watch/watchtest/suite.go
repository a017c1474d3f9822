package watchtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/internal/watch"
)

// Burst sizes. Disks remember mass deletions for minutes and make files slowly then, so that they get the small one.
const (
	DiskBurst   = 500
	MemoryBurst = 5000
)

// Suite runs the whole list with a mode. dir gives each test the place for its directories, burst is the number of files
// made at once.
func Suite(t *testing.T, mode watch.Mode, burst int, dir func(*testing.T) string) {
	// Nothing but barriers makes polling look within a test.
	opts := watch.Options{Own: true, Interval: time.Hour}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := OpenIn(t, dir(t), mode, opts, c.before)
			r.Burst = burst
			r.Run()
			c.test(r)
		})
	}
}

var cases = []struct {
	name   string
	before func(root string)
	test   func(r *Rig)
}{
	{"create", nil, func(r *Rig) {
		r.Write("f", "x")
		r.Settle()
		r.Want("f")
	}},
	{"before-open", tree("d/e/f"), func(r *Rig) {
		r.Settle()
		r.WantNot("d", "d/e", "d/e/f")
		r.Write("d/e/f", "xx")
		r.Write("d/e/g", "x")
		r.Settle()
		r.Want("d/e/f", "d/e/g")
	}},
	{"append", tree("f"), func(r *Rig) {
		f, err := os.OpenFile(r.Path("f"), os.O_APPEND|os.O_WRONLY, 0)
		r.Must(err)
		_, err = f.WriteString("more")
		r.Must(err)
		r.Settle() // a barrier does not wait for the close
		r.Want("f")
		r.Forget()
		_, err = f.WriteString("still more")
		r.Must(err)
		r.Must(f.Close())
		r.Settle()
		r.Want("f")
	}},
	{"open-reported-when-quiet", tree("f"), func(r *Rig) {
		if r.W.Stats().Mode == watch.Poll {
			return // polling sees every write at once
		}
		f, err := os.OpenFile(r.Path("f"), os.O_APPEND|os.O_WRONLY, 0)
		r.Must(err)
		defer f.Close()
		_, err = f.WriteString("more")
		r.Must(err)
		r.Next()
		r.Want("f")
	}},
	{"hard-link", tree("f"), func(r *Rig) {
		r.Must(os.Link(r.Path("f"), r.Path("g")))
		r.Settle()
		r.Want("g")
	}},
	{"unlink", tree("d/f"), func(r *Rig) {
		r.Must(os.Remove(r.Path("d/f")))
		r.Settle()
		r.Want("d/f")
	}},
	{"chmod", tree("d/f"), func(r *Rig) {
		r.Must(os.Chmod(r.Path("d/f"), 0o600))
		r.Must(os.Chmod(r.Path("d"), 0o700))
		r.Settle()
		r.Want("d/f", "d")
	}},
	{"touch", tree("f"), func(r *Rig) {
		r.Must(os.Chtimes(r.Path("f"), time.Time{}, time.Unix(1, 2)))
		r.Settle()
		r.Want("f")
	}},
	{"truncate", tree("f"), func(r *Rig) {
		r.Must(os.Truncate(r.Path("f"), 0))
		r.Settle()
		r.Want("f")
	}},
	{"symlink-flip", tree("v1/f", "v2/f"), func(r *Rig) {
		r.Must(os.Symlink("v1", r.Path("current")))
		r.Settle()
		r.Want("current")
		r.Forget()
		r.Must(os.Symlink("v2", r.Path("next")))
		r.Must(os.Rename(r.Path("next"), r.Path("current")))
		r.Settle()
		r.Want("current")
		r.WantNot("v1/f", "v2/f", "current/f")
	}},
	{"rename-file", tree("a/f", "b/g"), func(r *Rig) {
		r.Must(os.Rename(r.Path("a/f"), r.Path("b/f")))
		r.Settle()
		r.Want("a/f", "b/f")
	}},
	{"rename-over", tree("f"), func(r *Rig) {
		r.Write("f.tmp", "new")
		r.Must(os.Rename(r.Path("f.tmp"), r.Path("f")))
		r.Settle()
		r.Want("f")
	}},
	{"rename-dir", tree("a/b/f", "c/g"), func(r *Rig) {
		r.Must(os.Rename(r.Path("a"), r.Path("c/a")))
		r.Settle()
		r.Want("a", "a/b/f", "c/a", "c/a/b", "c/a/b/f")
		r.Forget()
		r.Write("c/a/b/f", "changed after the move")
		r.Write("c/a/b/h", "new after the move")
		r.Settle()
		r.Want("c/a/b/f", "c/a/b/h")
		r.Mkdir("a/b")
		r.Write("a/b/f", "old place, new directory")
		r.Settle()
		r.Want("a", "a/b", "a/b/f")
	}},
	{"rename-in", nil, func(r *Rig) {
		r.Must(os.MkdirAll(filepath.Join(r.Outside, "d/e"), 0o755))
		r.Must(os.WriteFile(filepath.Join(r.Outside, "d/e/f"), nil, 0o644))
		r.Settle()
		r.Must(os.Rename(filepath.Join(r.Outside, "d"), r.Path("d")))
		r.Settle()
		r.Want("d", "d/e/f")
		r.Forget()
		r.Write("d/e/f", "x")
		r.Settle()
		r.Want("d/e/f")
	}},
	{"rename-out", tree("d/e/f"), func(r *Rig) {
		out := filepath.Join(r.Outside, "d")
		r.Write("d/e/f", "x")
		r.Must(os.Rename(r.Path("d"), out))
		r.Settle()
		r.Want("d", "d/e/f")
		r.Forget()
		r.Must(os.WriteFile(filepath.Join(out, "e/f"), []byte("no longer ours"), 0o644))
		r.Settle()
		if len(r.Dirty)+len(r.Trees) > 0 {
			r.Errorf("reported from outside: %q %q", keys(r.Dirty), keys(r.Trees))
		}
		r.Must(os.Rename(out, r.Path("back")))
		r.Write("back/e/f", "ours again")
		r.Settle()
		r.Want("back", "back/e", "back/e/f")
	}},
	{"mkdir-p-race", nil, mkdirRace},
	{"rm-rf", tree("a/b/c/f", "a/b/g", "a/h", "z"), func(r *Rig) {
		r.Must(os.RemoveAll(r.Path("a")))
		r.Settle()
		r.Want("a", "a/b", "a/b/c", "a/b/c/f", "a/b/g", "a/h")
		r.WantNot("z")
	}},
	{"rm-rf-and-again", tree("a/b/f"), func(r *Rig) {
		for range 20 {
			r.Must(os.RemoveAll(r.Path("a")))
			r.Mkdir("a/b")
			r.Write("a/b/g", "x")
		}
		r.Settle()
		r.Want("a/b/f", "a/b/g")
		r.Forget()
		r.Write("a/b/g", "y")
		r.Settle()
		r.Want("a/b/g")
	}},
	{"unlinked-open", tree("f"), func(r *Rig) {
		f, err := os.OpenFile(r.Path("f"), os.O_WRONLY, 0)
		r.Must(err)
		r.Must(os.Remove(r.Path("f")))
		_, err = f.WriteString("into the void")
		r.Must(err)
		r.Must(f.Close())
		r.Settle()
		r.Want("f")
	}},
	{"names", nil, func(r *Rig) {
		names := []string{"new\nline", "\xff\xfe", "-rf", "a b", `b\s`, "ü", " ", "x (deleted)"}
		for _, n := range names {
			r.Mkdir(n)
			r.Write(n+"/"+n, "x")
		}
		r.Settle()
		for _, n := range names {
			r.Want(n, n+"/"+n)
		}
		r.Forget()
		for _, n := range names {
			r.Write(n+"/"+n, "y")
		}
		r.Settle()
		for _, n := range names {
			r.Want(n + "/" + n)
		}
	}},
	{"private", nil, func(r *Rig) {
		r.Mkdir(".tandem/staging")
		r.Write(".tandem/staging/f", "x")
		r.Must(os.Rename(r.Path(".tandem/staging/f"), r.Path("f")))
		r.Mkdir("d/.tandem") // only the root's is private
		r.Write("d/.tandem/f", "x")
		r.Settle()
		r.Want("f", "d/.tandem/f")
	}},
	{"barrier-of-1000", nil, func(r *Rig) {
		var want []string
		for i := range min(1000, r.Burst) {
			p := fmt.Sprintf("f%d", i)
			r.Write(p, p)
			want = append(want, p)
		}
		r.Settle()
		r.Want(want...)
	}},
	{"burst", tree("d0/x", "d1/x", "d2/x", "d3/x"), func(r *Rig) {
		var want []string
		for i := range r.Burst {
			p := fmt.Sprintf("d%d/f%d", i%4, i)
			r.Write(p, "")
			want = append(want, p)
			if i%500 == 0 { // not all of them wait in the queue
				r.Settle()
			}
		}
		r.Settle()
		r.Want(want...)
	}},
	{"barrier-dir-removed", nil, func(r *Rig) {
		r.Settle()
		r.Must(os.RemoveAll(r.Path(".tandem")))
		r.Write("f", "x")
		r.Settle()
		r.Want("f")
		r.Must(os.RemoveAll(r.Path(".tandem/barrier")))
		r.Write("g", "x")
		r.Settle()
		r.Want("g")
	}},
}

// tree returns what makes files with their directories.
func tree(files ...string) func(root string) {
	return func(root string) {
		for _, f := range files {
			p := filepath.Join(root, f)
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				panic(err)
			}
			if err := os.WriteFile(p, []byte(f), 0o644); err != nil {
				panic(err)
			}
		}
	}
}

// mkdirRace makes deep directories and fills each at once, which is before a watch can have been added.
func mkdirRace(r *Rig) {
	const branches, depth = 20, 10
	var want []string
	done := make(chan error, branches)
	for b := range branches {
		p := fmt.Sprintf("b%d", b)
		for range depth {
			p += "/d"
			want = append(want, p, p+"/f")
		}
		go func() { done <- fill(r.Path(fmt.Sprintf("b%d", b)), depth) }()
	}
	for range branches {
		r.Must(<-done)
	}
	r.Settle()
	r.Want(want...)
	r.Forget()
	for _, p := range want {
		if filepath.Base(p) == "f" {
			r.Write(p, "again")
		}
	}
	r.Settle()
	for _, p := range want {
		if filepath.Base(p) == "f" {
			r.Want(p)
		}
	}
}

func fill(p string, depth int) error {
	for range depth {
		p += "/d"
		if err := os.MkdirAll(p, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p+"/f", []byte("x"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
