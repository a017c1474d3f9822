package scan_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/scan"
)

// walk returns what is reported, in order.
func (r *rig) walk(s *scan.Scanner, dir string, c catalogue) ([]string, error) {
	var got []string
	err := s.Walk(r.Context(), farm.MustPath(dir), c, func(p farm.Path) error {
		got = append(got, p.String())
		return nil
	})
	return got, err
}

func TestWalk(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(r *rig, c catalogue)
		want   string
	}{
		{"nothing", func(r *rig, c catalogue) {}, ""},
		{"new file", func(r *rig, c catalogue) { r.write("a/new", "x") }, "a/new"},
		{"new tree", func(r *rig, c catalogue) { r.mkdir("n", "n/m"); r.write("n/m/f", "x") }, "n n/m n/m/f"},
		{"modified", func(r *rig, c catalogue) { r.write("a/b/f", "other") }, "a/b/f"},
		{"mode of a directory", func(r *rig, c catalogue) { r.must(r.app.Chmod(farm.MustPath("a"), 0o700)) }, "a"},
		{"missing file", func(r *rig, c catalogue) { r.remove("a/b/f") }, "a/b/f"},
		{"missing tree", func(r *rig, c catalogue) { r.must(r.app.Rename(farm.MustPath("a"), farm.MustPath(".tandem/a"))) }, "a a/b a/b/f a/g"},
		{"directory to file", func(r *rig, c catalogue) {
			r.must(r.app.Rename(farm.MustPath("a"), farm.MustPath(".tandem/a")))
			r.write("a", "x")
		}, "a a/b a/b/f a/g"},
		{"directory to symlink", func(r *rig, c catalogue) {
			r.must(r.app.Rename(farm.MustPath("a"), farm.MustPath("z")))
			r.symlink("z", "a")
		}, "a a/b a/b/f a/g z z/b z/g z/b/f"},
		{"file to directory", func(r *rig, c catalogue) { r.remove("h"); r.mkdir("h"); r.write("h/x", "x") }, "h h/x"},
		{"fifo", func(r *rig, c catalogue) { r.must(r.app.Mkfifo(farm.MustPath("p"))) }, "p"},
		{"racy", func(r *rig, c catalogue) { d := c["h"]; d.Stat.Racy = true; c["h"] = d }, "h"},
		{"tombstone", func(r *rig, c catalogue) { c["dead"] = farm.Disk{} }, ""},
		{"tombstone that lives", func(r *rig, c catalogue) { c["a/g"] = farm.Disk{} }, "a/g"},
		{"excluded", func(r *rig, c catalogue) {
			r.mkdir("cache", "a/cache")
			r.write("cache/x", "x")
			r.write("a/cache/x", "x")
			r.write("x.tmp", "x")
			c["gone.tmp"], c["cache/known"] = c["h"], c["h"]
		}, ""},
		{"private", func(r *rig, c catalogue) { r.write(".tandem/staging/x", "x"); c[".tandem"] = c["a"] }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, scan.Config{Filter: excluding("cache", "*.tmp")}, func(r *rig) {
				cat := r.sample()
				c.change(r, cat)
				got, err := r.walk(r.s, ".", cat)
				if err != nil || strings.Join(got, " ") != c.want {
					r.Errorf("got %q, %v; want %q", got, err, c.want)
				}
			})
		})
	}
}

// sample makes a small tree and a catalogue that matches it.
func (r *rig) sample() catalogue {
	r.mkdir("a", "a/b")
	r.write("a/b/f", "f")
	r.write("a/g", "g")
	r.write("h", "h")
	r.symlink("h", "l")
	return r.learn("a", "a/b", "a/b/f", "a/g", "h", "l")
}

// TestList: only what lies directly in the directory is looked at, and a directory there that is another than the one
// known is reported, because nobody else will look into it.
func TestList(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		cat := r.sample()
		r.write("a/b/f", "other")
		r.write("a/g", "other")
		r.mkdir("a/new")
		r.write("a/new/x", "x")
		list := func() string {
			var got []string
			err := r.s.List(r.Context(), farm.MustPath("a"), cat, func(p farm.Path) error {
				got = append(got, p.String())
				return nil
			})
			if err != nil {
				r.Error(err)
			}
			return strings.Join(got, " ")
		}
		if got := list(); got != "a/g a/new" {
			r.Errorf("got %q", got)
		}
		d := cat["a/b"]
		d.Stat.Ino++
		cat["a/b"] = d
		if got := list(); got != "a/b a/g a/new" {
			r.Errorf("with another a/b: %q", got)
		}
	})
}

func TestWalkSubtree(t *testing.T) {
	each(t, scan.Config{Filter: excluding("/x")}, func(r *rig) {
		c := r.sample()
		r.write("h", "not below a")
		r.write("a/new", "x")
		for dir, want := range map[string]string{"a": "a/new", "a/b": "", "none": "", "x": "", ".tandem": ""} {
			if got, err := r.walk(r.s, dir, c); err != nil || strings.Join(got, " ") != want {
				r.Errorf("%s: got %q, %v; want %q", dir, got, err, want)
			}
		}
		r.must(r.app.Rename(farm.MustPath("a"), farm.MustPath(".tandem/a")))
		if got, err := r.walk(r.s, "a", c); err != nil || strings.Join(got, " ") != "a/b a/b/f a/g" {
			r.Errorf("missing: got %q, %v", got, err)
		}
	})
}

// TestWalkRootGone: a root that vanishes is never a mass deletion, whenever it does.
func TestWalkRootGone(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		c := r.sample()
		gone := farm.Errorf("checkroot", "", farm.Conflict, "another root")
		got, err := r.walk(r.faulty("checkroot", 1, func() error { return gone }), ".", c)
		if !errors.Is(err, gone) || len(got) > 0 {
			r.Errorf("before: %q, %v", got, err)
		}
		c["missing"] = c["h"]
		got, err = r.walk(r.faulty("checkroot", 2, func() error { return gone }), ".", c)
		if !errors.Is(err, gone) || len(got) > 0 {
			r.Errorf("meanwhile: %q, %v", got, err)
		}
	})
}

// TestWalkUnreadable: what can't be listed is said, and nothing in it is missing; the rest is walked.
func TestWalkUnreadable(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		c := r.sample()
		r.write("z", "new")
		s := r.faulty("readdir", 2, func() error { return farm.Errorf("readdir", "a", farm.Denied, "injected") })
		if got, err := r.walk(s, ".", c); farm.KindOf(err) != farm.Denied || !slices.Equal(got, []string{"z"}) {
			r.Errorf("unreadable: %q, %v", got, err)
		}
		s = r.faulty("readdir", 2, func() error { return farm.Errorf("readdir", "a", farm.Unavailable, "injected") })
		if _, err := r.walk(s, ".", c); farm.KindOf(err) != farm.Unavailable {
			r.Errorf("no descriptors: %v", err)
		}
		s = r.faulty("lstat", 1, func() error { return farm.Errorf("lstat", "a", farm.Corrupt, "injected") })
		if got, err := r.walk(s, ".", c); err != nil || !slices.Equal(got, []string{"a", "z"}) {
			r.Errorf("can't be looked at: %q, %v", got, err)
		}
	})
}

func TestWalkStops(t *testing.T) {
	r := newMem(t, scan.Config{})
	for i := range 10 {
		r.write(fmt.Sprint(i), "x")
	}
	enough, n := errors.New("enough"), 0
	err := r.s.Walk(t.Context(), farm.Path{}, catalogue{}, func(farm.Path) error {
		if n++; n == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 3 {
		t.Errorf("%d reports, %v", n, err)
	}
}

func TestWalkProgress(t *testing.T) {
	var last scan.Progress
	r := newMem(t, scan.Config{Progress: func(p scan.Progress) { last = p }})
	c := r.sample()
	r.write("new", "x")
	_, err := r.walk(r.s, ".", c)
	r.must(err)
	if want := (scan.Progress{Dirs: 3, Entries: 7, Reported: 1}); last != want {
		t.Errorf("got %+v, want %+v", last, want)
	}
}

func TestExcluded(t *testing.T) {
	s := scan.New(nil, scan.Config{Filter: excluding("[", "", "a/{b", "/", // malformed: no harm
		"*.tmp", "cache/**", "/build", "node_modules/", "a/*/c", "**/logs/*.log")})
	for p, want := range map[string]bool{
		"x.tmp": true, "a/b/x.tmp": true, "x.tmp/below": true, "x.tmpl": false,
		"cache": false, "cache/x": true, "cache/x/y": true, "a/cache/x": false,
		"build": true, "build/x": true, "a/build": false,
		"node_modules": true, "a/node_modules/b": true,
		"a/b/c": true, "a/b/c/d": true, "a/b/b/c": false,
		"logs/x.log": true, "a/logs/x.log": true, "a/logs/x.txt": false,
		".tandem": true, ".tandem/x": true, "a/.tandem": false, ".": false, "a\xff": false,
	} {
		if got := s.Excluded(farm.MustPath(p)); got != want {
			t.Errorf("%s: %v", p, got)
		}
	}
}
