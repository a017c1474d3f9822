package install

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// An application's values in the races. None is part of any other.
const (
	valueA = "A: an application wrote this"
	valueB = "B: an application wrote this too"
)

// race is what an application does while a plan is under way. It returns values that must not be lost. Steps that the
// tree does not allow at that moment are left out.
type race struct {
	name string
	do   func(b *box) []string
	back bool // the values are in the tree in the end, not only preserved
}

func races() []race {
	put := func(b *box, p string, v string) bool { return b.app.WriteFile(path(p), []byte(v)) == nil }
	return []race{
		{name: "rewrite", back: true, do: func(b *box) []string {
			h, err := b.app.OpenWrite(at)
			if err != nil {
				return nil
			}
			check(h.Truncate(0), h.Append([]byte(valueA)), h.Close())
			return []string{valueA}
		}},
		{name: "rewrite, same size and time", do: func(b *box) []string {
			st, err := b.mem.Lstat(at)
			if err != nil || st.Type != farm.File || st.Size < int64(len(valueA)) || st.Size > verifyBytes {
				return nil // into a large file such a write can pass: see the package's doc
			}
			h := must(b.app.OpenWrite(at))
			check(h.WriteAt([]byte(valueA), 0), h.Close(), b.app.SetAttr(at, vfs.SetAttr{MTime: &st.MTime}))
			return []string{valueA}
		}},
		{name: "append", back: true, do: func(b *box) []string {
			h, err := b.app.OpenWrite(at)
			if err != nil {
				return nil
			}
			check(h.Append([]byte(valueA)), h.Close())
			return []string{valueA}
		}},
		{name: "create or truncate", do: func(b *box) []string {
			if !put(b, at.String(), valueA) {
				return nil
			}
			return []string{valueA}
		}},
		{name: "rename over", back: true, do: func(b *box) []string {
			if !put(b, "dir/tmp", valueA) || b.app.Rename(path("dir/tmp"), at) != nil {
				return nil
			}
			return []string{valueA}
		}},
		{name: "remove", do: func(b *box) []string { _ = b.app.Remove(at); return nil }},
		{name: "remove and create", back: true, do: func(b *box) []string {
			_ = b.app.Remove(at)
			if !put(b, at.String(), valueA) {
				return nil
			}
			return []string{valueA}
		}},
		{name: "move away", do: func(b *box) []string { _ = b.app.Rename(at, path("dir/moved")); return nil }},
		{name: "move away and create", back: true, do: func(b *box) []string {
			_ = b.app.Rename(at, path("dir/moved"))
			if !put(b, at.String(), valueA) {
				return nil
			}
			return []string{valueA}
		}},
		{name: "become a directory with a file", back: true, do: func(b *box) []string {
			_ = b.app.Remove(at)
			_ = b.app.Mkdir(at, 0o755)
			if !put(b, "dir/entry/child", valueA) {
				return nil
			}
			return []string{valueA}
		}},
		{name: "become a symlink", back: true, do: func(b *box) []string {
			_ = b.app.Remove(at)
			if b.app.Symlink(valueA, at) != nil {
				return nil
			}
			return []string{valueA}
		}},
		{name: "become a fifo", do: func(b *box) []string { _ = b.app.Remove(at); _ = b.app.Mkfifo(at); return nil }},
		{name: "child", back: true, do: func(b *box) []string {
			if !put(b, "dir/entry/child", valueA) {
				return nil
			}
			return []string{valueA}
		}},
		{name: "chmod", do: func(b *box) []string { _ = b.app.SetAttr(at, vfs.SetAttr{Mode: new(uint32(0o600))}); return nil }},
		{name: "parent moved away", do: func(b *box) []string { _ = b.app.Rename(path("dir"), path("elsewhere")); return nil }},
	}
}

// TestRaceSweep has an application do each of its things ahead of every call of every kind of plan.
func TestRaceSweep(t *testing.T) {
	for _, s := range scenarios() {
		for _, r := range races() {
			t.Run(s.name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					x := &racing{s: s}
					x.meddle = func(b *box, at int) {
						if at == n {
							x.must(r.do(b)...)
						}
					}
					b, res := x.run(t)
					if err := x.lossless(b); err != nil {
						t.Fatalf("ahead of call %d (plan %v): %v", n, res.Outcome, err)
					}
					if err := x.current(b, r); err != nil {
						t.Fatalf("ahead of call %d (plan %v): %v", n, res.Outcome, err)
					}
					if n > x.calls {
						return
					}
				}
			})
		}
	}
}

// TestTwoRacesSweep has an application rename over the path twice, ahead of any two calls.
func TestTwoRacesSweep(t *testing.T) {
	over := func(b *box, v string) bool {
		return b.app.WriteFile(path("dir/tmp"), []byte(v)) == nil && b.app.Rename(path("dir/tmp"), at) == nil
	}
	for _, s := range scenarios() {
		if s.name != "replace file" && s.name != "remove file" && s.name != "file to dir" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for first := 1; first < 30; first++ {
				for second := first + 1; second < 31; second++ {
					x := &racing{s: s}
					var wrote, seen bool // B was written; its writer had A before its eyes
					x.meddle = func(b *box, n int) {
						switch n {
						case first:
							if over(b, valueA) {
								x.must(valueA)
							}
						case second:
							data, _ := b.app.ReadFile(at)
							seen = string(data) == valueA
							if wrote = over(b, valueB); wrote {
								x.must(valueB)
							}
						}
					}
					b, res := x.run(t)
					if seen {
						x.values = strings.Split(strings.ReplaceAll(strings.Join(x.values, "\n"), valueA+"\n", ""), "\n")
					}
					if err := x.lossless(b); err != nil {
						t.Fatalf("ahead of calls %d and %d (plan %v): %v", first, second, res.Outcome, err)
					}
					if data, err := b.app.ReadFile(at); wrote && string(data) != valueB {
						t.Fatalf("ahead of calls %d and %d (plan %v): the path shows %q, %v", first, second, res.Outcome, data, err)
					}
				}
			}
		})
	}
}

// TestTwiceWrittenPlace has an application take the path before a directory is put there, and write into the directory
// before that is undone. The directory, being the newer, stays.
func TestTwiceWrittenPlace(t *testing.T) {
	for _, s := range scenarios() {
		if s.name != "file to dir" {
			continue
		}
		for first := 1; first < 20; first++ {
			for second := first + 1; second < 21; second++ {
				x := &racing{s: s}
				child := false
				x.meddle = func(b *box, n int) {
					switch n {
					case first:
						check(b.app.WriteFile(path("dir/tmp"), []byte(valueA)))
						_ = b.app.Rename(path("dir/tmp"), at)
						x.must(valueA)
					case second:
						child = b.app.WriteFile(path("dir/entry/child"), []byte(valueB)) == nil
					}
				}
				b, res := x.run(t)
				err := x.lossless(b)
				if child && !inTree(b.mem, farm.Path{}, valueB) {
					err = fmt.Errorf("the directory that was written into is gone")
				}
				if err != nil {
					t.Fatalf("ahead of calls %d and %d (plan %v): %v", first, second, res.Outcome, err)
				}
			}
		}
	}
}

// TestTouchSeesWrite has an application write while the file's time is set, which takes away the write's own time.
func TestTouchSeesWrite(t *testing.T) {
	for _, size := range []int{100, 2 * verifyBytes} {
		old := strings.Repeat("x", size)
		s := scenario{
			before: func(w writer) { check(w.WriteFile(at, []byte(old))) },
			want:   fileAttr(old, 0o644, mtime),
		}
		b := newBox(vfs.MemConfig{})
		b.set(s)
		h := must(b.app.OpenWrite(at))
		b.startThrough(func(_ int, op vfs.Op) error {
			if op.Name == "setattr" {
				check(h.WriteAt([]byte("y"), 0))
			}
			return nil
		})
		if r := b.k.Install(context.Background(), s.plan(b.mem), nil); r.Outcome != farm.Changed {
			t.Errorf("%d bytes: %v, %v", size, r.Outcome, r.Err)
		}
		check(h.Close())
	}
}

// TestOpenHandleSweep has an application that opened the file long before write to it ahead of every call, and close it
// at once or after the next sweep.
func TestOpenHandleSweep(t *testing.T) {
	for _, s := range scenarios() {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprint(s.name, ", late ", late), func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					var h *vfs.Handle
					x := &racing{s: s}
					x.before = func(b *box) { h, _ = b.app.OpenWrite(at) }
					x.meddle = func(_ *box, at int) {
						if at != n || h == nil {
							return
						}
						check(h.Append([]byte(valueA)))
						x.must(valueA)
						if !late {
							check(h.Close())
						}
					}
					b, res := x.run(t)
					if late && h != nil {
						check(h.Append([]byte(valueB)), h.Close())
						x.must(valueB)
						b.k.Sweep(context.Background())
					}
					if err := x.lossless(b); err != nil {
						t.Fatalf("ahead of call %d (plan %v): %v", n, res.Outcome, err)
					}
					if h == nil || n > x.calls {
						return
					}
				}
			})
		}
	}
}

// TestRaceAndKillSweep has an application rename over the path, or rewrite it, ahead of any call, and the process killed
// ahead of any later one.
func TestRaceAndKillSweep(t *testing.T) {
	for _, s := range scenarios() {
		for _, r := range races() {
			if r.name != "rename over" && r.name != "append" && r.name != "child" {
				continue
			}
			t.Run(s.name+", "+r.name, func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					calls := 0
					for kill := n + 1; ; kill++ {
						x := &racing{s: s}
						b, _, finished := killOnce(withoutPins(s), kill, func(b *box, at int) {
							calls = max(calls, at)
							if at == n {
								x.must(r.do(b)...)
							}
						})
						if finished {
							break
						}
						check(b.start(b.mem))
						if err := x.lossless(b); err != nil {
							t.Fatalf("race ahead of call %d, killed ahead of %d: %v", n, kill, err)
						}
						if err := x.current(b, r); err != nil {
							t.Fatalf("race ahead of call %d, killed ahead of %d: %v", n, kill, err)
						}
					}
					if n > calls {
						return
					}
				}
			})
		}
	}
}

// withoutPins is s where an application may itself have taken the path away.
func withoutPins(s scenario) scenario { s.pins = false; return s }

// racing is one run of a plan with an application in it.
type racing struct {
	s      scenario
	before func(*box)
	meddle func(b *box, n int)
	calls  int
	values []string // that must not be lost
}

func (x *racing) must(values ...string) { x.values = append(x.values, values...) }

func (x *racing) run(t *testing.T) (*box, farm.Installed) {
	t.Helper()
	b := newBox(vfs.MemConfig{})
	b.set(x.s)
	if x.before != nil {
		x.before(b)
	}
	b.startThrough(func(n int, _ vfs.Op) error {
		x.calls++
		x.meddle(b, n)
		return nil
	})
	plan := x.s.plan(b.mem)
	r := b.k.Install(context.Background(), plan, x.s.src)
	b.k.Sweep(context.Background())
	x.meddle = func(*box, int) {}
	return b, r
}

// lossless tells what was lost, and what the tree shows that nobody wrote.
func (x *racing) lossless(b *box) error {
	b.k.Sweep(context.Background())
	for _, v := range x.values {
		if !survives(b.mem, b.k, v) {
			return fmt.Errorf("%q is lost", v)
		}
	}
	data, err := b.app.ReadFile(at)
	text := string(data)
	known := err != nil || text == "" || strings.Contains(text, valueA) || strings.Contains(text, valueB)
	for _, whole := range []string{oldText, newText, bigText, oldBigText} {
		known = known || text == whole
	}
	if !known {
		return fmt.Errorf("the path shows %.40q, which nobody wrote", text)
	}
	for _, e := range staged(b.mem) {
		f, err := b.mem.Open(path(vfs.StagingDir + "/" + e.Name))
		if err != nil || !f.Writers() {
			return fmt.Errorf("left in staging: %v", e)
		}
	}
	return nil
}

// current tells which of the values that belong into the tree are not there.
func (x *racing) current(b *box, r race) error {
	for _, v := range x.values {
		if r.back && !inTree(b.mem, farm.Path{}, v) {
			return fmt.Errorf("%q was preserved, but belongs into the tree", v)
		}
	}
	return nil
}
