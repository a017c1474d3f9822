package scan_test

import (
	"maps"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/scan"
)

// TestSeen: what a whole walk counts, looks bring up to date, those at what is gone too, and those while it walks.
func TestSeen(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		is := func(when string, fifos int64) {
			r.Helper()
			want := map[string]int64{}
			if fifos > 0 {
				want["fifo"] = fifos
			}
			if got := r.s.Seen(); !maps.Equal(got, want) {
				r.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		look := func(p string, prior farm.Disk) {
			_, err := r.s.Examine(r.Context(), farm.MustPath(p), prior)
			if err != nil && farm.KindOf(err) != farm.Unsupported {
				r.Error(err)
			}
		}
		r.mkdir("d", "e")
		r.must(r.app.Mkfifo(farm.MustPath("a")))
		look("a", farm.Disk{})
		if got := r.s.Seen(); got != nil {
			r.Errorf("before a walk: %v", got)
		}
		if err := r.s.Walk(r.Context(), farm.Path{}, catalogue{}, func(p farm.Path) error {
			if p.String() == "e" { // what is removed, and made, where the walk has been
				r.must(r.app.Mkfifo(farm.MustPath("c")))
				look("c", farm.Disk{})
				r.remove("a")
				look("a", farm.Disk{})
			}
			return nil
		}); err != nil {
			r.Error(err)
		}
		is("after a walk", 1)
		r.must(r.app.Mkfifo(farm.MustPath("d/p")))
		look("d/p", farm.Disk{})
		look("d/p", farm.Disk{})
		is("one was made", 2)
		dir := farm.Disk{Attr: r.see("d", farm.Disk{}).Attr}
		r.must(r.app.Rename(farm.MustPath("d"), farm.MustPath(".tandem/d")))
		look("d", dir)
		is("its directory is gone", 1)
		r.remove("c")
		r.write("c", "a file")
		look("c", farm.Disk{})
		is("a file is in its place", 0)
		r.must(r.app.Mkfifo(farm.MustPath("e/p")))
		if _, err := r.walk(r.s, "e", catalogue{}); err != nil {
			r.Error(err)
		}
		is("another walk has seen one", 1)
	})
}
