package install

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// TestReadOnlyParent has Tandem run as the user who owns a directory that nobody may write to, and killed ahead of
// every call. The directory is read-only before and after.
func TestReadOnlyParent(t *testing.T) {
	const uid = 33
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				b := newBox(vfs.MemConfig{UID: uid})
				b.cfg.KeepDeleted = s.gone
				owner := farm.Owner{UID: uid, GID: uid}
				check(b.app.Mkdir(path("dir"), 0o755))
				s.before(b.app)
				_ = b.app.SetAttr(at, vfs.SetAttr{Owner: &owner})
				check(b.app.SetAttr(path("dir"), vfs.SetAttr{Owner: &owner, Mode: new(uint32(0o555))}))
				b.startThrough(func(at int, _ vfs.Op) error {
					if at >= n {
						panic(died{})
					}
					return nil
				})
				plan := s.plan(b.mem)
				plan.Want.Owner = owner
				var r farm.Installed
				finished := alive(func() {
					r = b.k.Install(context.Background(), plan, s.src)
					b.k.Sweep(context.Background())
				})
				if !finished {
					b.mem.Crash()
					check(b.mem.Prepare("site"), b.start(b.mem))
				} else if r.Outcome != farm.Done {
					t.Fatalf("%v, %v", r.Outcome, r.Err)
				}
				if st := must(b.mem.Lstat(path("dir"))); st.Mode&0o7777 != 0o555 {
					t.Fatalf("killed ahead of call %d: the parent has mode %o", n, st.Mode&0o7777)
				}
				if err := b.settled(s, plan); err != nil {
					t.Fatalf("killed ahead of call %d: %v", n, err)
				}
				if finished {
					return
				}
			}
		})
	}
}

func TestOwnerWithoutTheRight(t *testing.T) {
	b := newBox(vfs.MemConfig{UID: 33})
	check(b.app.SetAttr(farm.Path{}, vfs.SetAttr{Owner: &farm.Owner{UID: 33, GID: 33}}), b.start(b.mem))
	want := fileAttr(newText, 0o644, mtime)
	want.Owner = farm.Owner{UID: 1000, GID: 1000}
	r := b.k.Install(context.Background(), farm.Plan{Path: path("f"), Want: want, Content: []byte(newText)}, nil)
	if r.Outcome != farm.Done || r.Attr.Owner.UID != 33 || !r.Attr.Same(observe(b.mem, path("f")).Attr) {
		t.Errorf("%v, %v: reported %+v", r.Outcome, r.Err, r.Attr)
	}
}

func TestNeverSetuid(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	for p, want := range map[string]farm.Attr{"f": fileAttr(newText, 0o6755, mtime), "d": dirAttr(0o6755)} {
		r := b.k.Install(context.Background(), farm.Plan{Path: path(p), Want: want, Content: []byte(newText)}, nil)
		if st := must(b.mem.Lstat(path(p))); r.Outcome != farm.Done || st.Mode&0o7777 != 0o755 || r.Attr.Mode != 0o755 {
			t.Errorf("%s: %v, mode %o, reported %o", p, r.Outcome, st.Mode&0o7777, r.Attr.Mode)
		}
	}
}

// TestHalfSetAttributes has a kill between the system calls that one SetAttr makes.
func TestHalfSetAttributes(t *testing.T) {
	was, want := fileAttr(oldText, 0o644, 1000), fileAttr(oldText, 0o600, 2000)
	want.Owner.GID++
	was.Owner, want.Owner = farm.Owner{UID: 1}, farm.Owner{UID: 2}
	for _, c := range []struct {
		name     string
		set      vfs.SetAttr
		ok       bool // the log says that it was done
		finished bool
	}{
		{"nothing set", vfs.SetAttr{}, false, false},
		{"owner set", vfs.SetAttr{Owner: &want.Owner}, false, true},
		{"owner and mode set", vfs.SetAttr{Owner: &want.Owner, Mode: &want.Mode}, false, true},
		{"an application set a mode of its own", vfs.SetAttr{Owner: &want.Owner, Mode: new(uint32(0o640))}, false, false},
		{"done, and an application set the mode back", vfs.SetAttr{Owner: &want.Owner, MTime: &want.MTime}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(vfs.MemConfig{})
			check(b.app.WriteFile(path("f"), []byte(oldText)))
			check(b.app.SetAttr(path("f"), vfs.SetAttr{Mode: &was.Mode, Owner: &was.Owner, MTime: &was.MTime}))
			check(b.start(b.mem))
			in := intent{Op: opAttr, Name: "attr-1-", path: path("f"), want: want, expect: was}
			check(b.k.intents.begin(in))
			if c.ok {
				check(b.k.intents.verified(in.Name))
			}
			check(b.app.SetAttr(path("f"), c.set))
			before := observe(b.mem, path("f")).Attr
			b.mem.Crash()
			check(b.mem.Prepare("site"), b.start(b.mem))
			is := observe(b.mem, path("f")).Attr
			if c.finished && !is.Same(want) || !c.finished && !is.Same(before) {
				t.Errorf("there is %+v", is)
			}
		})
	}
}

// TestFullStaging has more displaced files with a writer than may wait.
func TestFullStaging(t *testing.T) {
	t.Parallel()
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem))
	const more = 3
	handles := make([]*vfs.Handle, maxLeftovers+more)
	for i := range handles {
		p := path(fmt.Sprint("f", i))
		check(b.app.WriteFile(p, []byte(p.String())))
		handles[i] = must(b.app.OpenWrite(p))
		if r := b.k.Install(context.Background(), farm.Plan{Path: p, Expect: observe(b.mem, p)}, nil); r.Outcome != farm.Done {
			t.Fatal(r.Outcome, r.Err)
		}
	}
	if left := len(staged(b.mem)); left != maxLeftovers {
		t.Errorf("%d wait in staging", left)
	}
	for _, h := range handles {
		check(h.Append([]byte(", late")), h.Close())
	}
	b.k.Sweep(context.Background())
	if left := len(staged(b.mem)); left != 0 {
		t.Errorf("%d left in staging", left)
	}
	// The first ones were as expected when there was no more room, and are gone; what came later is kept.
	if list := must(b.k.List()); len(list) != maxLeftovers {
		t.Errorf("%d preserved", len(list))
	}
}

// TestLogBeginsAnew writes more intents than the log may grow to, while one stays open.
func TestLogBeginsAnew(t *testing.T) {
	t.Parallel()
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.WriteFile(at.Parent(), []byte("dir as a file")))
	check(b.app.Remove(at.Parent()), b.app.Mkdir(at.Parent(), 0o755), b.app.WriteFile(at, []byte(oldText)))
	h := must(b.app.OpenWrite(at))
	if r := b.k.Install(context.Background(), farm.Plan{Path: at, Expect: observe(b.mem, at)}, nil); r.Outcome != farm.Done {
		t.Fatal(r.Outcome, r.Err)
	}
	p := path(strings.Repeat("n", 250))
	turned := 0
	for i := range 3000 {
		text := fmt.Sprint(i)
		r := b.k.Install(context.Background(), farm.Plan{
			Path: p, Want: fileAttr(text, 0o644, int64(i)), Expect: observe(b.mem, p), Content: []byte(text),
		}, nil)
		if r.Outcome != farm.Done {
			t.Fatal(r.Outcome, r.Err)
		}
		was := b.k.intents.at
		b.k.Sweep(context.Background())
		if b.k.intents.at != was {
			turned++
		}
	}
	var size int64
	for i := range 2 {
		size += must(b.mem.Lstat(logPath(i))).Size
	}
	if turned < 2 || size > 2*maxLogBytes {
		t.Errorf("turned %d times, %d bytes", turned, size)
	}
	b.mem.Crash()
	check(b.mem.Prepare("site"), b.start(b.mem), h.Append([]byte("late")), h.Close())
	b.k.Sweep(context.Background())
	if list := must(b.k.List()); len(list) != 1 || list[0].Path != at || list[0].Reason != farm.ReasonLateWrite {
		t.Errorf("preserved %+v", list)
	}
}

// FuzzIntents has Recover read any log: it neither fails nor touches what is not in staging.
func FuzzIntents(f *testing.F) {
	b := newBox(vfs.MemConfig{})
	check(b.start(b.mem), b.app.WriteFile(path("f"), []byte(oldText)))
	for _, want := range []farm.Attr{fileAttr(newText, 0o644, mtime), linkAttr("\xff", 1), dirAttr(0o755)} {
		check(b.k.intents.begin(intent{Op: opReplace, Name: "new-1-00", path: path("f"), want: want, expect: fileAttr(oldText, 0o644, 0), lost: &lost{Stamp: farm.Stamp{Dot: dot(1), Time: 2}}}))
	}
	check(b.k.intents.verified("new-1-00"))
	log := must(b.mem.Open(logPath(b.k.intents.at)))
	f.Add(must(io.ReadAll(log)), []byte(newText))
	f.Add([]byte(`{"name":"../../f","op":"remove","path":"../f"}`), []byte("x"))
	f.Add([]byte("{\n\n{}\n"), []byte(""))
	f.Fuzz(func(t *testing.T, log, leftover []byte) {
		b := newBox(vfs.MemConfig{})
		check(b.app.WriteFile(path("f"), []byte(oldText)), b.app.WriteFile(path("other"), []byte("kept")))
		check(b.app.WriteFile(path(vfs.StagingDir+"/new-1-00"), leftover), b.app.WriteFile(logPath(0), log))
		if err := b.start(b.mem); err != nil {
			t.Fatal(err)
		}
		if data, err := b.app.ReadFile(path("other")); string(data) != "kept" {
			t.Errorf("another file was touched: %q, %v", data, err)
		}
		if left := staged(b.mem); len(left) > 0 {
			t.Errorf("left in staging: %v", left)
		}
	})
}
