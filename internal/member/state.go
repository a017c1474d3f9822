package member

import (
	"maps"
	"sync"
	"time"

	"tandem/internal/farm"
)

// ownState is what this member says of itself. It goes to the others whenever it changes.
type ownState struct {
	mu    sync.Mutex
	state farm.MemberState
	tell  func(farm.MemberState)
}

// change alters the state and tells it.
func (o *ownState) change(alter func(*farm.MemberState)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.state
	s.Folders = maps.Clone(s.Folders)
	if s.Folders == nil {
		s.Folders = map[farm.FolderID]farm.FolderState{}
	}
	alter(&s)
	s.Number = max(s.Number+1, uint64(time.Now().UnixNano()))
	o.state = s
	o.tell(s) // in order, so inside the lock; it does not block
}

func (o *ownState) get() farm.MemberState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.state
}

// publishFolder takes a folder's state from its runner.
func (m *Member) publishFolder(id farm.FolderID, f *folder, s farm.FolderState) {
	s.Entries, s.Bytes = f.index.Counts()
	conflicts := f.conflicts()
	s.Conflicts = &conflicts
	if f.trial != nil {
		s.Refused = f.trial.Refused()
		f.trial.Changed()
	}
	m.own.change(func(o *farm.MemberState) { o.Folders[id] = s })
	f.company.look(time.Now(), s.Known.At(s.Actor), m.links.most(id, s.Actor))
	switch id {
	case farm.FolderFarm:
		m.reload.Arrived()
	case farm.FolderCerts:
		m.certs.changed()
	}
}

// conflicts counts what is preserved here and was not meant to go.
func (f *folder) conflicts() int64 { return int64(f.keeper.PreservedUsage().Conflicts) }

// tellConflicts tells the others how many preserved files were not meant to go, if they were told otherwise: what people
// drop and what expires changes nothing else of a folder's state.
func (m *Member) tellConflicts(f *folder) {
	now := f.conflicts()
	if told := m.own.get().Folders[f.spec.id].Conflicts; told == nil || *told == now {
		return
	}
	m.own.change(func(o *farm.MemberState) {
		s := o.Folders[f.spec.id]
		s.Conflicts = &now
		o.Folders[f.spec.id] = s
	})
}

func (m *Member) dropFolder(id farm.FolderID) {
	m.own.change(func(o *farm.MemberState) { delete(o.Folders, id) })
}
