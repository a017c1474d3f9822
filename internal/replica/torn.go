package replica

import "tandem/internal/farm"

// After a power cut a file whose installation or edit was visible and not yet durable may be torn: zero pages, an old
// size, the old content, or no name at all; and the index may have survived with what it says of it. What is found there,
// is not what the index says and was not changed since the system came up again was written by nobody: it is preserved,
// and what the farm knows is fetched. Others may have it; if no member has, its author gives it up (giveUp).
//
// Of what the index does not know either nothing can be said: it counts as an edit made while the member was down, but as
// an old one, so that any version that others have made or kept wins over it, and it is preserved. Only what is empty or
// all zeros, where there was something, is never taken for an edit.

// doubt notes a path of which the index knows more than was durable when the power was cut.
func (m *Machine) doubt(r farm.Record) {
	if m.cut == 0 || r.Disk.Type == farm.Dir || len(r.Known) == 0 || m.rules.ReadOnly ||
		r.Intent == nil && m.meta.Durable.CoversAll(r.Disk.Context) {
		return
	}
	if m.doubtful == nil {
		m.doubtful = map[farm.Path]bool{}
	}
	m.doubtful[r.Path] = true
	m.open(r.Path).dirty = true
}

// prior is what a look at the path may take for unchanged. What is in doubt is read: its fingerprint can be right and its
// content not.
func (m *Machine) prior(r farm.Record) farm.Disk {
	if m.doubtful[r.Path] {
		r.Disk.Stat = farm.Fingerprint{}
	}
	return r.Disk
}

// beforeCut tells whether what was seen has not been changed since the power was cut.
func (m *Machine) beforeCut(seen farm.Observation) bool {
	return m.cut != 0 && (seen.Attr.Type == farm.Absent || seen.Stat.CTime < m.cut)
}

// torn tells whether what was seen, which is not what the index says, was left so by the power cut. It is asked once of
// each look, and the doubt ends with it.
func (m *Machine) torn(w *work, r farm.Record, seen farm.Observation) bool {
	doubtful := m.doubtful[r.Path]
	delete(m.doubtful, r.Path)
	if seen.Attr.Type == farm.Dir || r.Disk.Type == farm.Dir || !m.beforeCut(seen) {
		return false
	}
	if !doubtful && (r.Disk.Type != farm.File || r.Disk.Size == 0 || seen.Attr.Type != farm.File || !blank(seen)) {
		return false
	}
	m.distrust(r, seen)
	now, _ := m.db.Get(r.Path)
	m.lower(r.Path, now, now.Context())
	m.raise(farm.EventFileTorn, farm.Warning, r.Path,
		"a power cut left something else than was written: it is preserved and the content is fetched again", "tandem conflicts list", nil)
	return true
}

// blank tells whether a file is empty or all zeros, as far as its content is at hand.
func blank(seen farm.Observation) bool {
	if seen.Attr.Size > int64(len(seen.Content)) {
		return false
	}
	for _, b := range seen.Content {
		if b != 0 {
			return false
		}
	}
	return true
}
