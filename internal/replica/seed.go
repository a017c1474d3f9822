package replica

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"tandem/internal/farm"
	"tandem/internal/reconcile"
)

// A folder whose index is new is seeded. What the farm knows of a path wins over what lies there: equal content is
// adopted, other content is replaced and preserved. What the farm does not know of is an extra file: it is on disk, has
// no version, and stays so until somebody chooses what becomes of it (or writes to it, which makes it a file of the farm).
//
// Has nobody in the farm anything, then there is nothing to be seeded from: what is on disk is founded. Members that do
// so at the same time merge what they have, and the later modification time wins.

// foundAfter is how long a member waits for others to say what they have of a folder that is new in the farm.
const foundAfter = 30 * time.Second

// foundWindow is how long at least a member says that it founds, so that those that start with it do so, too.
const foundWindow = 10 * time.Second

// SeedState is what people are told of a seeding.
type SeedState struct {
	farm.Seed
	Only farm.Tally // extra files: only this member has them
}

// isExtra tells whether something is on disk of which there is no version.
func isExtra(r farm.Record) bool { return len(r.Known) == 0 && r.Disk.Type != farm.Absent }

// isExtra is isExtra of a member that may tell the others of it: where the folder is only read, it is being undone.
func (m *Machine) isExtra(r farm.Record) bool { return !m.rules.ReadOnly && isExtra(r) }

// startExtra notes an extra file that is known since before the start. If it was being quarantined, the scan tells whether
// that came to its end.
func (m *Machine) startExtra(r farm.Record) {
	m.extras.Add(r.Disk.Attr)
	if r.Intent != nil {
		r.Intent = nil
		m.db.Put(r)
	}
}

// recountExtras counts the extra files under new rules. Where the folder is only read from now on, they are undone.
func (m *Machine) recountExtras() {
	m.extras = farm.Tally{}
	for r := range m.db.Under(farm.Path{}) {
		switch {
		case !isExtra(r) || m.skip(r.Path):
		case m.rules.ReadOnly:
			m.lookAgain(r.Path)
		default:
			m.extras.Add(r.Disk.Attr)
		}
	}
}

// untouched tells whether we have neither seen nor installed anything at the path yet.
func untouched(r farm.Record) bool {
	return r.Disk.Type == farm.Absent && r.Disk.Context.Len() == 0
}

// looksFirst tells whether a path must be looked at before anything is installed there: what lies there may be equal.
func (m *Machine) looksFirst(r farm.Record) bool {
	return untouched(r) && (m.meta.Seed.Mode == farm.SeedFull || m.meta.Seed.Mode == farm.SeedFound)
}

// brings tells whether a change is of a file and brings its content along. To make it is to look whether something is there, and
// costs less than a look that finds nothing, as most do.
func brings(c farm.Change) bool {
	return c.Entry.Type == farm.File && int64(len(c.Content)) == c.Entry.Size
}

// untrusted tells whether what was seen is a leftover of which the farm knows better.
func (m *Machine) untrusted(r farm.Record) bool {
	if len(r.Known) == 0 || m.meta.Seed.Mode == farm.SeedFound {
		return false
	}
	if r.Disk.Type != farm.Absent && r.Disk.Content.Dot.IsZero() {
		return m.seeding || !m.rules.ReadOnly // a leftover that is just about to be replaced; else it is undone
	}
	return m.seeding && r.Disk.Context.Len() == 0
}

// leftover tells whether what was seen at a path without versions was there before the seeding began.
func (m *Machine) leftover(r farm.Record, seen farm.Observation) bool {
	return !m.rules.ReadOnly && m.meta.Seed.Mode == farm.SeedFull && len(r.Known) == 0 && seen.Attr.Type != farm.Absent &&
		seen.Stat.CTime < m.meta.Seed.Since
}

// keepExtra notes an extra file.
func (m *Machine) keepExtra(r farm.Record, seen farm.Observation) {
	if m.isExtra(r) {
		m.extras.Remove(r.Disk.Attr)
	}
	r.Disk = farm.Disk{Attr: seen.Attr, Stat: seen.Stat}
	m.extras.Add(seen.Attr)
	m.db.Put(r)
}

// touchedExtra deals with an extra file that an application has changed since: a deletion is the end of it, all else
// makes it a file of the farm. True: it is dealt with.
func (m *Machine) touchedExtra(r *farm.Record, seen farm.Observation) bool {
	m.extras.Remove(r.Disk.Attr)
	if seen.Attr.Type == farm.Absent {
		m.db.Drop(r.Path)
		return true
	}
	r.Disk = farm.Disk{}
	return false
}

// adoptParents makes extra directories above p directories of the farm, because something in them is.
func (m *Machine) adoptParents(p farm.Path) {
	if m.extras.Count == 0 {
		return
	}
	var above []farm.Path
	for dir := p.Parent(); !dir.IsRoot(); dir = dir.Parent() {
		above = append(above, dir)
	}
	for _, dir := range slices.Backward(above) {
		if r, _ := m.db.Get(dir); m.isExtra(r) {
			m.pushExtra(r)
		}
	}
}

// pushExtra makes an extra file one of the farm, as the index has seen it.
func (m *Machine) pushExtra(r farm.Record) {
	seen := farm.Observation{Path: r.Path, Attr: r.Disk.Attr, Stat: r.Disk.Stat}
	m.extras.Remove(r.Disk.Attr)
	r.Disk = farm.Disk{}
	m.write(r, seen, leftover)
}

// settleExtra takes the next step of an extra file: none, or away with it. Below a directory that must go it can't stay.
func (m *Machine) settleExtra(r farm.Record, w *work) {
	switch {
	case !w.quarantine:
		m.close(r.Path, w)
	case r.Disk.Type == farm.Dir && (m.below[r.Path] > 0 || m.clearExtras(r.Path)):
		w.phase = forChildren
	case m.paused:
		w.phase = forResume
	default:
		m.install(r, w, reconcile.State{})
	}
}

// clearExtras quarantines the extra files in a directory that must go, and tells whether there are any.
func (m *Machine) clearExtras(dir farm.Path) bool {
	if m.extras.Count == 0 {
		return false
	}
	var in []farm.Path
	for r := range m.db.Under(dir) {
		if r.Path.Parent() == dir && m.isExtra(r) {
			in = append(in, r.Path)
		}
	}
	for _, p := range in {
		w := m.open(p)
		w.quarantine = true
		m.settle(p, w)
	}
	return m.below[dir] > 0
}

// goneExtra ends an extra file that was quarantined.
func (m *Machine) goneExtra(p farm.Path, was farm.Attr) {
	m.extras.Remove(was)
	m.db.Drop(p)
}

// choose is an admin's word on what becomes of extra files, of those that are still to be found, too.
func (m *Machine) choose(x farm.ExtraFiles) {
	m.meta.Seed.Extra = x
	m.putMeta()
	m.sortExtras()
}

// sortExtras asks for the extra files when it is known what becomes of them and where they all are.
func (m *Machine) sortExtras() {
	if m.extras.Count > 0 && !m.seeding && m.meta.Seed.Extra != farm.ExtraWait {
		m.emit(FindExtras{})
	}
}

// chosen deals with some extra files.
func (m *Machine) chosen(paths []farm.Path) {
	for _, p := range paths {
		r, _ := m.db.Get(p)
		if !m.isExtra(r) || m.work[p] != nil {
			continue
		}
		switch m.meta.Seed.Extra {
		case farm.ExtraPush:
			m.adoptParents(p)
			m.pushExtra(r)
		case farm.ExtraQuarantine:
			w := m.open(p)
			w.quarantine = true
			m.settle(p, w)
		}
	}
}

// count keeps the tally of what a seeding found, when a path has come to rest.
func (m *Machine) count(of *farm.Tally, a farm.Attr) {
	if m.meta.Seed.Mode != farm.NotSeeding {
		of.Add(a)
		m.putMeta()
	}
}

// endSeeding scans once somebody has told all that the farm knows and nothing is under way any more: what is then found
// on disk and is not known to the farm is extra.
func (m *Machine) endSeeding() {
	switch {
	case m.meta.Seed.Mode == farm.NotSeeding || m.scanning:
		return
	case m.seedLeft != nil:
		maps.DeleteFunc(m.seedLeft, func(p farm.Path, _ bool) bool { w := m.work[p]; return w == nil || !m.looking(w) })
		if len(m.seedLeft) == 0 && (m.seeding || m.joined || len(m.holders) < 2 || m.now.Sub(m.began) >= foundWindow) {
			m.seeded()
		}
		return
	case !m.seeding:
		return
	case m.nobodyHas():
		m.establish()
		return
	case !m.seedScan && !m.knowsAll():
		return
	}
	for _, w := range m.work {
		if w.phase != forRetry && w.phase != forParent && w.phase != idle && w.phase != forResume && w.phase != forCheck {
			return
		}
	}
	m.seedScan = false
	m.scan(false)
}

// established tells whether the folder could be seeded from the peer.
func (p *peer) established() bool {
	return (p.state.Seeding == farm.NotSeeding || p.state.Seeding == farm.SeedFound) && p.state.Known.Len() > 0
}

// toldAll takes note that a peer has told all that it knew.
func (m *Machine) toldAll(p *peer) {
	if m.seeding && !m.scanning && p.established() {
		m.seedScan = true
	}
}

// knowsAll tells whether all that an established peer knows has been heard. It may have been told before that peer was
// established: two that are seeded at the same time, one of which then founds.
func (m *Machine) knowsAll() bool {
	for _, p := range m.peers {
		if p.linked && p.established() && m.meta.Known.CoversAll(p.state.Known) {
			return true
		}
	}
	return false
}

// nobodyHas tells whether there is nothing that the folder could be seeded from. Who has just joined waits for those that
// were there before; where a folder is new in the farm, those that are there decide.
func (m *Machine) nobodyHas() bool {
	if m.holders == nil {
		return false
	}
	others, told, decided, founding := 0, 0, false, false
	for _, h := range m.holders {
		if h == m.meta.Actor.Member {
			continue
		}
		others++
		p := m.peers[h]
		if p == nil || !p.linked || p.state.Actor.Epoch == 0 {
			continue
		}
		told++
		switch p.state.Seeding {
		case farm.NotSeeding:
			if p.state.Known.Len() > 0 {
				return false
			}
			decided = true
		case farm.SeedFound:
			founding = true
		}
	}
	switch {
	case decided:
		return true
	case m.joined && founding: // it has something, or will say that it has not
		return false
	}
	return told == others || !m.joined && m.now.Sub(m.began) >= foundAfter
}

// establish makes what is on disk the farm's.
func (m *Machine) establish() {
	m.meta.Seed.Mode, m.seeding = farm.SeedFound, false
	m.putMeta()
	m.scan(false)
}

// seedWalked notes what the scan that ends the seeding has found.
func (m *Machine) seedWalked() {
	if m.meta.Seed.Mode == farm.NotSeeding || m.seedLeft != nil {
		return
	}
	m.seedLeft = map[farm.Path]bool{}
	for p, w := range m.work {
		if m.looking(w) {
			m.seedLeft[p] = true
		}
	}
}

// seeded ends a seeding: all that the farm knows is here, or will come, and all that only this disk has is known.
func (m *Machine) seeded() {
	mode := m.meta.Seed.Mode
	m.seeding, m.meta.Seed.Mode, m.seedLeft = false, farm.NotSeeding, nil
	m.learnForgot()
	m.putMeta()
	m.sortExtras()
	s := m.meta.Seed
	fields := map[string]string{"mode": mode.String()}
	for name, t := range map[string]farm.Tally{"equal": s.Equal, "different": s.Different, "missing": s.Missing, "extra": m.extras} {
		fields[name] = strconv.FormatInt(t.Count, 10)
		fields[name+"_bytes"] = strconv.FormatInt(t.Bytes, 10)
	}
	if m.extras.Count > 0 && s.Extra == farm.ExtraWait {
		m.raise(farm.EventFolderSeeded, farm.Warning, farm.Path{}, "seeded; "+strconv.FormatInt(m.extras.Count, 10)+
			" paths that only this member has are not replicated", "see tandem folder seed "+string(m.folder)+" --dry-run", fields)
		return
	}
	m.raise(farm.EventFolderSeeded, farm.Info, farm.Path{}, "seeded", "", fields)
}

// seedState is what people are told.
func (m *Machine) seedState() SeedState { return SeedState{m.meta.Seed, m.extras} }

// metExtra counts an extra file that the farm knows by now.
func (m *Machine) metExtra(r farm.Record) {
	if s := reconcile.Decide(r.Known, false); r.Disk.Attr.SameContent(s.Attr) {
		m.count(&m.meta.Seed.Equal, s.Attr)
	} else {
		m.count(&m.meta.Seed.Different, r.Disk.Attr)
	}
}

// seedDone counts what an installation did to a folder that is being seeded, and ends an extra file.
func (m *Machine) seedDone(w *work, r farm.Record, was farm.Disk) {
	switch {
	case len(r.Known) == 0 && w.quarantine:
		w.quarantine = false
		m.goneExtra(r.Path, was.Attr)
	case was.Type == farm.Absent && r.Disk.Type != farm.Absent && m.seeding:
		m.count(&m.meta.Seed.Missing, r.Disk.Attr)
	}
}
