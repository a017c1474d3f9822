package replica

import (
	"errors"
	"maps"
	"slices"

	"tandem/internal/farm"
)

// nameless is a path that is known and can't be here, because the file system refuses its name or takes it for that of
// another path. It counts as visible and waits for nothing; it is tried again when the twin goes, when another version
// comes, with the next whole scan, and after a restart.
type nameless struct {
	twin farm.Path // the root: there is none
	why  string
}

// noName notes that the file system has no place for the name. In a renaming from one twin to the other the new name may
// come before the old one has gone: that is given a moment.
func (m *Machine) noName(p farm.Path, w *work, in farm.Installed) {
	w.why = errText(in)
	var name *farm.NameError
	errors.As(in.Err, &name)
	n := nameless{why: w.why}
	if name != nil {
		n.twin, n.why = name.Twin, name.Error()
	}
	_, told := m.nameless[p]
	tries := 0
	if !n.twin.IsRoot() && !told {
		tries = nameTries
	}
	if r, _ := m.db.Get(n.twin); r.Disk.Type == farm.Absent && !n.twin.IsRoot() {
		tries = goneTries // it has gone since, or nothing is known of it
	}
	if w.tries < tries {
		m.later(p, w, firstRetry)
		return
	}
	m.nameless[p] = n
	w.noName = true
	if told {
		return
	}
	next := "rename it on the member that has it"
	if !n.twin.IsRoot() {
		next += ", or " + n.twin.Base() + " here"
	}
	m.raise(farm.EventFileBlocked, farm.Warning, p, "not kept here: "+n.why+"; the other members keep it", next, map[string]string{"kind": "name"})
}

// How often a name is tried that a twin has, and one whose twin is not there any more as far as is known.
const (
	nameTries = 2
	goneTries = 5
)

// named notes that the path is as it should be: if its name could not be had, that is over.
func (m *Machine) named(p farm.Path) {
	if _, ok := m.nameless[p]; !ok {
		return
	}
	delete(m.nameless, p)
	m.raise(farm.EventFileBlocked, farm.Healed, p, "that its name can't be kept here is over", "", map[string]string{"kind": "name"})
	m.tryBelow(p)
}

// tryBelow looks again at what waited for dir to be there.
func (m *Machine) tryBelow(dir farm.Path) {
	var below []farm.Path
	for r := range m.db.Under(dir) {
		if !m.skip(r.Path) && !r.Disk.Context.CoversAll(r.Context()) {
			below = append(below, r.Path)
		}
	}
	for _, p := range below {
		m.lookAgain(p)
	}
}

// freed tries those whose name p had.
func (m *Machine) freed(p farm.Path) {
	if len(m.nameless) > 0 {
		m.tryNamesOf(func(n nameless) bool { return n.twin == p })
	}
}

// tryNames tries all again.
func (m *Machine) tryNames() { m.tryNamesOf(func(nameless) bool { return true }) }

func (m *Machine) tryNamesOf(which func(nameless) bool) {
	for _, p := range slices.SortedFunc(maps.Keys(m.nameless), farm.Path.Compare) {
		if which(m.nameless[p]) && m.work[p] == nil {
			m.lookAgain(p)
		}
	}
}

// namelessAt returns the entry of nameless that p is, or that it lies below.
func (m *Machine) namelessAt(p farm.Path) (farm.Path, nameless, bool) {
	for at := p; len(m.nameless) > 0 && !at.IsRoot(); at = at.Parent() {
		if n, ok := m.nameless[at]; ok {
			return at, n, true
		}
	}
	return farm.Path{}, nameless{}, false
}

// namelessAbove tells whether the path is below one that can't be here.
func (m *Machine) namelessAbove(p farm.Path) bool {
	_, _, ok := m.namelessAt(p.Parent())
	return ok
}
