package replica

import "tandem/internal/farm"

// recentRecords is how many records are remembered in each of two generations. A path is asked for several times between
// its first notification and its rest, and the index answers slowly.
const recentRecords = 8192

// recent remembers records as the log has them, those that are not there included. One goroutine.
type recent struct {
	young, old map[farm.Path]remembered

	// below says of directories whether the log held nothing below them when that was asked (true): what has come since
	// is remembered, so that all else is known to be missing without asking. When a record is forgotten, so is its
	// directory.
	below map[farm.Path]bool
}

type remembered struct {
	farm.Record
	there bool
}

func newRecent() *recent {
	return &recent{young: map[farm.Path]remembered{}, below: map[farm.Path]bool{}}
}

// get is what is known of p: its record, and whether anything is.
func (c *recent) get(p farm.Path) (r remembered, known bool) {
	if r, ok := c.young[p]; ok {
		return r, true
	}
	if r, ok := c.old[p]; ok {
		c.put(p, r)
		return r, true
	}
	return remembered{}, !p.IsRoot() && c.below[p.Parent()]
}

func (c *recent) put(p farm.Path, r remembered) {
	if len(c.young) >= recentRecords {
		c.age()
	}
	c.young[p] = r
}

// age forgets the older generation.
func (c *recent) age() {
	for p := range c.old {
		if _, ok := c.young[p]; !ok && !p.IsRoot() {
			delete(c.below, p.Parent())
		}
	}
	if len(c.below) > recentRecords {
		clear(c.below)
	}
	c.old, c.young = c.young, map[farm.Path]remembered{}
}
