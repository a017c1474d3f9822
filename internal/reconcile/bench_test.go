package reconcile

import (
	"testing"

	"tandem/internal/farm"
)

// BenchmarkReplace is what a change of a path at rest costs: one version descends from the other.
func BenchmarkReplace(b *testing.B) {
	w := newWriter()
	first := w.write("a", farm.File, 1, false)
	second := w.write("a", farm.File, 2, false)
	known := Merge(nil, first)
	b.ReportAllocs()
	for b.Loop() {
		if s := Decide(Merge(known, second), false); s.Digest != second.Digest {
			b.Fatal(s)
		}
	}
}

// BenchmarkConflict decides between three versions that do not know each other.
func BenchmarkConflict(b *testing.B) {
	w := newWriter()
	var known []farm.Entry
	for i, m := range []farm.MemberID{"a", "b", "c"} {
		known = Merge(known, w.write(m, farm.File, byte(i), false))
	}
	last := w.all[2]
	b.ReportAllocs()
	for b.Loop() {
		if s := Decide(Merge(known[:2:2], last), false); len(s.LostDots) != 2 {
			b.Fatal(s)
		}
	}
}
