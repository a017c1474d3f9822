package scan_test

import (
	"testing"

	"tandem/internal/farm"
	"tandem/internal/scan"
	"tandem/internal/vfs"
)

// A change of attributes is seen in a file and in a directory, by a look and by a walk; so is that there was none, also
// in a directory whose times have changed with its children.
func TestXAttrs(t *testing.T) {
	each(t, scan.Config{}, func(r *rig) {
		r.mkdir("d")
		r.write("d/f", "x")
		if st, err := r.fs.Lstat(farm.MustPath("d")); err != nil || !st.XAttrs {
			t.Skip("no extended attributes here: ", err)
		}
		c := r.learn("d", "d/f")
		for _, p := range []string{"d", "d/f"} {
			x, err := farm.MakeXAttrs([]farm.XAttr{{Name: "user.of", Value: p}})
			r.must(err)
			r.must(r.fs.SetAttr(farm.MustPath(p), vfs.SetAttr{XAttrs: &x}))
			if got, err := r.walk(r.s, ".", c); err != nil || len(got) != 1 || got[0] != p {
				t.Fatalf("walk reports %v, %v", got, err)
			}
			o := r.see(p, c[p])
			if o.Unchanged || o.Attr.XAttrs != x {
				t.Fatalf("saw %+v", o)
			}
			c[p] = settled(o)
		}
		r.write("d/g", "x")
		c["d/g"] = settled(r.see("d/g", farm.Disk{}))
		if got, err := r.walk(r.s, ".", c); err != nil || len(got) != 0 {
			t.Fatalf("nothing has happened, and the walk reports %v, %v", got, err)
		}
	})
}
