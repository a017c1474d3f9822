package replica

import (
	"time"

	"tandem/internal/farm"
)

// A version that is made here bears the time at which the file system says that the file was last changed (its ctime, which no
// application can set): it may be found long after that, when a member was dead, or stood still, or notifications were lost,
// and it is not to win over what was written elsewhere meanwhile. The time of this member's clock counts instead
// where the file system does not know, and where what it says is so near that only clocks could differ.

// prompt is how long ago a change may have been made for which the farm's time is taken: that follows what was heard of others.
const prompt = 100 * time.Millisecond

// origin is how what is found at a path came to be there.
type origin uint8

const (
	byItself origin = iota // it was made, changed or renamed
	along                  // maybe with its directory, which was renamed: its own time says nothing
	leftover               // it was there before the folder was replicated here
)

// when is the time of a version that is being written.
//
// Invariant: it is later than the times of all versions that the new one descends from, and no later than now.
func (m *Machine) when(r farm.Record, seen farm.Observation, from origin) farm.HLC {
	now := m.clock.Now(m.now)
	switch {
	case seen.Attr.Type == farm.Absent: // the file system does not say since when
	case m.beforeCut(seen):
		return m.timeOfOld(r)
	case from == leftover:
		return farm.HLC(m.meta.Seq) // older than all that the farm wrote: it loses, and is preserved
	case m.meta.Seed.Mode == farm.SeedFound && seen.Stat.CTime < m.meta.Seed.Since:
		if ms := seen.Attr.MTime / int64(time.Millisecond); ms > 0 {
			return min(farm.HLC(uint64(ms)<<16), now)
		}
		return farm.HLC(m.meta.Seq)
	case from == byItself && seen.Stat.CTime != 0:
		if made := time.Unix(0, seen.Stat.CTime); m.now.Sub(made) > prompt {
			return min(max(farm.At(made), m.after(r)), now)
		}
	}
	return now
}

// after is the earliest time of a version that takes the place of what is on disk.
func (m *Machine) after(r farm.Record) farm.HLC {
	t := max(r.Disk.Content.Time, r.Disk.Meta.Time)
	for _, e := range r.Known {
		if r.Disk.Context.Covers(e.Version.Dot) {
			t = max(t, e.Version.Time)
		}
	}
	return t + 1
}

// timeOfOld is the time of a version of what a power cut left and the index does not know: later than all that it
// replaces, and earlier than all else.
func (m *Machine) timeOfOld(r farm.Record) farm.HLC { return max(m.after(r), farm.HLC(m.meta.Seq)) }
