package sim

import (
	"tandem/internal/farm"
	"tandem/internal/replica"
)

// newSeed is how a folder begins whose index is new, as the member has it.
func (n *node) newSeed() farm.Seed {
	s := farm.Seed{Mode: farm.SeedEmpty, Since: n.now().UnixNano(), Extra: n.extra}
	if list, err := n.mem.ReadDir(farm.Path{}); err != nil || len(list) > 0 {
		s.Mode = farm.SeedFull
	}
	return s
}

// findExtras tells the machine of the files that the farm does not know, as the runner does.
func (n *node) findExtras() {
	var ps []farm.Path
	for r := range n.cat.Under(farm.Path{}) {
		if len(r.Known) == 0 && r.Disk.Type != farm.Absent {
			ps = append(ps, r.Path)
		}
	}
	n.step(replica.Chosen{Paths: ps})
}
