package install

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// died is what a process that is killed panics with.
type died struct{}

// killAt returns fs as a process sees it that is killed ahead of its n-th call. Nothing that it does later, as its
// deferred calls would, has an effect.
func killAt(fs vfs.FS, n int) vfs.FS {
	return vfs.Fault(fs, func(op vfs.Op) error {
		if op.N >= n {
			panic(died{})
		}
		return nil
	})
}

// startThrough starts the keeper and then has every call that it makes go through before, counted from 1.
func (b *box) startThrough(before func(n int, op vfs.Op) error) {
	armed, n := false, 0
	check(b.start(vfs.Fault(b.mem, func(op vfs.Op) error {
		if !armed {
			return nil
		}
		n++
		return before(n, op)
	})))
	armed = true
}

// alive runs do and tells whether it came to its end.
func alive(do func()) (ok bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, is := r.(died); !is {
				panic(r)
			}
		}
	}()
	do()
	return true
}

// TestKillSweep kills the process ahead of every call that a plan and the sweep after it make, and the process that
// recovers from that ahead of every call that it makes; the third may do its work.
func TestKillSweep(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for first := 1; ; first++ {
				b, plan, finished := killOnce(s, first, nil)
				if finished {
					return
				}
				for second := 1; ; second++ {
					if second > 1 {
						b, plan, _ = killOnce(s, first, nil)
					}
					recovered := alive(func() { check(b.start(killAt(b.mem, second))) })
					if !recovered {
						b.mem.Crash()
						check(b.mem.Prepare("site"), b.start(b.mem))
					}
					if err := b.settled(s, plan); err != nil {
						t.Fatalf("killed ahead of call %d, then of call %d of the recovery: %v", first, second, err)
					}
					if recovered {
						break
					}
				}
			}
		})
	}
}

// killOnce runs the plan of s, killed ahead of call n. meddle, if any, is called ahead of each call.
func killOnce(s scenario, n int, meddle func(*box, int)) (*box, farm.Plan, bool) {
	b := newBox(vfs.MemConfig{})
	b.set(s)
	b.startThrough(func(at int, _ vfs.Op) error {
		if meddle != nil {
			meddle(b, at)
		}
		if at >= n {
			panic(died{})
		}
		return nil
	})
	plan := s.plan(b.mem)
	finished := alive(func() {
		b.k.Install(context.Background(), plan, s.src)
		b.k.Sweep(context.Background())
	})
	if !finished {
		if _, err := b.mem.Lstat(at); err != nil && s.pins {
			panic(fmt.Sprintf("killed ahead of call %d: the path that always existed does not: %v", n, err))
		}
		b.mem.Crash()
		check(b.mem.Prepare("site"))
	}
	return b, plan, finished
}

// settled tells what is wrong with the tree after a recovery: it has the old or the new state, whole; nothing is left
// in staging; what the plan was to preserve is preserved, unless it still is in its place.
func (b *box) settled(s scenario, plan farm.Plan) error {
	if left := staged(b.mem); len(left) > 0 {
		return fmt.Errorf("left in staging: %v", left)
	}
	is := observe(b.mem, at)
	isOld, isNew := is.Attr.Same(plan.Expect.Attr), is.Attr.Same(plan.Want)
	if !isOld && !isNew {
		return fmt.Errorf("neither the old nor the new state: %+v", is.Attr)
	}
	list := must(b.k.List())
	if !s.keep || isOld {
		if len(list) > 0 {
			return fmt.Errorf("preserved for no reason: %+v", list)
		}
		return nil
	}
	if len(list) != 1 || !list[0].Attr.SameContent(plan.Expect.Attr) || list[0].Lost.Dot != dot(7) {
		return fmt.Errorf("preserved: %+v", list)
	}
	return nil
}

// diskFaults are what a disk says that fails, and for how long.
var diskFaults = []struct {
	name  string
	kind  farm.Kind
	stays bool // all later calls that would change something fail, too
}{
	{"input/output error", farm.Corrupt, false},
	{"no space left on device", farm.Full, false},
	{"disk quota exceeded", farm.Full, true},
	{"read-only file system", farm.Denied, true},
}

// TestFaultSweep has every call of a plan fail in each of the ways, alone or with all that come after it; then all is well
// again.
func TestFaultSweep(t *testing.T) {
	for _, s := range scenarios() {
		for _, fault := range diskFaults {
			t.Run(fmt.Sprint(s.name, ", ", fault.name), func(t *testing.T) {
				t.Parallel()
				for n := 1; ; n++ {
					b := newBox(vfs.MemConfig{})
					b.set(s)
					hit := false
					b.startThrough(func(at int, op vfs.Op) error {
						if at == n || fault.stays && at > n && changes(op) {
							hit = true
							return &farm.Error{Op: op.Name, Kind: fault.kind, Err: errors.New(fault.name)}
						}
						return nil
					})
					plan := s.plan(b.mem)
					r := b.k.Install(context.Background(), plan, s.src)
					if r.Outcome == farm.Failed && r.Err == nil {
						t.Errorf("call %d: failed without an error", n)
					}
					b.k.Sweep(context.Background())
					b.k.Sweep(context.Background())
					b.mem.Crash()
					check(b.mem.Prepare("site"), b.start(b.mem))
					if err := b.settled(s, plan); err != nil {
						t.Fatalf("call %d failed (%v, %v): %v", n, r.Outcome, r.Err, err)
					}
					if r.Outcome == farm.Done {
						if err := isWanted(b.mem, plan); err != nil {
							t.Fatalf("call %d: done, but %v", n, err)
						}
					}
					if !hit {
						return
					}
				}
			})
		}
	}
}

// TestPowerCut loses all since the last sync, the log of intents included or not.
func TestPowerCut(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				finished := true
				b, plan, _ := killOnce(s, 1_000_000, func(b *box, at int) {
					if at == n {
						finished = false
						check(b.mem.Sync())
					}
				})
				b.mem.PowerCut()
				if finished {
					return
				}
				check(b.mem.Prepare("site"), b.start(b.mem))
				if err := b.settled(s, plan); err != nil {
					t.Fatalf("power cut, synced ahead of call %d: %v", n, err)
				}
			}
		})
	}
}

// TestRecoverWithoutLog has a power cut that kept staging and lost the log: what was displaced is preserved.
func TestRecoverWithoutLog(t *testing.T) {
	for _, s := range scenarios() {
		if s.want.Type == farm.Absent || !s.pins {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				b, plan, finished := killOnce(s, n, nil)
				if finished {
					return
				}
				old := displaced(b)
				for i := range 2 {
					check(must(b.mem.OpenLog(logPath(i))).Reset())
				}
				check(b.start(b.mem))
				if left := staged(b.mem); len(left) > 0 {
					t.Fatalf("call %d: left in staging: %v", n, left)
				}
				is := observe(b.mem, at)
				if !is.Attr.Same(plan.Expect.Attr) && !is.Attr.Same(plan.Want) {
					t.Fatalf("call %d: neither the old nor the new state: %+v", n, is.Attr)
				}
				if old != "" && !survives(b.mem, b.k, old) {
					t.Fatalf("call %d: what was displaced is lost", n)
				}
			}
		})
	}
}

// displaced is the old content if it is in staging, or "".
func displaced(b *box) string {
	for _, e := range staged(b.mem) {
		data, _ := b.app.ReadFile(path(vfs.StagingDir + "/" + e.Name))
		if string(data) == oldText || string(data) == oldBigText {
			return string(data)
		}
	}
	return ""
}

// TestKillWithLateWriter kills the process at every call while an application still has the displaced file open, and the
// recovery at every call too. What the application writes after all that is preserved under the path it belonged to.
func TestKillWithLateWriter(t *testing.T) {
	for _, s := range scenarios() {
		if s.name != "replace file" && s.name != "remove file" && s.name != "replace big file" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for first := 1; ; first++ {
				for second := 1; ; second++ {
					b := newBox(vfs.MemConfig{})
					b.set(s)
					h := must(b.app.OpenWrite(at))
					b.startThrough(func(n int, _ vfs.Op) error {
						if n >= first {
							panic(died{})
						}
						return nil
					})
					plan := s.plan(b.mem)
					var r farm.Installed
					finished := alive(func() {
						r = b.k.Install(context.Background(), plan, s.src)
						b.k.Sweep(context.Background())
					})
					b.mem.Crash()
					check(b.mem.Prepare("site"))
					recovered := alive(func() { check(b.start(killAt(b.mem, second))) })
					b.mem.Crash()
					check(b.mem.Prepare("site"), b.start(b.mem))
					check(h.Append([]byte(valueA)), h.Close())
					b.mem.Crash()
					check(b.mem.Prepare("site"), b.start(b.mem))
					err := b.lateIsKept(plan)
					if r.Plan.Path == at { // it came to its end
						err = errors.Join(err, isWanted(b.mem, plan))
					}
					if err != nil {
						t.Fatalf("killed ahead of call %d, then of call %d of the recovery: %v", first, second, err)
					}
					if finished && recovered {
						return
					}
					if recovered {
						break
					}
				}
			}
		})
	}
}

// lateIsKept tells whether a write to the old file is where it belongs: at the path if the plan never came to take it
// away, else preserved under it.
func (b *box) lateIsKept(plan farm.Plan) error {
	if left := staged(b.mem); len(left) > 0 {
		return fmt.Errorf("left in staging: %v", left)
	}
	if st, err := b.mem.Lstat(at); err == nil && st.Ino == plan.Expect.Stat.Ino {
		return nil
	}
	for _, p := range must(b.k.List()) {
		if p.Path == at && p.Reason == farm.ReasonLateWrite {
			return nil
		}
	}
	return fmt.Errorf("lost, or of unknown origin: %+v", must(b.k.List()))
}
