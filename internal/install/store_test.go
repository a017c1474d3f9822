package install

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// removeAs installs the deletion of p as another member's n-th write.
func (b *box) removeAs(p farm.Path, n farm.Seq) farm.Installed {
	old := observe(b.mem, p)
	old.Content = farm.Stamp{Dot: dot(n), Time: farm.HLC(n)}
	return b.k.Install(context.Background(), farm.Plan{Path: p, Expect: old, By: farm.Stamp{Dot: dot(n + 1000), Time: 7}}, nil)
}

func (b *box) restart() {
	b.mem.Crash()
	check(b.mem.Prepare("site"), b.start(b.mem))
}

func summary(k *Keeper) (list []string) {
	for _, p := range must(k.List()) {
		list = append(list, fmt.Sprintf("%s %s", p.Reason, p.Path))
	}
	return list
}

func newKeeping(cfg Config) *box {
	b := newBox(vfs.MemConfig{})
	cfg.KeepDeleted = true
	b.cfg = cfg
	check(b.start(b.mem))
	return b
}

func TestDeletedDirectory(t *testing.T) {
	b := newKeeping(Config{})
	check(b.app.Mkdir(path("d"), 0o2750&0o1777), b.app.WriteFile(path("d/f"), []byte("one")), b.app.Symlink("f", path("d/l")))
	for i, p := range []string{"d/f", "d/l", "d"} {
		b.now = b.now.Add(time.Second)
		if r := b.removeAs(path(p), farm.Seq(i+1)); r.Outcome != farm.Done {
			t.Fatal(p, r.Outcome, r.Err)
		}
	}
	b.k.Sweep(context.Background())
	want := []string{"deleted d", "deleted d/f", "deleted d/l"}
	slices.Sort(want)
	for range 2 {
		got := summary(b.k)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("preserved %q", got)
		}
		for _, p := range must(b.k.List()) {
			if p.By.Dot != dot(p.Lost.Dot.Seq+1000) || p.Path == path("d") && p.Attr.Mode != 0o750 {
				t.Errorf("%+v", p)
			}
		}
		b.restart()
	}
	// A directory has no data: its record is taken back.
	dir := must(b.k.List())[slices.Index(summary(b.k), "deleted d")]
	check(b.k.DropPreserved(dir.ID))
	b.restart()
	if got := summary(b.k); len(got) != 2 || slices.Contains(got, "deleted d") {
		t.Errorf("after dropping the directory: %q", got)
	}
	if err := b.k.DropPreserved(dir.ID); farm.KindOf(err) != farm.NotFound {
		t.Errorf("dropped twice: %v", err)
	}
}

// TestMovedIsNotDeleted: what stands elsewhere now was renamed, and is not kept.
func TestMovedIsNotDeleted(t *testing.T) {
	b := newKeeping(Config{Moved: func(p farm.Path, d farm.Digest, by farm.Stamp) bool {
		return p == path("a") && d == fileAttr("moved", 0, 0).Digest && by.Dot == dot(1001)
	}})
	check(b.app.WriteFile(path("a"), []byte("moved")), b.app.WriteFile(path("b"), []byte("moved")))
	b.removeAs(path("a"), 1)
	b.removeAs(path("b"), 2)
	b.k.Sweep(context.Background())
	if got := summary(b.k); !slices.Equal(got, []string{"deleted b"}) {
		t.Errorf("preserved %q", got)
	}
}

// TestLateWriterOfDeleted: who has a deleted file open goes on writing, and it is all kept.
func TestLateWriterOfDeleted(t *testing.T) {
	b := newKeeping(Config{})
	check(b.app.WriteFile(path("f"), []byte("early")))
	h := must(b.app.OpenWrite(path("f")))
	b.removeAs(path("f"), 1)
	b.k.Sweep(context.Background())
	if got := summary(b.k); len(got) != 0 {
		t.Errorf("settled under its writer: %q", got)
	}
	check(h.Append([]byte(" and late")), h.Close())
	b.k.Sweep(context.Background())
	if all := kept(t, b.k); all["early and late"].Reason != farm.ReasonLateWrite || len(all) != 1 {
		t.Errorf("preserved %v", all)
	}
}

// TestDeletedGoFirst: conflicts are nobody's will, so deletions make room for them, however new.
func TestDeletedGoFirst(t *testing.T) {
	b := newKeeping(Config{QuotaBytes: 50})
	for i := range 3 {
		b.now = b.now.Add(time.Second)
		check(b.app.WriteFile(path("c"), fmt.Appendf(nil, "conflict %d", i)))
		b.lose(path("c"), "winner", farm.Seq(i+1))
		check(b.app.WriteFile(path("d"), fmt.Appendf(nil, "deleted  %d", i)))
		b.removeAs(path("d"), farm.Seq(i+10))
		b.k.Sweep(context.Background())
	}
	if got := summary(b.k); !slices.Equal(got, []string{"conflict c", "conflict c", "conflict c", "deleted d"}) {
		t.Errorf("kept %q", got)
	}
	if u := b.k.PreservedUsage(); u.Files != 4 || u.Bytes != 40 || u.Conflicts != 3 || !u.Oldest.Equal(b.now.Add(-2*time.Second)) {
		t.Errorf("usage %+v", u)
	}
}

func TestPreservedAge(t *testing.T) {
	b := newKeeping(Config{MaxAge: time.Hour})
	for i := range 3 {
		check(b.app.WriteFile(path("f"), fmt.Appendf(nil, "%d", i)))
		b.removeAs(path("f"), farm.Seq(i+1))
		b.k.Sweep(context.Background())
		b.now = b.now.Add(25 * time.Minute)
	}
	b.k.Sweep(context.Background())
	if all := kept(t, b.k); len(all) != 2 || all["0"].ID != "" {
		t.Errorf("kept %v", all)
	}
	last := b.events[len(b.events)-1]
	if last.ID != farm.EventFileDropped || last.Severity != farm.Info {
		t.Errorf("told %+v", last)
	}
}

// TestFullDisk: deletions are not kept at the price of a full disk.
func TestFullDisk(t *testing.T) {
	b := newBox(vfs.MemConfig{Bytes: minFreeBytes})
	b.cfg = Config{KeepDeleted: true}
	check(b.start(b.mem), b.app.WriteFile(path("c"), []byte("conflict")))
	b.lose(path("c"), "winner", 1)
	for i := range 4 {
		check(b.app.WriteFile(path("f"), fmt.Appendf(nil, "%d", i)))
		b.removeAs(path("f"), farm.Seq(i+2))
	}
	b.k.Sweep(context.Background())
	if got := summary(b.k); !slices.Equal(got, []string{"conflict c", "deleted f"}) {
		t.Errorf("kept %q", got)
	}
}

// TestManyDeletions: a mass of them is one event and some, and the log of records does not grow for ever.
func TestManyDeletions(t *testing.T) {
	const rounds, files = 6, 500
	b := newKeeping(Config{maxFiles: 600})
	seq := farm.Seq(0)
	for range rounds {
		for i := range files {
			seq++
			p := path(fmt.Sprintf("f%d", i))
			check(b.app.WriteFile(p, fmt.Appendf(nil, "%d", seq)))
			b.removeAs(p, seq)
		}
		b.now = b.now.Add(time.Second)
		b.k.Sweep(context.Background())
	}
	if n := len(must(b.k.List())); n > 600 || n < 500 {
		t.Errorf("%d are kept", n)
	}
	if n := len(b.events); n > rounds*2*(singleEvents+1) {
		t.Errorf("%d events", n)
	}
	if n := b.k.kept.records.lines; n > 2*600+minRecords+files {
		t.Errorf("the log has %d lines", n)
	}
	want := summary(b.k)
	b.restart()
	if got := summary(b.k); !slices.Equal(got, want) {
		t.Errorf("after a restart: %d, want %d", len(got), len(want))
	}
}

// TestRewriteKilled kills the process ahead of every call of a rewriting, and cuts the power there: nothing is lost.
func TestRewriteKilled(t *testing.T) {
	for _, cut := range []bool{false, true} {
		for n := 1; ; n++ {
			b := newKeeping(Config{})
			for i := range 5 {
				p := path(fmt.Sprintf("f%d", i))
				check(b.app.WriteFile(p, fmt.Appendf(nil, "%d", i)))
				b.removeAs(p, farm.Seq(i+1))
			}
			b.k.Sweep(context.Background())
			check(b.mem.Sync())
			want := summary(b.k)
			finished := alive(func() {
				r := b.k.kept.records
				r.fs = killAt(b.mem, n)
				for i := range r.logs {
					r.logs[i] = must(r.fs.OpenLog(recordsPath(i)))
				}
				check(b.k.kept.rewrite())
			})
			if cut {
				b.mem.PowerCut()
			} else {
				b.mem.Crash()
			}
			check(b.mem.Prepare("site"), b.start(b.mem))
			if got := summary(b.k); !slices.Equal(got, want) {
				t.Fatalf("killed ahead of call %d: %q, want %q", n, got, want)
			}
			if finished {
				break
			}
		}
	}
}

// TestDamagedRecords has lines that are torn, flipped, cut off or of no record: they hide no other, and what they were about
// is there under a name that tells nothing.
func TestDamagedRecords(t *testing.T) {
	for name, damage := range map[string]func(lines []string) string{
		"torn tail":   func(l []string) string { return l[0] + l[1] + l[2][:20] },
		"flipped bit": func(l []string) string { return l[0] + l[1] + strings.Replace(l[2], "f2", "g2", 1) },
		"first gone":  func(l []string) string { return l[2][:9] + "\n" + l[0] + "\n\n{}\n" + l[1] },
		"too long":    func(l []string) string { return strings.Repeat("x", 3*maxRecordBytes) + "\n" + l[0] + l[1] },
	} {
		t.Run(name, func(t *testing.T) {
			b := newKeeping(Config{})
			for i := range 3 {
				p := path(fmt.Sprintf("f%d", i))
				check(b.app.WriteFile(p, fmt.Appendf(nil, "%d", i)))
				b.removeAs(p, farm.Seq(i+1))
				b.now = b.now.Add(time.Second)
			}
			b.k.Sweep(context.Background())
			log := must(io.ReadAll(must(b.mem.Open(recordsPath(0)))))
			check(b.app.WriteFile(recordsPath(0), []byte(damage(strings.SplitAfter(string(log), "\n")))))
			b.restart()
			check(b.app.WriteFile(path("f4"), []byte("4")))
			b.removeAs(path("f4"), 9)
			b.k.Sweep(context.Background())
			for range 2 {
				all := kept(t, b.k)
				if len(all) != 4 || all["0"].Path != path("f0") || all["1"].Path != path("f1") || all["2"].Reason != farm.ReasonCrash || all["4"].Path != path("f4") {
					t.Errorf("kept %+v", all)
				}
				b.restart()
			}
		})
	}
}

// TestOlderStore reads a store as the first versions wrote it, and goes on with it.
func TestOlderStore(t *testing.T) {
	const record = `{
  "path": "dir/entry",
  "reason": "conflict",
  "time": "2026-01-01T00:00:01Z",
  "version": {
    "dot": "web2.5.7",
    "time": 99
  },
  "attr": {
    "type": "TYPE",
    "mode": 420,
    "uid": 33,
    "gid": 33,
    "mtime_ns": 1700000000123456789,
    MORE
  }
}
`
	file := func(name string) farm.Path { return path(vfs.PreservedDir + "/" + name) }
	b := newBox(vfs.MemConfig{})
	a := fileAttr("older", 0o644, mtime)
	check(
		b.app.WriteFile(file("20260101T000001.000000000-0001.json"), []byte(strings.NewReplacer("TYPE", "file", "MORE", `"size": 5, "digest": "`+a.Digest.String()+`"`).Replace(record))),
		b.app.WriteFile(file("20260101T000001.000000000-0001.data"), []byte("older")),
		b.app.WriteFile(file("20260101T000001.000000000-0002.json"), []byte(strings.NewReplacer("TYPE", "symlink", "MORE", `"target": "to"`).Replace(record))),
		b.start(b.mem),
	)
	for range 2 {
		all := kept(t, b.k)
		if p := all["older"]; p.ID != "20260101T000001.000000000-0001" || p.Path != at || p.Lost.Dot != dot(7) || p.Attr.Owner.UID != 33 {
			t.Errorf("the file is %+v", p)
		}
		if p := all["to"]; p.ID != "20260101T000001.000000000-0002" || p.Reason != farm.ReasonConflict || len(all) != 2 {
			t.Errorf("the link is %+v, of %d", p, len(all))
		}
		b.restart()
	}
	for _, e := range must(b.mem.ReadDir(path(vfs.PreservedDir))) {
		if strings.HasSuffix(e.Name, metaSuffix) {
			t.Errorf("%s is left", e.Name)
		}
	}
}

// FuzzRecords has the store read any log.
func FuzzRecords(f *testing.F) {
	b := newKeeping(Config{})
	check(b.app.WriteFile(path("f"), []byte("one")), b.app.Mkdir(path("d"), 0o755))
	b.removeAs(path("f"), 1)
	b.removeAs(path("d"), 2)
	b.k.Sweep(context.Background())
	check(b.k.DropPreserved(must(b.k.List())[0].ID))
	f.Add(must(io.ReadAll(must(b.mem.Open(recordsPath(0))))))
	f.Add([]byte("00000000 {}\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		b := newBox(vfs.MemConfig{})
		check(b.app.WriteFile(recordsPath(0), log), b.app.WriteFile(dataPath("x"), []byte("kept")), b.start(b.mem))
		if all := kept(t, b.k); all["kept"].ID == "" {
			t.Errorf("lost: %v", all)
		}
	})
}
