package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
)

// prompt is how much later than another something must have been written for the machine to know that it was.
const prompt = 150 * time.Millisecond

// inOrder checks that nothing lost against what was written before it (I21): however late a member came to know of that,
// because it was dead, stood still or heard of nothing. It is looked at where all go by one clock, and where only contents
// compete: a directory wins over a later file, and what was written earlier over a deletion of what was later.
func (o *oracle) inOrder(current map[farm.Path]string) error {
	if opt := o.f.opt; opt.Skew || opt.Clocks || opt.PowerCuts || opt.SetBacks || opt.LateJoin || opt.Evict || opt.Fold || opt.ReadOnly || opt.Filters {
		return nil
	}
	for p, acts := range o.latest {
		is := value{p, current[p]}
		i := slices.IndexFunc(acts, func(a act) bool { return a.value == is })
		if i < 0 || !o.plain(is) || o.dirs[p] {
			continue
		}
		later := acts[i+1:]
		if slices.ContainsFunc(later, func(a act) bool { return a.value == is || o.over[a.value] }) {
			continue
		}
		for _, a := range later {
			if by := a.at.Sub(acts[i].at); by > prompt && o.plain(a.value) {
				return fmt.Errorf("I21: %q at %s was written %v after %q, which is there, and lost against it", a.content, p, by, is.content)
			}
		}
	}
	return nil
}

// plain tells whether the value was written at one moment, and that can be known. What is done to it makes it younger, and
// with a directory that is renamed while the node is down it comes later than its own time says.
func (o *oracle) plain(v value) bool {
	return !o.over[v] && !o.excused[v] && !o.touched[v] && !o.along[v] && !strings.HasSuffix(v.content, "!")
}
