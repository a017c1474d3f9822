package install

import (
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// tree makes a directory d with a file and a directory with a file, and says what the index would.
func (b *box) tree() (top farm.Disk, children func(farm.Path) (map[string]farm.Disk, error)) {
	check(b.app.Mkdir(path("d"), 0o755), b.app.WriteFile(path("d/f"), []byte("one")), b.app.Mkdir(path("d/e"), 0o755), b.app.WriteFile(path("d/e/g"), []byte("two")))
	known := map[string]farm.Disk{}
	for _, p := range []string{"d", "d/f", "d/e", "d/e/g"} {
		known[p] = observe(b.mem, path(p))
	}
	return known["d"], func(dir farm.Path) (map[string]farm.Disk, error) {
		list := map[string]farm.Disk{}
		for p, d := range known {
			if p := path(p); p.Under(dir) && p.Parent() == dir {
				list[p.Base()] = d
			}
		}
		return list, nil
	}
}

func someMove() farm.Move {
	return farm.Move{From: path("d"), To: path("n"), Count: 4, Time: 7, Digest: farm.Digest{1},
		First: farm.Position{Actor: farm.Actor{Member: "a", Epoch: 3}, Seq: 9}}
}

func TestMove(t *testing.T) {
	for name, c := range map[string]struct {
		before func(*box)
		want   farm.Outcome
	}{
		"as expected":          {func(*box) {}, farm.Done},
		"a file was edited":    {func(b *box) { check(b.app.WriteFile(path("d/e/g"), []byte("own"))) }, farm.Changed},
		"a file is new":        {func(b *box) { check(b.app.WriteFile(path("d/e/h"), []byte("own"))) }, farm.Changed},
		"a file is gone":       {func(b *box) { check(b.app.Remove(path("d/f"))) }, farm.Changed},
		"another directory":    {func(b *box) { check(b.app.Rename(path("d"), path("x")), b.app.Mkdir(path("d"), 0o755)) }, farm.Changed},
		"it is gone":           {func(b *box) { check(b.app.Rename(path("d"), path("x"))) }, farm.Changed},
		"the name is taken":    {func(b *box) { check(b.app.Mkdir(path("n"), 0o755)) }, farm.Changed},
		"... by a file":        {func(b *box) { check(b.app.WriteFile(path("n"), []byte("own"))) }, farm.Changed},
		"the mode was changed": {func(b *box) { mode := uint32(0o700); check(b.app.SetAttr(path("d/e"), vfs.SetAttr{Mode: &mode})) }, farm.Changed},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(vfs.MemConfig{})
			check(b.start(b.mem))
			top, children := b.tree()
			c.before(b)
			got := b.k.Move(t.Context(), someMove(), top, children)
			if got.Outcome != c.want || got.Err != nil {
				t.Fatalf("%v, %v; want %v", got.Outcome, got.Err, c.want)
			}
			_, err := b.mem.Lstat(path("n/e/g"))
			if moved := err == nil; moved != (c.want == farm.Done) {
				t.Errorf("at its new name: %v", moved)
			}
			if c.want == farm.Done && got.Stat != must(b.mem.Lstat(path("n"))).Fingerprint {
				t.Errorf("fingerprint %+v", got.Stat)
			}
		})
	}
}

// TestMoveIsKnownAfterACrash: at each system call the keeper dies. Afterwards it says that the directory was renamed if and
// only if it was, until a few syncs later.
func TestMoveIsKnownAfterACrash(t *testing.T) {
	type died struct{}
	for at := 0; ; at++ {
		b := newBox(vfs.MemConfig{})
		calls, armed := 0, false
		fs := vfs.Fault(b.mem, func(vfs.Op) error {
			if calls++; armed && calls > at {
				panic(died{})
			}
			return nil
		})
		check(b.start(fs))
		top, children := b.tree()
		calls, armed = 0, true
		ended := func() (ended bool) {
			defer func() {
				if p := recover(); p != nil && p != any(died{}) {
					panic(p)
				}
			}()
			return b.k.Move(t.Context(), someMove(), top, children).Outcome == farm.Done
		}()
		b.mem.Crash()
		_, err := b.mem.Lstat(path("n"))
		for range 2 { // and again, before anybody has made use of it
			check(b.start(b.mem))
			got := b.k.FinishedMoves()
			if err != nil && len(got) > 0 || err == nil && (len(got) != 1 || got[0] != someMove()) {
				t.Fatalf("dead at call %d, renamed %v: known are %+v", at, err == nil, got)
			}
		}
		for range moveWindow + 1 {
			b.k.Synced()
		}
		check(b.k.intents.tidy(), b.start(b.mem))
		if got := b.k.FinishedMoves(); len(got) > 0 {
			t.Fatalf("known for ever: %+v", got)
		}
		if ended {
			if at < 10 {
				t.Errorf("it took %d calls", at)
			}
			return
		}
	}
}
