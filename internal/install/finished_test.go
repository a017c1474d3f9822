package install

import (
	"context"
	"strings"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// TestFinished kills a plan ahead of every call, lets an application change the path while nobody looks, and asks the next
// life whether the plan had been carried out.
func TestFinished(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			silent, made := 0, false // calls ahead of which it is carried out and not known to be
			for n := 1; ; n++ {
				b, plan, finished := killOnce(s, n, nil)
				if finished {
					break
				}
				made = plan.Expect.Type == farm.Absent && s.want.Type != farm.Absent
				wanted := isWanted(b.mem, plan) == nil
				if s.want.Type == farm.Absent {
					_ = b.app.WriteFile(at, []byte(valueA))
				} else {
					_ = b.app.Remove(at)
				}
				check(b.start(b.mem))
				list := b.k.Finished()
				if len(list) > 0 && (!wanted || list[0].Path != at || !list[0].Want.Same(plan.Want) || !list[0].Expect.Same(plan.Expect.Attr)) {
					t.Errorf("killed ahead of call %d, as wanted: %v; finished: %+v", n, wanted, list)
				}
				logged := s.pins && !plan.Want.SameContent(plan.Expect.Attr) && plan.Expect.Type != farm.Dir || strings.HasPrefix(s.name, "remove") && s.name != "remove dir"
				if wanted && logged && len(list) == 0 {
					t.Errorf("killed ahead of call %d: carried out, and not known to be", n)
				}
				if wanted && len(list) == 0 {
					silent++
				}
			}
			// What got a name that was free is noted in the next call; ahead of that one nobody can tell.
			if made && silent > 1 {
				t.Errorf("carried out, and not known to be, ahead of %d calls", silent)
			}
		})
	}
}

// TestFinishedAfterPowerCut has the log say that an exchange was looked at, and the disk say that it never was: then it was
// undone.
func TestFinishedAfterPowerCut(t *testing.T) {
	for _, s := range scenarios() {
		if !s.pins {
			continue
		}
		b, _, _ := killOnce(s, 1_000_000, nil)
		log := must(b.mem.Open(logPath(0)))
		st := must(log.Stat())
		said := make([]byte, st.Size)
		_, err := log.ReadAt(said, 0)
		if st.Size > 0 {
			check(err)
		}
		b.mem.Crash()
		fresh := newBox(vfs.MemConfig{})
		fresh.set(s)
		_, err = must(fresh.mem.OpenLog(logPath(0))).Write(said)
		check(err, fresh.start(fresh.mem))
		if list := fresh.k.Finished(); len(list) > 0 {
			t.Errorf("%s: finished: %+v", s.name, list)
		}
	}
}

// TestModeOfRaceIsNoLimit has an application change the mode ahead of every call of a plan that sets attributes: that is no
// habit of the file system, and the plan must not say that it is.
func TestModeOfRaceIsNoLimit(t *testing.T) {
	for _, s := range scenarios() {
		if s.want.Type == farm.Absent || s.want.Type == farm.Symlink {
			continue
		}
		for n := 1; ; n++ {
			b := newBox(vfs.MemConfig{})
			b.set(s)
			hit := false
			b.startThrough(func(call int, _ vfs.Op) error {
				if call == n {
					hit = true
					_ = b.app.SetAttr(at, vfs.SetAttr{Mode: new(uint32(0o711))})
				}
				return nil
			})
			plan := s.plan(b.mem)
			r := b.k.Install(context.Background(), plan, s.src)
			if r.Outcome == farm.Done && !r.Attr.Same(plan.Want) {
				t.Errorf("%s: chmod ahead of call %d: done, and what is there is said to be %+v, not %+v", s.name, n, r.Attr, plan.Want)
			}
			if !hit {
				break
			}
		}
	}
}

// TestOtherDirectory has another directory of the same mode take the place of the one that the index knows. Nobody has
// looked at what is in it, so no plan may say that it is the expected one.
func TestOtherDirectory(t *testing.T) {
	for _, s := range scenarios() {
		if s.name != "chmod dir" && s.name != "remove dir" && s.name != "dir to file" {
			continue
		}
		b := newBox(vfs.MemConfig{})
		b.set(s)
		check(b.start(b.mem))
		plan := s.plan(b.mem)
		check(b.app.Rename(at, path("dir/moved")), b.app.Mkdir(at, 0o755), b.app.SetAttr(at, vfs.SetAttr{Owner: new(me())}))
		if r := b.k.Install(context.Background(), plan, s.src); r.Outcome != farm.Changed {
			t.Errorf("%s: %v, %v", s.name, r.Outcome, r.Err)
		}
	}
}
