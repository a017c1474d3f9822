package replica

import (
	"strconv"
	"time"

	"tandem/internal/farm"
)

const (
	spaceRetry = 5 * time.Second // a path that waits for space is tried again
	fewTries   = 16              // of them in one tick, while the disk is full
	manyTries  = 4096            // ... when room was found

	// maxWork bounds the paths in work. Beyond it changes are not taken in, but for deletions, which make room; the peer
	// is asked for them later. The runner stops taking them long before, unless all that is in work waits for something.
	maxWork = 4 * workLimit
)

// cramped is what the machine knows of paths that wait for space.
type cramped struct {
	paths int  // that wait
	pace  int  // how many are tried in one tick
	over  bool // changes are refused, because too many paths wait
}

// noRoom makes a path wait for space, if that is what it lacks. The folder tells once, and once more when nothing waits.
func (m *Machine) noRoom(p farm.Path, w *work, in farm.Installed) bool {
	if w.noSource || farm.KindOf(in.Err) != farm.Full {
		return false
	}
	if !w.noRoom {
		w.noRoom = true
		if m.cramped.paths++; m.cramped.paths == 1 {
			m.tellFolder(farm.EventFolderFull, farm.Fault, "the disk is full, files wait for space: "+in.Err.Error(),
				"make room on the disk; it goes on by itself")
		}
	}
	m.cramped.pace = fewTries
	w.phase, w.tries = forRetry, 0
	m.retries[p] = m.now.Add(spaceRetry)
	return true
}

// hasRoom says that the path was installed: if it had waited for space, others may find some now.
func (m *Machine) hasRoom(w *work) {
	if w.noRoom {
		m.cramped.pace = min(2*m.cramped.pace, manyTries)
		m.leaveRoom(w)
	}
}

// leaveRoom ends the path's wait for space.
func (m *Machine) leaveRoom(w *work) {
	if !w.noRoom {
		return
	}
	w.noRoom = false
	if m.cramped.paths--; m.cramped.paths == 0 {
		m.tellFolder(farm.EventFolderFull, farm.Healed, "nothing waits for space any more", "")
	}
}

// refuses tells whether a change is not taken in, because too much waits. It counts as not heard of: had then says
// nothing, and the peer is asked again.
func (m *Machine) refuses(p *peer, e farm.Entry) bool {
	if len(m.work) < maxWork || e.Type == farm.Absent || m.work[e.Path] != nil {
		return false
	}
	if !m.cramped.over {
		m.cramped.over = true
		m.tellFolder(farm.EventFolderBehind, farm.Warning, strconv.Itoa(len(m.work))+
			" paths wait: further changes are fetched when there are fewer", "see tandem status")
	}
	p.refused = true
	return true
}

// relieved says that few paths wait again.
func (m *Machine) relieved() {
	if m.cramped.over && len(m.work) < maxWork/2 {
		m.cramped.over = false
		m.tellFolder(farm.EventFolderBehind, farm.Healed, "further changes are fetched", "")
	}
}

// tellFolder raises an event about the folder as a whole.
func (m *Machine) tellFolder(id farm.EventID, sev farm.Severity, message, next string) {
	m.emit(Raise{farm.Event{ID: id, Severity: sev, Subject: string(m.folder), Folder: m.folder, Message: message, Next: next}})
}

// Cramped is the number of paths that wait for space.
func (m *Machine) Cramped() int { return m.cramped.paths }
