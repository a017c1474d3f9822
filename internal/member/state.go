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
	m.own.change(func(o *farm.MemberState) { o.Folders[id] = s })
	switch id {
	case farm.FolderFarm:
		m.reload.Arrived()
	case farm.FolderCerts:
		m.certs.store.Changed()
	}
}

func (m *Member) dropFolder(id farm.FolderID) {
	m.own.change(func(o *farm.MemberState) { delete(o.Folders, id) })
}
