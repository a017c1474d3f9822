package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// lose replaces what is at p with text and preserves it as version n.
func (b *box) lose(p farm.Path, text string, n farm.Seq) farm.Installed {
	old := observe(b.mem, p)
	return b.k.Install(context.Background(), farm.Plan{
		Path: p, Want: fileAttr(text, 0o644, mtime), Expect: old, Content: []byte(text),
		Preserve: &farm.Entry{Path: p, Attr: old.Attr, Version: farm.Version{Dot: dot(n), Time: 5}},
	}, nil)
}

func TestPreservedOncePerVersionAndContent(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	for _, step := range []struct {
		text string
		seq  farm.Seq
		want int
	}{{"one", 1, 1}, {"one", 1, 1}, {"one", 2, 2}, {"two", 2, 3}} {
		check(b.app.WriteFile(path("f"), []byte(step.text)))
		b.now = b.now.Add(time.Second)
		if r := b.lose(path("f"), "winner", step.seq); r.Outcome != farm.Done {
			t.Fatal(r.Outcome, r.Err)
		}
		if list := must(b.k.List()); len(list) != step.want {
			t.Errorf("%s of version %d: %d preserved, want %d", step.text, step.seq, len(list), step.want)
		}
		check(b.app.Remove(path("f")))
	}
	// The same after a restart.
	before := fmt.Sprint(must(b.k.List()))
	b.mem.Crash()
	check(b.mem.Prepare("site"), b.start(b.mem))
	if after := fmt.Sprint(must(b.k.List())); after != before {
		t.Errorf("after a restart:\n%s, was\n%s", after, before)
	}
	check(b.app.WriteFile(path("f"), []byte("two")))
	b.lose(path("f"), "winner", 2)
	if list := must(b.k.List()); len(list) != 3 {
		t.Errorf("%d preserved after a restart", len(list))
	}
	if left := staged(b.mem); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

// What has another name is preserved as a copy: who writes to the other name in place does not write to what is preserved.
func TestPreservedApartFromOtherNames(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.WriteFile(path("f"), []byte("loser")), b.app.Link(path("f"), path("g")))
	if r := b.lose(path("f"), "winner", 1); r.Outcome != farm.Done {
		t.Fatal(r.Outcome, r.Err)
	}
	b.k.Sweep(t.Context())
	check(b.app.WriteFile(path("g"), []byte("later")))
	list := must(b.k.List())
	if len(list) != 1 {
		t.Fatalf("preserved: %+v", list)
	}
	_, rc, err := b.k.OpenPreserved(list[0].ID)
	check(err)
	defer rc.Close()
	if got := string(must(io.ReadAll(rc))); got != "loser" {
		t.Errorf("preserved %q", got)
	}
	if left := staged(b.mem); len(left) > 0 {
		t.Errorf("left in staging: %v", left)
	}
}

func TestPreservedEvent(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.WriteFile(path("f"), []byte("loser")))
	b.lose(path("f"), "winner", 1)
	if len(b.events) != 1 {
		t.Fatalf("events: %+v", b.events)
	}
	e, p := b.events[0], must(b.k.List())[0]
	if e.ID != farm.EventFilePreserved || e.Folder != "site" || e.Subject != "f" || e.Fields["id"] != p.ID ||
		e.Fields["reason"] != "conflict" || e.Fields["version"] != dot(1).String() || e.Fields["digest"] != p.Attr.Digest.String() {
		t.Errorf("event: %+v", e)
	}
}

func TestQuota(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	b.k.kept.cfg.QuotaBytes = 25
	for i := range 5 {
		check(b.app.WriteFile(path("f"), fmt.Appendf(nil, "content %02d", i)))
		b.now = b.now.Add(time.Second)
		b.lose(path("f"), "winner", farm.Seq(i))
		b.k.Sweep(context.Background())
	}
	all := kept(t, b.k)
	if len(all) != 2 || all["content 03"].ID == "" || all["content 04"].ID == "" {
		t.Errorf("kept %v", all)
	}
	var dropped []string
	for _, e := range b.events {
		if e.ID == farm.EventFileDropped {
			dropped = append(dropped, e.Fields["id"])
		}
	}
	if len(dropped) != 3 {
		t.Errorf("dropped %v", dropped)
	}
	if list := must(b.mem.ReadDir(path(vfs.PreservedDir))); len(list) != 2+2 {
		t.Errorf("on disk: %v", list)
	}
	// What is larger than the quota is kept all the same, alone.
	check(b.app.WriteFile(path("f"), []byte(strings.Repeat("x", 100))))
	b.lose(path("f"), "winner", 9)
	b.k.Sweep(context.Background())
	if list := must(b.k.List()); len(list) != 1 || list[0].Attr.Size != 100 {
		t.Errorf("kept %v", list)
	}
}

func TestPreservedIsASource(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.WriteFile(path("f"), []byte("loser")))
	b.lose(path("f"), "winner", 1)
	r := b.k.Install(context.Background(), farm.Plan{Path: path("g"), Want: fileAttr("loser", 0o644, mtime)}, nil)
	if data, _ := b.app.ReadFile(path("g")); r.Outcome != farm.Done || string(data) != "loser" {
		t.Errorf("%v, %v: %q", r.Outcome, r.Err, data)
	}
	src, size, err := b.k.Open(context.Background(), path("elsewhere"), fileAttr("loser", 0, 0).Digest)
	if err != nil || size != 5 || string(must(io.ReadAll(src))) != "loser" {
		t.Errorf("not served: %v", err)
	}
}

// TestPreservedNames has names that JSON can't hold as they are.
func TestPreservedNames(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	names := []string{"\xff\xfe", "new\nline", `quo"te`, strings.Repeat("n", 255)}
	for _, name := range names {
		check(b.app.WriteFile(path(name), []byte(name)))
		b.now = b.now.Add(time.Second)
		b.lose(path(name), "winner", 1)
	}
	b.mem.Crash()
	check(b.mem.Prepare("site"), b.start(b.mem))
	all := kept(t, b.k)
	for _, name := range names {
		if all[name].Path != path(name) {
			t.Errorf("%q came back as %q", name, all[name].Path)
		}
	}
}

// TestDamagedStore has records that a power cut tore.
func TestDamagedStore(t *testing.T) {
	file := func(name string) farm.Path { return path(vfs.PreservedDir + "/" + name) }
	b := newBox(vfs.MemConfig{})
	check(
		b.app.WriteFile(file("1-torn.json"), []byte(`{"path": "f", "attr": {"ty`)), b.app.WriteFile(file("1-torn.data"), []byte("torn")),
		b.app.WriteFile(file("2-alone.json"), []byte(`{"path": "f", "attr": {"type": "file"}}`)),
		b.app.WriteFile(file("3-orphan.data"), []byte("orphan")),
		b.app.WriteFile(file("4-empty.json"), nil),
		b.start(b.mem),
	)
	all := kept(t, b.k)
	if len(all) != 2 || all["torn"].Reason != farm.ReasonCrash || all["orphan"].Path != path("unknown/3-orphan") {
		t.Errorf("kept %+v", all)
	}
	if list := must(b.mem.ReadDir(path(vfs.PreservedDir))); len(list) != 4 {
		t.Errorf("on disk: %v", list)
	}
}

func TestOpenPreservedUnknown(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	if _, _, err := b.k.OpenPreserved("../folder"); farm.KindOf(err) != farm.NotFound {
		t.Errorf("got %v", err)
	}
}

func TestOpen(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.app.WriteFile(path("f"), []byte(bigText)), b.start(b.mem))
	d, ctx := fileAttr(bigText, 0, 0).Digest, context.Background()
	for _, c := range []struct {
		name   string
		digest farm.Digest
		during func()
		want   farm.Kind
	}{
		{"as asked", d, func() {}, farm.Other},
		{"other digest", farm.Digest{1}, func() {}, farm.Conflict},
		{"written during the reading", d, func() {
			h := must(b.app.OpenWrite(path("f")))
			check(h.WriteAt([]byte("X"), int64(len(bigText)-1)), h.Close())
		}, farm.Conflict},
		{"replaced during the reading", fileAttr(bigText[:len(bigText)-1]+"X", 0, 0).Digest, func() {
			check(b.app.Remove(path("f")), b.app.WriteFile(path("f"), []byte(bigText)))
		}, farm.Other},
		{"grown during the reading", d, func() {
			h := must(b.app.OpenWrite(path("f")))
			check(h.Append([]byte("more")), h.Close())
		}, farm.Other},
		{"cut during the reading", fileAttr(bigText+"more", 0, 0).Digest, func() {
			h := must(b.app.OpenWrite(path("f")))
			check(h.Truncate(10), h.Close())
		}, farm.Conflict},
	} {
		r, size, err := b.k.Open(ctx, path("f"), c.digest)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadFull(r, make([]byte, 20))
		check(err)
		c.during()
		rest, err := io.ReadAll(r)
		if (err == nil) != (c.want == farm.Other) || farm.KindOf(err) != c.want || (err == nil && int64(20+len(rest)) != size) {
			t.Errorf("%s: %d of %d bytes, %v", c.name, 20+len(rest), size, err)
		}
		_ = r.Close()
	}
	if _, _, err := b.k.Open(ctx, path(".tandem/folder"), d); farm.KindOf(err) != farm.Denied {
		t.Errorf("the private area was served: %v", err)
	}
	if _, _, err := b.k.Open(ctx, path("none"), farm.Digest{1}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("got %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	r, _, err := b.k.Open(stopped, path("f"), d)
	check(err)
	cancel()
	if _, err := io.ReadAll(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
