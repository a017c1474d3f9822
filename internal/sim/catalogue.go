package sim

import (
	"iter"
	"maps"
	"slices"

	"tandem/internal/farm"
)

// catalogue is an index in memory: what is put is there at once (a commit survives kill -9), and what was there at the
// last sync survives a power cut.
type catalogue struct {
	records map[farm.Path]farm.Record
	meta    farm.Meta

	recipes map[farm.Digest]recipe // of large contents

	putting func(was, r farm.Record)      // looks at what is put
	dropped func(farm.Record)             // is told what is dropped
	spoil   func(farm.Record) farm.Record // nil: nothing is spoilt

	synced     map[farm.Path]farm.Record
	syncedMeta farm.Meta
}

func newCatalogue() *catalogue {
	return &catalogue{records: map[farm.Path]farm.Record{}, synced: map[farm.Path]farm.Record{}, recipes: map[farm.Digest]recipe{}}
}

func (c *catalogue) Get(p farm.Path) (farm.Record, bool) { r, ok := c.records[p]; return r, ok }
func (c *catalogue) SetMeta(m farm.Meta)                 { c.meta = m }

// Drop forgets a record.
func (c *catalogue) Drop(p farm.Path) {
	if c.dropped != nil {
		c.dropped(c.records[p])
	}
	delete(c.records, p)
}

// Put writes a record.
func (c *catalogue) Put(r farm.Record) {
	if c.spoil != nil {
		r = c.spoil(r)
	}
	if c.putting != nil {
		c.putting(c.records[r.Path], r)
	}
	c.records[r.Path] = r
}

func (c *catalogue) Live(dir farm.Path) bool {
	for p, r := range c.records {
		if p.IsRoot() || p.Parent() != dir {
			continue
		}
		if r.Disk.Type != farm.Absent || slices.ContainsFunc(r.Known, func(e farm.Entry) bool { return e.Type != farm.Absent }) {
			return true
		}
	}
	return false
}

func (c *catalogue) Under(dir farm.Path) iter.Seq[farm.Record] {
	return func(yield func(farm.Record) bool) {
		for _, p := range slices.SortedFunc(maps.Keys(c.records), farm.Path.Compare) {
			if p.Under(dir) && !yield(c.records[p]) {
				return
			}
		}
	}
}

// Children implements scan's catalogue.
func (c *catalogue) Children(dir farm.Path) (map[string]farm.Disk, error) {
	out := map[string]farm.Disk{}
	for p, r := range c.records {
		if !p.IsRoot() && p.Parent() == dir && r.Disk.Type != farm.Absent {
			out[p.Base()] = r.Disk
		}
	}
	return out, nil
}

func (c *catalogue) byDigest(d farm.Digest) []farm.Path {
	var ps []farm.Path
	for r := range c.Under(farm.Path{}) {
		if r.Disk.Type == farm.File && r.Disk.Digest == d {
			ps = append(ps, r.Path)
		}
	}
	return ps
}

func (c *catalogue) sync() {
	c.synced, c.syncedMeta = maps.Clone(c.records), c.meta
}

func (c *catalogue) powerCut() {
	c.records, c.meta = maps.Clone(c.synced), c.syncedMeta
}

// copy is what the index is now, for restore.
func (c *catalogue) copy() *catalogue {
	return &catalogue{records: maps.Clone(c.records), meta: c.meta}
}

// restore makes the index what another one is, for good.
func (c *catalogue) restore(from *catalogue) {
	c.records, c.meta = maps.Clone(from.records), from.meta
	c.sync()
}
