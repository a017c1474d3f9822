package install

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// deletedTree is a box in which dir/entry and then dir were deleted and are preserved.
func deletedTree() *box {
	b := newKeeping(Config{})
	owner := me()
	check(b.app.Mkdir(path("dir"), 0o750), b.app.WriteFile(at, []byte(oldText)),
		b.app.SetAttr(at, vfs.SetAttr{Mode: new(uint32(0o640)), MTime: new(mtime), Owner: &owner}))
	b.removeAs(at, 1)
	b.removeAs(path("dir"), 2)
	b.now = b.now.Add(time.Second)
	b.k.Sweep(context.Background())
	return b
}

// find is the preserved entry of the path.
func (b *box) find(p farm.Path) Preserved {
	list := must(b.k.List())
	return list[slices.IndexFunc(list, func(k Preserved) bool { return k.Path == p })]
}

func (b *box) restore(r Restoration) (Restored, error) {
	dir := b.find(path("dir")).Attr
	return b.k.Restore(context.Background(), r, func(p farm.Path) (farm.Attr, bool) { return dir, p == path("dir") }, nil)
}

func TestRestore(t *testing.T) {
	b := deletedTree()
	file := b.find(at)
	r, err := b.restore(Restoration{Preserved: file, To: at})
	if err != nil || r.Same || !slices.Equal(r.Made, []farm.Path{path("dir"), at}) {
		t.Fatalf("%+v, %v", r, err)
	}
	if is := observe(b.mem, at); !is.Attr.Same(fileAttr(oldText, 0o640, mtime)) {
		t.Errorf("restored as %+v", is.Attr)
	}
	if is := observe(b.mem, path("dir")); is.Mode != 0o750 {
		t.Errorf("its directory is %+v", is.Attr)
	}
	if r, err := b.restore(Restoration{Preserved: file, To: at}); err != nil || !r.Same || len(r.Made) > 0 {
		t.Errorf("again: %+v, %v", r, err)
	}

	check(b.app.WriteFile(at, []byte("newer")))
	if _, err := b.restore(Restoration{Preserved: file, To: at}); farm.KindOf(err) != farm.Exists {
		t.Errorf("a newer file was not respected: %v", err)
	}
	known := observe(b.mem, at)
	known.Content = farm.Stamp{Dot: dot(5), Time: 50}
	if r, err := b.restore(Restoration{Preserved: file, To: at, Known: known, Force: true}); err != nil || len(r.Made) != 1 {
		t.Errorf("forced: %+v, %v", r, err)
	}
	if all := kept(t, b.k); all["newer"].Reason != farm.ReasonReplaced || all["newer"].Lost.Dot != dot(5) {
		t.Errorf("what was replaced: %+v", all["newer"])
	}
	check(b.app.WriteFile(path("file"), nil), b.app.Mkdir(path("other"), 0o755))
	for p, kind := range map[string]farm.Kind{"other": farm.Exists, "file/x": farm.Exists, ".tandem/x": farm.Denied} {
		if _, err := b.restore(Restoration{Preserved: file, To: path(p), Force: true}); farm.KindOf(err) != kind {
			t.Errorf("restored to %s: %v", p, err)
		}
	}
	elsewhere := file
	elsewhere.ID, elsewhere.Attr = "elsewhere", fileAttr("nobody has it", 0o600, 1)
	if _, err := b.restore(Restoration{Preserved: elsewhere, To: path("new")}); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("without a source: %v", err)
	}
}

// TestRestoreUnlikeItsRecord: the content of a deleted file is not read again, so its record may be wrong; the bytes count.
func TestRestoreUnlikeItsRecord(t *testing.T) {
	b := deletedTree()
	file := b.find(at)
	check(b.app.WriteFile(dataPath(file.ID), []byte("other bytes, and more")))
	if _, err := b.restore(Restoration{Preserved: file, To: at}); err != nil {
		t.Fatal(err)
	}
	if data, _ := b.app.ReadFile(at); string(data) != "other bytes, and more" {
		t.Errorf("restored %q", data)
	}
	b.restart()
	if p := b.find(at); p.Attr.Size != 21 || p.ID != file.ID {
		t.Errorf("the record is %+v", p)
	}
}

// TestRestoreKilled kills the process ahead of every call of a restore in the place of another file: the path has the one
// or the other, whole, and neither is lost.
func TestRestoreKilled(t *testing.T) {
	for n := 1; ; n++ {
		b := deletedTree()
		file := b.find(at)
		check(b.app.Mkdir(path("dir"), 0o750), b.app.WriteFile(at, []byte("newer")))
		b.now = b.now.Add(time.Second)
		b.startThrough(func(i int, _ vfs.Op) error {
			if i >= n {
				panic(died{})
			}
			return nil
		})
		finished := alive(func() {
			if _, err := b.restore(Restoration{Preserved: file, To: at, Force: true}); err != nil {
				panic(fmt.Sprint("restore: ", err))
			}
			b.k.Sweep(context.Background())
		})
		b.restart()
		if left := staged(b.mem); len(left) > 0 {
			t.Fatalf("call %d: left in staging: %v", n, left)
		}
		data, err := b.app.ReadFile(at)
		if s := string(data); err != nil || s != "newer" && s != oldText {
			t.Fatalf("call %d: the path has %q, %v", n, s, err)
		}
		if !survives(b.mem, b.k, "newer") || !survives(b.mem, b.k, oldText) {
			t.Fatalf("call %d: lost", n)
		}
		if finished {
			return
		}
	}
}
