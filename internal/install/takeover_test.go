package install

import (
	"context"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// TestTakeOver: the deletion of a renamed file comes first, its creation without content.
func TestTakeOver(t *testing.T) {
	const text = "what is renamed"
	for _, c := range []struct {
		name   string
		before func(b *box) // between the deletion and the creation
		want   farm.Outcome
		same   bool // the inode has moved
	}{
		{name: "renamed", before: func(*box) {}, want: farm.Done, same: true},
		{name: "written to meanwhile", before: func(b *box) {
			check(b.app.WriteFile(path(vfs.StagingDir+"/"+staged(b.mem)[0].Name), []byte("what is RENAMED")))
		}, want: farm.NoSource},
		{name: "name taken", before: func(b *box) { check(b.app.WriteFile(path("dir/new"), []byte("x"))) }, want: farm.Changed},
		{name: "no parent", before: func(b *box) { check(b.app.Remove(path("dir"))) }, want: farm.NoParent},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(vfs.MemConfig{})
			b.cfg.KeepDeleted = true
			check(b.app.Mkdir(path("dir"), 0o755), b.app.WriteFile(path("old"), []byte(text)))
			check(b.start(b.mem))
			b.now = b.now.Add(time.Minute)
			was := observe(b.mem, path("old"))
			if r := b.k.Install(context.Background(), farm.Plan{Path: path("old"), Expect: was}, nil); r.Outcome != farm.Done {
				t.Fatal(r)
			}
			c.before(b)
			r := b.k.Install(context.Background(), farm.Plan{Path: path("dir/new"), Want: was.Attr}, nil)
			if r.Outcome != c.want || c.same != (r.Stat.Ino == was.Stat.Ino) {
				t.Fatalf("%v, %v, inode %d, was %d", r.Outcome, r.Err, r.Stat.Ino, was.Stat.Ino)
			}
			b.k.Sweep(context.Background())
			if left := staged(b.mem); len(left) > 0 {
				t.Errorf("left in staging: %v", left)
			}
			list, err := b.k.List()
			check(err)
			if c.same && len(list) > 0 || !c.same && len(list) != 1 {
				t.Errorf("preserved: %v", list)
			}
			if c.same && !r.Attr.Same(was.Attr) {
				t.Errorf("came as %+v, was %+v", r.Attr, was.Attr)
			}
		})
	}
}
