package replica_test

import (
	"fmt"
	"strconv"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// rules is how a member treats the folder.
type rules struct {
	exclude  []farm.Path
	largest  int64
	readOnly bool
	paused   bool
	brake    int
	checked  bool
	before   map[farm.Path]farm.Disk // a trial
	away     map[farm.Path]farm.Attr // what an unmounted file system holds
}

func (n *node) excluded(p farm.Path) bool { return excludes(n.rules.exclude, p) }

func excludes(list []farm.Path, p farm.Path) bool {
	for _, e := range list {
		if p == e || p.Under(e) {
			return true
		}
	}
	return false
}

func (n *node) leftOut(_ farm.Path, a farm.Attr) bool {
	return a.Type == farm.File && n.rules.largest > 0 && a.Size > n.rules.largest
}

func (n *node) ruled() replica.Rules {
	exclude := n.rules.exclude
	return replica.Rules{
		Excluded: func(p farm.Path) bool { return excludes(exclude, p) }, LeftOut: n.leftOut,
		ReadOnly: n.rules.readOnly, Checked: n.rules.checked, BrakePercent: n.rules.brake,
		Entries: func() (count int64) {
			for _, r := range n.cat.records {
				if r.Disk.Type != farm.Absent {
					count++
				}
			}
			return count
		},
	}
}

// steer executes the commands of people.
func (n *node) steer(f []string) error {
	refiltered := false
	switch f[0] {
	case "exclude":
		before := n.rules.exclude
		n.rules.exclude, refiltered = nil, true
		for _, p := range f[2:] {
			n.rules.exclude = append(n.rules.exclude, farm.MustPath(p))
		}
		if n.machine == nil {
			n.was = func(p farm.Path) bool { return excludes(before, p) }
		}
	case "largest":
		refiltered = true
		n.rules.largest, _ = strconv.ParseInt(f[2], 10, 64)
	case "readonly":
		n.rules.readOnly = f[2] == "on"
	case "brake":
		n.rules.brake, _ = strconv.Atoi(f[2])
	case "pause", "resume":
		n.rules.paused = f[0] == "pause"
		n.give(replica.Pause{On: n.rules.paused})
		return nil
	case "check":
		n.rules.checked = f[2] == "on"
	case "pass":
		n.give(replica.Pass{})
		return nil
	case "try":
		n.rules.before = map[farm.Path]farm.Disk{}
		for p, r := range n.cat.records {
			n.rules.before[p] = r.Disk
		}
		n.give(replica.Try{On: true})
		return nil
	case "keep":
		n.give(replica.Try{})
		return nil
	case "back":
		n.give(replica.Try{})
		disks := map[farm.Path]farm.Disk{}
		for p, r := range n.cat.records {
			if was := n.rules.before[p]; !r.Disk.Attr.Same(was.Attr) {
				disks[p] = was
			}
		}
		n.give(replica.Back{Disks: disks})
		return nil
	case "checks":
		c := n.machine.Checks()
		n.logf("own %d, others %d, open %d, back %d", c.Own, c.Others, c.Open, c.Back)
		return nil
	case "letgo":
		n.give(replica.Release{})
		return nil
	case "refuse":
		n.give(replica.Refuse{})
		return nil
	case "explain":
		x := n.machine.Explain(farm.MustPath(f[2]))
		n.logf("%s is %s; disk %s; wanted %s; excluded %v, left out %v", x.Path, x.State, describe(x.Path, x.Disk), describe(x.Path, x.Want), x.Excluded, x.LeftOut)
		if len(x.Unkept) > 0 {
			n.logf("%s can't keep its %s: %s", x.Path, strings.Join(x.Unkept, ", "), x.Why)
		}
		return nil
	default:
		return n.fill(f)
	}
	n.give(replica.Ruled{Rules: n.ruled(), Refiltered: refiltered})
	return nil
}

func (n *node) give(in replica.Input) {
	if n.machine != nil {
		n.step(in)
		n.work()
	}
}

// fill executes the commands that change many files at once.
func (n *node) fill(f []string) error {
	switch f[0] {
	case "fill":
		count, err := strconv.Atoi(f[3])
		if err != nil {
			return err
		}
		dir := farm.MustPath(f[2])
		n.put(dir, farm.Attr{Type: farm.Dir, Mode: 0o755})
		ps := []farm.Path{dir}
		for i := range count {
			p := farm.MustPath(fmt.Sprintf("%s/%03d", dir, i))
			a := farm.Attr{Type: farm.File, Mode: 0o644, Size: 3, MTime: n.rig.now.UnixNano()}
			copy(a.Digest[:], fmt.Sprintf("%d", i))
			n.put(p, a)
			ps = append(ps, p)
		}
		n.give(replica.Dirty{Paths: ps})
	case "unmount":
		n.rules.away = map[farm.Path]farm.Attr{}
		for _, p := range n.below(farm.MustPath(f[2])) {
			n.rules.away[p] = n.disk[p]
			n.put(p, farm.Attr{})
		}
	case "mount":
		for p, a := range n.rules.away {
			n.put(p, a)
		}
		n.rules.away = nil
	case "count":
		count := 0
		for _, a := range n.disk {
			if a.Type == farm.File {
				count++
			}
		}
		s := n.machine.State()
		n.logf("%d files, waiting %d, paused %v, braked %v", count, s.Waiting, s.Paused, s.Braked)
	default:
		return fmt.Errorf("no such command")
	}
	return nil
}
