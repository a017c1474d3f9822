package member

import (
	"slices"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// enrich gives changes of a member whose protocol has no extended attributes and no setuid bits those that are here: that
// it says nothing of them does not mean that it took them away. Only a version that descends from ours is completed, so
// that all who have the same version before complete it in the same way.
func (m *Member) enrich(from farm.MemberID, c wire.Changes) []farm.Change {
	f := m.folders.get(c.Folder)
	if f == nil || wire.Can(m.hub.Protocol(from), wire.CanRich) {
		return c.List
	}
	list := slices.Clone(c.List)
	for i := range list {
		e := &list[i].Entry
		r, ok, err := f.index.Get(e.Path)
		if err != nil || !ok || e.Type == farm.Absent {
			continue // the runner reads the index too, and tells its faults
		}
		enrichBy(e, r.Known)
	}
	return list
}

// enrichBy completes an entry from the versions that it descends from: of several, the one that last set attributes.
func enrichBy(e *farm.Entry, known []farm.Entry) {
	var was *farm.Entry
	for i := range known {
		k := &known[i]
		if k.Type == e.Type && e.Version.Vector.Covers(k.Version.Dot) && (was == nil || k.Version.Meta.Compare(was.Version.Meta) > 0) {
			was = k
		}
	}
	if was == nil {
		return
	}
	e.XAttrs = was.XAttrs
	if e.Mode&^farm.SpecialBits == was.Mode&^farm.SpecialBits {
		e.Mode = was.Mode
	}
}
