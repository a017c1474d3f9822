package install

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Below the floor nothing is installed that needs room; before that preserved deletions go, and deletions always do.
func TestMinFree(t *testing.T) {
	b := newBox(vfs.MemConfig{Bytes: 1_000_000})
	b.cfg.MinFreeBytes, b.cfg.KeepDeleted = 400_000, true
	check(b.start(b.mem), b.app.WriteFile(path("old"), make([]byte, 300_000)))
	b.now = b.now.Add(time.Minute)
	gone := func(name string) farm.Outcome {
		in := b.k.Install(context.Background(), farm.Plan{Path: path(name), Expect: observe(b.mem, path(name))}, nil)
		b.k.Sweep(context.Background())
		return in.Outcome
	}
	add := func(name string) error {
		data := bytes.Repeat([]byte(name), 250_000)
		want := farm.Attr{Type: farm.File, Mode: 0o644, Size: 250_000, Digest: blake3.Sum256(data), MTime: b.now.UnixNano(), Owner: me()}
		return b.k.Install(context.Background(), farm.Plan{Path: path(name), Want: want, Content: data}, nil).Err
	}
	if o := gone("old"); o != farm.Done || len(kept(t, b.k)) != 1 {
		t.Fatalf("%s, kept %v", o, kept(t, b.k))
	}
	check(add("a"))
	if err := add("b"); err != nil || len(kept(t, b.k)) != 0 {
		t.Errorf("%v, kept %v: a preserved deletion should have made room", err, kept(t, b.k))
	}
	if err := add("c"); farm.KindOf(err) != farm.Full {
		t.Errorf("below the floor: %v", err)
	}
	if o := gone("a"); o != farm.Done {
		t.Errorf("a deletion: %s", o)
	}
	check(add("c"))
}

// What interrupted transfers have left goes before preserved files do, the oldest first and no more than is needed; not
// what is in use, and not what the plan itself would go on with.
func TestPartialsMakeRoom(t *testing.T) {
	b := newBox(vfs.MemConfig{Bytes: 1_000_000})
	b.cfg.MinFreeBytes = 290_000
	check(b.start(b.mem))
	data := bytes.Repeat([]byte("n"), 250_000)
	want := farm.Attr{Type: farm.File, Mode: 0o644, Size: 250_000, Digest: blake3.Sum256(data), MTime: b.now.UnixNano(), Owner: me()}
	left := map[string]string{"own": partialName(want.Digest), "busy": partialPrefix + "00", "old": partialPrefix + "01", "new": partialPrefix + "02"}
	for _, who := range []string{"own", "busy", "old", "new"} {
		p := path(vfs.StagingDir + "/" + left[who])
		temp, err := b.mem.Partial(p)
		check(err)
		_, err = temp.WriteAt(make([]byte, 150_000), 0)
		check(err, temp.Close())
		b.now = b.now.Add(time.Minute)
	}
	b.k.partials.take(left["busy"])
	there := func(who string) bool {
		_, err := b.mem.Lstat(path(vfs.StagingDir + "/" + left[who]))
		return err == nil
	}
	for who := range left {
		if !there(who) {
			t.Fatalf("%s is not there at the beginning", who)
		}
	}
	check(b.k.Install(context.Background(), farm.Plan{Path: path("f"), Want: want, Content: data}, nil).Err)
	if there("old") || !there("own") || !there("busy") || !there("new") {
		t.Errorf("own %v, busy %v, old %v, new %v", there("own"), there("busy"), there("old"), there("new"))
	}
}
