package install

import (
	"context"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// someXAttrs are an attribute and an access list.
func someXAttrs(value string) farm.XAttrs {
	return must(farm.MakeXAttrs([]farm.XAttr{{Name: "user.note", Value: value}, {Name: farm.XAttrACL, Value: "g=5,u:1000=6"}}))
}

// What has two names is replaced, not changed in place: nothing happens to the other name, which may be anybody's.
func TestOtherNamesAreLeftAlone(t *testing.T) {
	for name, want := range map[string]farm.Attr{
		"content":    fileAttr(newText, 0o600, mtime),
		"attributes": fileAttr(oldText, 0o600, mtime),
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(vfs.MemConfig{})
			twin := path("twin")
			check(b.app.Mkdir(path("dir"), 0o755), b.app.WriteFile(at, []byte(oldText)), b.app.Link(at, twin))
			b.now = b.now.Add(vfs.RacyWindow * 2)
			check(b.start(b.mem))
			before := observe(b.mem, twin)
			r := b.k.Install(context.Background(), farm.Plan{Path: at, Want: want, Expect: observe(b.mem, at), Content: []byte(newText)}, nil)
			if r.Outcome != farm.Done || !r.Attr.Same(want) {
				t.Fatalf("%v, %v: %+v", r.Outcome, r.Err, r.Attr)
			}
			b.k.Sweep(context.Background())
			if after := observe(b.mem, twin); !after.Attr.Same(before.Attr) || after.Stat.Ino != before.Stat.Ino {
				t.Errorf("the other name was %+v and is %+v", before, after)
			}
			if st := must(b.mem.Lstat(twin)); st.Links != 1 {
				t.Errorf("the other name has %d links", st.Links)
			}
		})
	}
}

// A file system without extended attributes gets the rest, tells what there is, and gives the owning group no more than
// the list would.
func TestNoXAttrs(t *testing.T) {
	b := newBox(vfs.MemConfig{NoXAttrs: true})
	check(b.app.Mkdir(path("dir"), 0o755), b.start(b.mem))
	want := fileAttr(newText, 0o670, mtime)
	want.XAttrs = must(farm.MakeXAttrs([]farm.XAttr{{Name: farm.XAttrACL, Value: "g=4,u:1000=7"}}))
	r := b.k.Install(context.Background(), farm.Plan{Path: at, Want: want, Content: []byte(newText)}, nil)
	if r.Outcome != farm.Done || !r.Attr.XAttrs.IsZero() || r.Attr.Mode != 0o640 {
		t.Fatalf("%v, %v: %+v", r.Outcome, r.Err, r.Attr)
	}
	if is := observe(b.mem, at); !is.Attr.Same(r.Attr) {
		t.Errorf("told %+v, there is %+v", r.Attr, is.Attr)
	}
}

// What an application does right after extended attributes were set is not what the file system makes of them.
func TestXAttrsSetAndChanged(t *testing.T) {
	for name, meddle := range map[string]func(b *box){
		"cleared":  func(b *box) { check(b.app.SetAttr(at, vfs.SetAttr{XAttrs: &farm.XAttrs{}, Mode: new(uint32(0o644))})) },
		"replaced": func(b *box) { check(b.app.WriteFile(path("tmp"), []byte(oldText)), b.app.Rename(path("tmp"), at)) },
	} {
		for _, ahead := range []string{"lstat", "xattrs"} { // of the looks that follow the setting
			t.Run(name+" ahead of "+ahead, func(t *testing.T) {
				b := newBox(vfs.MemConfig{})
				check(b.app.Mkdir(path("dir"), 0o755), b.app.WriteFile(at, []byte(oldText)))
				b.now = b.now.Add(vfs.RacyWindow * 2)
				want := fileAttr(oldText, 0o640, mtime)
				want.XAttrs, want.MTime = someXAttrs("set"), must(b.mem.Lstat(at)).MTime
				set := false
				b.startThrough(func(_ int, op vfs.Op) error {
					switch {
					case op.Name == "setattr":
						set = true
					case set && op.Name == ahead && op.Path == at:
						set = false
						meddle(b)
					}
					return nil
				})
				r := b.k.Install(context.Background(), farm.Plan{Path: at, Want: want, Expect: observe(b.mem, at)}, nil)
				if r.Outcome != farm.Changed {
					t.Errorf("%v, %v: %+v", r.Outcome, r.Err, r.Attr)
				}
			})
		}
	}
}
