package control

import (
	"slices"

	"tandem/internal/farm"
)

// MaxOpenFaults is how many open faults are known one by one.
const MaxOpenFaults = 256

// faultKey is what a fault and its healing have in common.
type faultKey struct {
	id      farm.EventID
	subject string
	folder  farm.FolderID
}

// healedBy lists the ids that tell of a healing under a name of their own.
var healedBy = map[farm.EventID]farm.EventID{
	farm.EventMemberUp: farm.EventMemberDown,
	farm.EventNodeUp:   farm.EventNodeDown,
}

// faultView pairs faults with their healing. It begins empty with each life of the daemon: what was wrong before is
// raised again if it still is. It is guarded by its journal.
type faultView struct {
	open map[faultKey]*OpenFault
	more int // raised while MaxOpenFaults were open
}

func newFaultView() *faultView { return &faultView{open: map[faultKey]*OpenFault{}} }

func (v *faultView) add(e farm.Event) {
	key := faultKey{e.ID, e.Subject, e.Folder}
	if e.Severity != farm.Fault {
		if e.Severity == farm.Healed {
			delete(v.open, key)
		}
		if id, ok := healedBy[e.ID]; ok {
			delete(v.open, faultKey{id, e.Subject, e.Folder})
		}
		if len(v.open) == 0 {
			v.more = 0
		}
		return
	}
	f, ok := v.open[key]
	if !ok && len(v.open) >= MaxOpenFaults {
		v.more++
		return
	}
	if !ok {
		f = &OpenFault{Since: e.Time}
		v.open[key] = f
	}
	f.Count++
	f.Event = e
}

func (v *faultView) view() Faults {
	f := Faults{Open: make([]OpenFault, 0, len(v.open)), More: v.more}
	for _, o := range v.open {
		f.Open = append(f.Open, *o)
	}
	slices.SortFunc(f.Open, func(a, b OpenFault) int { return a.Since.Compare(b.Since) })
	return f
}
