package farm_test

import (
	"path"
	"strings"
	"testing"

	"tandem/internal/farm"
)

// FuzzPath: what ParsePath takes stays inside the folder, is what it was, and is found again below its parent.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"", ".", "..", "a", "a/b", "/a", "a/", "a//b", "a/../b", "./a", "a\x00b", "\xff/\xfe", "a/.tandem/b",
		strings.Repeat("n", farm.MaxNameBytes+1), strings.Repeat("d/", farm.MaxPathBytes/2) + "x", "con", "a\\..\\b", "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := farm.ParsePath(s)
		if err != nil {
			return
		}
		if p.IsRoot() {
			if s != "" && s != "." {
				t.Fatalf("%q is the root", s)
			}
			return
		}
		switch {
		case p.String() != s:
			t.Fatalf("%q became %q", s, p)
		case path.Clean("/r/"+s) != "/r/"+s || path.IsAbs(s) || strings.ContainsRune(s, 0) || len(s) > farm.MaxPathBytes:
			t.Fatalf("%q was taken", s)
		case !p.Under(p.Parent()):
			t.Fatalf("%q is not below %q", p, p.Parent())
		}
		again, err := p.Parent().Join(p.Base())
		if err != nil || again != p {
			t.Fatalf("%q joined again is %q, %v", p, again, err)
		}
	})
}
