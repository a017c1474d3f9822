package farm

import (
	"cmp"
	"time"
)

// HLC is hybrid logical time: milliseconds since 1970 in the upper 48 bits, a counter in the lower 16. It grows along
// causality whatever the clocks say, and is near the wall clock otherwise.
//
// Kulkarni et al., "Logical Physical Clocks", 2014.
type HLC uint64

// Wall is the wall-clock part.
func (h HLC) Wall() time.Time { return time.UnixMilli(int64(h >> 16)) }

// At is the earliest time whose wall-clock part is t; 0 for what is before 1970.
func At(t time.Time) HLC { return HLC(uint64(max(t.UnixMilli(), 0)) << 16) }

// Clock gives hybrid logical times. The caller passes the wall clock in, so that a Clock is deterministic.
type Clock struct{ last HLC }

// Now returns a time later than all that the clock has given or observed.
func (c *Clock) Now(wall time.Time) HLC {
	c.last = max(c.last+1, At(wall))
	return c.last
}

// Observe makes the next Now later than h.
func (c *Clock) Observe(h HLC) { c.last = max(c.last, h) }

// Last is the latest time given or observed.
func (c *Clock) Last() HLC { return c.last }

// Stamp says which version set a group of an entry's attributes, and when. Stamps are ordered by time, then actor.
type Stamp struct {
	Dot  Position
	Time HLC
}

// Compare orders stamps in a way that every member agrees on and that never contradicts causality.
func (s Stamp) Compare(t Stamp) int {
	return cmp.Or(cmp.Compare(s.Time, t.Time), s.Dot.Actor.Compare(t.Dot.Actor), cmp.Compare(s.Dot.Seq, t.Dot.Seq))
}
