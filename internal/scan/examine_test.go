package scan_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

func TestExamine(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.mkdir("d")
		r.write("d/small", "hello")
		r.write("d/empty", "")
		r.write("d/edge", strings.Repeat("x", farm.InlineBytes))
		big := strings.Repeat("0123456789abcdef", farm.InlineBytes/8)
		r.write("d/big", big)
		r.symlink("no/such", "l")

		for _, f := range []struct {
			path, content string
			inline        bool
		}{
			{"d/small", "hello", true},
			{"d/empty", "", true},
			{"d/edge", strings.Repeat("x", farm.InlineBytes), true},
			{"d/big", big, false},
		} {
			o := r.see(f.path, farm.Disk{})
			want := farm.Digest(blake3.Sum256([]byte(f.content)))
			if o.Attr.Type != farm.File || o.Attr.Size != int64(len(f.content)) || o.Attr.Digest != want {
				t.Errorf("%s: %+v", f.path, o.Attr)
			}
			if f.inline != (o.Content != nil) || f.inline && string(o.Content) != f.content {
				t.Errorf("%s: content of %d bytes", f.path, len(o.Content))
			}
			if o.Attr.MTime == 0 || o.Attr.MTime != o.Stat.MTime || o.Attr.Mode != 0o644 || o.Unchanged {
				t.Errorf("%s: %+v", f.path, o)
			}
		}
		if o := r.see("d", farm.Disk{}); o.Attr.Type != farm.Dir || o.Attr.MTime != 0 || o.Attr.Mode != 0o755 || o.Attr.Size != 0 {
			t.Errorf("directory: %+v", o.Attr)
		}
		if o := r.see("l", farm.Disk{}); o.Attr.Type != farm.Symlink || o.Attr.Target != "no/such" || o.Attr.Mode != 0 || o.Attr.MTime == 0 {
			t.Errorf("symlink: %+v", o.Attr)
		}
	})
}

func TestExamineAbsent(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.mkdir("d")
		r.write("d/f", "x")
		r.symlink("d", "l")
		for _, p := range []string{"none", "d/none", "none/f", "d/f/below-a-file", "l/f", "l/none", "l/a/b"} {
			if o := r.see(p, farm.Disk{}); o.Attr.Type != farm.Absent || o.Path.String() != p {
				r.Errorf("%s: %+v", p, o)
			}
		}
	})
}

func TestExamineUnsupported(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.must(r.app.Mkfifo(farm.MustPath("pipe")))
		_, err := r.s.Examine(r.Context(), farm.MustPath("pipe"), farm.Disk{})
		if farm.KindOf(err) != farm.Unsupported || !strings.Contains(err.Error(), "fifo") {
			r.Errorf("got %v", err)
		}
	})
}

// TestExamineExcluded: what is excluded stays as the index has it, be it there or not.
func TestExamineExcluded(t *testing.T) {
	each(t, scan.Config{Filter: excluding("*.tmp")}, func(r *rig) {
		r.write("a.tmp", "x")
		known := farm.Disk{Attr: farm.Attr{Type: farm.File, Size: 7}, Stat: farm.Fingerprint{Ino: 7}}
		for _, p := range []string{"a.tmp", "b.tmp", "d.tmp/f", ".tandem/folder", "."} {
			for _, prior := range []farm.Disk{{}, known} {
				if o := r.see(p, prior); !o.Unchanged || o.Attr != prior.Attr || o.Stat != prior.Stat {
					r.Errorf("%s: %+v", p, o)
				}
			}
		}
	})
}

func TestExamineUnchanged(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.write("f", "one")
		r.mkdir("d")
		r.symlink("f", "l")
		for _, p := range []string{"f", "d", "l"} {
			prior := settled(r.see(p, farm.Disk{}))
			prior.Attr.Owner.User, prior.Attr.Owner.Group = "", "" // what the index has is what comes back
			if o := r.see(p, prior); !o.Unchanged || o.Attr != prior.Attr || o.Content != nil {
				r.Errorf("%s: %+v", p, o)
			}
		}
		prior := settled(r.see("d", farm.Disk{}))
		r.write("d/child", "x")
		if o := r.see("d", prior); !o.Unchanged {
			r.Errorf("a directory changed with its children: %+v", o)
		}
		r.must(r.app.Chmod(farm.MustPath("d"), 0o700))
		if o := r.see("d", prior); o.Unchanged || o.Attr.Mode != 0o700 {
			r.Errorf("a directory's mode: %+v", o)
		}
		prior = settled(r.see("f", farm.Disk{}))
		r.must(r.app.Chmod(farm.MustPath("f"), 0o600))
		if o := r.see("f", prior); o.Unchanged || o.Attr.Mode != 0o600 || string(o.Content) != "one" {
			r.Errorf("a file's mode: %+v", o)
		}
	})
}

func TestExamineRacy(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		for _, c := range []struct {
			size   int
			reread bool
		}{{10, true}, {scan.RacyReadBytes, true}, {scan.RacyReadBytes + 1, false}} {
			r.write("f", strings.Repeat("x", c.size))
			prior := settled(r.see("f", farm.Disk{}))
			prior.Stat.Racy = true
			prior.Attr.Digest = farm.Digest{1} // as if a write had left no trace in the fingerprint
			if o := r.see("f", prior); o.Unchanged == c.reread || (o.Attr.Digest != prior.Digest) != c.reread {
				r.Errorf("%d bytes: unchanged %v", c.size, o.Unchanged)
			}
		}
	})
}

// A file is as racy as it was before the read, since a write during the read may have left no trace.
func TestExamineStaysRacy(t *testing.T) {
	r := newMem(t, scan.Config{})
	r.write("f", "x")
	s := r.faulty("file.stat", 2, func() error { r.skew += time.Second; return nil })
	o, err := s.Examine(t.Context(), farm.MustPath("f"), farm.Disk{})
	if err != nil || !o.Stat.Racy {
		t.Errorf("racy %v, %v", o.Stat.Racy, err)
	}
}

func TestExamineWriters(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.write("f", "x")
		w, err := r.app.Open(farm.MustPath("f"))
		r.must(err)
		defer w.Close()
		r.must(w.Append([]byte("y")))
		began := r.now()
		_, err = r.s.Examine(r.Context(), farm.MustPath("f"), farm.Disk{})
		if err == nil {
			r.Skip("this file system does not tell about writers")
		}
		var hint interface{ RetryAt() time.Time }
		if farm.KindOf(err) != farm.Unstable || !errors.As(err, &hint) {
			r.Fatalf("open for writing: %v", err)
		}
		if wait := hint.RetryAt().Sub(began); wait <= 0 || wait > 2*scan.QuietTime {
			r.Errorf("to be looked at again after %v", wait)
		}
		r.skew += 2 * scan.QuietTime // quiet since
		if o := r.see("f", farm.Disk{}); string(o.Content) != "xy" {
			r.Errorf("quiet: %q", o.Content)
		}
		r.skew -= 2 * scan.QuietTime
		r.must(w.Append([]byte("z")))
		r.must(w.Close())
		if o := r.see("f", farm.Disk{}); string(o.Content) != "xyz" {
			r.Errorf("closed: %q", o.Content)
		}
	})
}

// TestExamineRaces changes the file between two of the calls that a look consists of.
func TestExamineRaces(t *testing.T) {
	p := farm.MustPath("f")
	big := bytes.Repeat([]byte("b"), 3*farm.InlineBytes)
	for _, c := range []struct {
		name, op string
		n        int
		before   []byte
		do       func(r *rig) error
		want     string // content, or "" for absent
	}{
		{"write after lstat", "open", 1, []byte("old"), func(r *rig) error { return r.app.WriteFile(p, []byte("newer")) }, "newer"},
		{"replace after lstat", "open", 1, []byte("old"), replace, "new"},
		{"replace after open", "file.stat", 1, []byte("old"), replace, "new"},
		{"write after open", "file.stat", 1, []byte("old"), func(r *rig) error { return r.app.WriteFile(p, []byte("newer")) }, "newer"},
		{"write before read", "file.read", 1, []byte("old"), func(r *rig) error { return r.app.WriteFile(p, []byte("newer")) }, "newer"},
		{"write, same size", "file.read", 1, []byte("old"), func(r *rig) error { return r.app.WriteFile(p, []byte("new")) }, "new"},
		{"shrink in mid-read", "file.read", 2, big, func(r *rig) error { return r.app.WriteFile(p, []byte("short")) }, "short"},
		{"grow in mid-read", "file.read", 1, []byte("old"), func(r *rig) error { return r.app.WriteFile(p, big) }, string(big)},
		{"write after read", "file.stat", 2, []byte("old"), func(r *rig) error { return r.app.WriteFile(p, []byte("new")) }, "new"},
		{"remove after lstat", "open", 1, []byte("old"), func(r *rig) error { return r.app.Remove(p) }, ""},
		{"symlink after lstat", "open", 1, []byte("old"), func(r *rig) error {
			return errors.Join(r.app.Remove(p), r.app.Symlink("/etc/passwd", p))
		}, "-> /etc/passwd"},
		{"fifo after lstat", "open", 1, []byte("old"), func(r *rig) error {
			return errors.Join(r.app.Remove(p), r.app.Mkfifo(p))
		}, "unsupported"},
	} {
		t.Run(c.name, func(t *testing.T) {
			each(t, scan.Config{}, func(r *rig) {
				r.must(r.app.WriteFile(p, c.before))
				s := r.faulty(c.op, c.n, func() error { r.must(c.do(r)); return nil })
				o, err := s.Examine(r.Context(), p, farm.Disk{})
				if got := describe(o, err); got != c.want && !(len(c.want) > 100 && o.Attr.Digest == blake3.Sum256([]byte(c.want))) {
					r.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func replace(r *rig) error {
	p, q := farm.MustPath("f"), farm.MustPath("f.new")
	return errors.Join(r.app.WriteFile(q, []byte("new")), r.app.Rename(q, p))
}

func describe(o farm.Observation, err error) string {
	switch {
	case err != nil:
		return farm.KindOf(err).String()
	case o.Attr.Type == farm.Symlink:
		return "-> " + o.Attr.Target
	}
	return string(o.Content)
}

func TestExamineGivesUp(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		p, n := farm.MustPath("f"), 0
		r.write("f", "0")
		s := scan.New(vfs.Fault(r.fs, func(op vfs.Op) error {
			if op.Name == "file.read" {
				n++
				return r.app.WriteFile(p, bytes.Repeat([]byte("x"), n))
			}
			return nil
		}), scan.Config{Now: r.now})
		_, err := s.Examine(r.Context(), p, farm.Disk{})
		var hint interface{ RetryAt() time.Time }
		if farm.KindOf(err) != farm.Unstable || !errors.As(err, &hint) {
			r.Errorf("always changing: %v", err)
		}
	})
}

// TestExamineErrors: what can't be looked at is never absent.
func TestExamineErrors(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.write("f", "x")
		for _, op := range []string{"lstat", "open", "file.stat", "file.read"} {
			for _, kind := range []farm.Kind{farm.Denied, farm.Corrupt, farm.Unavailable} {
				s := r.faulty(op, 1, func() error { return farm.Errorf(op, "f", kind, "injected") })
				if o, err := s.Examine(r.Context(), farm.MustPath("f"), farm.Disk{}); farm.KindOf(err) != kind {
					r.Errorf("%s %s: %+v, %v", op, kind, o, err)
				}
			}
		}
		s := r.faulty("checkroot", 1, func() error { return farm.Errorf("checkroot", "", farm.NotFound, "gone") })
		if o, err := s.Examine(r.Context(), farm.MustPath("none"), farm.Disk{}); err == nil {
			r.Errorf("without a root: %+v", o)
		}
	})
}

func TestExamineCancel(t *testing.T) {
	r := newMem(t, scan.Config{})
	r.write("f", strings.Repeat("x", 2*farm.InlineBytes))
	ctx, cancel := context.WithCancel(t.Context())
	s := r.faulty("file.read", 1, func() error { cancel(); return nil })
	if _, err := s.Examine(ctx, farm.MustPath("f"), farm.Disk{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
