package scan_test

import (
	"fmt"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/scan"
)

func TestMoved(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *rig, c catalogue) // after the rename
		want   string                    // what is there besides; no: it is not the same
	}{
		{"all of it", func(r *rig, c catalogue) {}, "[]"},
		{"something new", func(r *rig, c catalogue) { r.write("n/b/new", "x") }, "[n/b/new]"},
		{"something excluded", func(r *rig, c catalogue) { r.write("n/b/x.tmp", "x") }, "[]"},
		{"what may hide a write", func(r *rig, c catalogue) { d := c["a/g"]; d.Stat.Racy = true; c["a/g"] = d }, "[n/g]"},
		{"something missing", func(r *rig, c catalogue) { r.remove("n/g") }, "no"},
		{"something modified", func(r *rig, c catalogue) { r.write("n/b/f", "other") }, "no"},
		{"mode of a directory", func(r *rig, c catalogue) { r.must(r.app.Chmod(farm.MustPath("n/b"), 0o700)) }, "no"},
		{"another directory in it", func(r *rig, c catalogue) {
			r.must(r.app.Rename(farm.MustPath("n/b"), farm.MustPath(".tandem/b")))
			r.mkdir("n/b")
			r.must(r.app.Rename(farm.MustPath(".tandem/b/f"), farm.MustPath("n/b/f")))
		}, "no"},
		{"renamed again", func(r *rig, c catalogue) { r.must(r.app.Rename(farm.MustPath("n"), farm.MustPath("m"))) }, "no"},
		{"renamed back", func(r *rig, c catalogue) { r.must(r.app.Rename(farm.MustPath("n"), farm.MustPath("a"))) }, "no"},
		{"another in its place", func(r *rig, c catalogue) { r.mkdir("a"); r.write("a/g", "x") }, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, scan.Config{Filter: excluding("*.tmp")}, func(r *rig) {
				r.mkdir("a", "a/b")
				r.write("a/b/f", "1")
				r.write("a/g", "2")
				known := r.learn("a", "a/b", "a/b/f", "a/g")
				r.must(r.app.Rename(farm.MustPath("a"), farm.MustPath("n")))
				c.change(r, known)
				_, besides, same, err := r.s.Moved(r.Context(), farm.MustPath("a"), farm.MustPath("n"), known["a"], known)
				r.must(err)
				got := fmt.Sprint(besides)
				if !same {
					got = "no"
				}
				if got != c.want {
					r.Errorf("got %s, want %s", got, c.want)
				}
			})
		})
	}
}
