package replica

import (
	"iter"
	"time"

	"tandem/internal/farm"
)

// Catalogue is the index as the machine sees it. Reads see all puts. What was put is committed before the effects that
// came with it are executed.
type Catalogue interface {
	Get(farm.Path) (farm.Record, bool)
	Put(farm.Record)
	Drop(farm.Path)
	SetMeta(farm.Meta)
	// Live tells whether any direct child of dir has a living version or is on disk.
	Live(dir farm.Path) bool
	// Under yields the records below dir, parents first.
	Under(dir farm.Path) iter.Seq[farm.Record]
}

// Input is what happened.
type Input interface{ input() }

// The inputs of a Machine.
type (
	// Start is the first input.
	Start struct{}

	// Holders names the members that hold the folder: all must acknowledge a deletion before it is forgotten, unless they
	// have been away for longer than EvictAfter; 0: however long.
	Holders struct {
		Members    []farm.MemberID
		EvictAfter time.Duration
	}

	// Dirty asks to look at paths, because something happened to them.
	Dirty struct {
		Paths []farm.Path
		Scan  bool // a scan found them, no notification did
		Along bool // found in a directory that was made or renamed: they may have come along with it
	}

	// Tree asks to look at a directory and all below it, because what happened there was not told one by one.
	Tree struct{ Dir farm.Path }

	// Moved says that a directory, it seems, has got another name, with all that is in it. A hint.
	Moved struct{ From, To farm.Path }

	// Rescan says that notifications were lost.
	Rescan struct{}

	// Audit says that it is time to compare the whole folder with the index, in case something went unnoticed.
	Audit struct{}

	// Barrier says that all that happened before a call has been reported as dirty.
	Barrier struct{ ID uint64 }

	// Observed answers Examine.
	Observed struct {
		Path farm.Path
		Seen farm.Observation
		Err  error
	}

	// Walked answers Walk, after all that differs was reported as dirty.
	Walked struct {
		ID  int
		Dir farm.Path
		Err error
	}

	// Installed answers Install.
	Installed struct{ farm.Installed }

	// Compared answers Compare.
	Compared struct {
		From, To farm.Path
		Same     bool // what is at To is what the index has at From, and perhaps more
		Stat     farm.Fingerprint
		New      []farm.Path // what is there besides
		Err      error
	}

	// Shifted answers Shift. Unless the outcome is Done, nothing has changed.
	Shifted struct {
		Move    farm.Move
		Outcome farm.Outcome
		Stat    farm.Fingerprint
		Err     error
	}

	// Synced answers Sync.
	Synced struct {
		Upto farm.Vector
		Err  error
	}

	// Arrived is a change from a peer.
	Arrived struct {
		From   farm.MemberID
		Change farm.Change
	}

	// ArrivedMove is the rename of a directory from a peer.
	ArrivedMove struct {
		From farm.MemberID
		Move farm.Move
	}

	// Had says that a peer has sent all that it knew beyond what was asked for: now Known includes Upto.
	Had struct {
		From farm.MemberID
		Upto farm.Vector
	}

	// Wanted is a peer's question for all that it does not know.
	Wanted struct {
		From  farm.MemberID
		Known farm.Vector
		Bare  bool // without content
	}

	// Choose says what becomes of extra files.
	Choose struct{ Extra farm.ExtraFiles }

	// Chosen answers FindExtras, any number of times.
	Chosen struct{ Paths []farm.Path }

	// PeerUp says that a session with a holder of the folder is established. Aside: it is heard, and nothing is exchanged.
	PeerUp struct {
		Peer  farm.MemberID
		Aside bool
	}

	// PeerDown says that it is lost.
	PeerDown struct{ Peer farm.MemberID }

	// PeerState is a holder's heartbeat.
	PeerState struct {
		Peer  farm.MemberID
		State farm.FolderState
		Links []farm.MemberID // with whom it has sessions, sorted; nil: it does not say
	}

	// Relayed is what a holder without a session has said of itself, as another member passed it on.
	Relayed struct {
		Peer  farm.MemberID
		State farm.FolderState
		Links []farm.MemberID // with whom it had sessions then
	}

	// Expire proposes records to forget, because they are deletions.
	Expire struct{ Paths []farm.Path }

	// Tick lets time pass: retries, syncs, questions. Once in 50 to 200 ms. Full: what peers send waits to be taken, so that
	// nothing follows from their silence.
	Tick struct{ Full bool }
)

func (Start) input()       {}
func (Holders) input()     {}
func (Dirty) input()       {}
func (Tree) input()        {}
func (Moved) input()       {}
func (Compared) input()    {}
func (Shifted) input()     {}
func (ArrivedMove) input() {}
func (Rescan) input()      {}
func (Audit) input()       {}
func (Barrier) input()     {}
func (Observed) input()    {}
func (Walked) input()      {}
func (Installed) input()   {}
func (Synced) input()      {}
func (Arrived) input()     {}
func (Had) input()         {}
func (Wanted) input()      {}
func (PeerUp) input()      {}
func (PeerDown) input()    {}
func (PeerState) input()   {}
func (Relayed) input()     {}
func (Expire) input()      {}
func (Choose) input()      {}
func (Chosen) input()      {}
func (Tick) input()        {}

// Effect is what is to be done. Effects are executed in their order where it matters to a peer (Push, Want), otherwise
// in any; each that has an answer gets it, however long it takes.
type Effect interface{ effect() }

// The effects of a Machine.
type (
	// Examine looks at a path. Answer: Observed.
	Examine struct {
		Path  farm.Path
		Prior farm.Disk
	}

	// Walk compares what is in a directory with the index and reports what differs as Dirty. Answer: Walked.
	Walk struct {
		ID   int
		Dir  farm.Path
		Deep bool // all below it; else only what lies directly in it
		Scan bool // what is found was not notified: it is said with Dirty
	}

	// Twins reports as Dirty the other names of a file, which has changed in place.
	Twins struct {
		Path farm.Path
		Was  farm.Disk
	}

	// Compare compares the directory To on disk, and all in it, with what the index has at From, which must be gone. Is: what
	// From was. Answer: Compared.
	Compare struct {
		From, To farm.Path
		Is       farm.Disk
	}

	// Shift renames a directory on disk, if it is as the index says. Answer: Shifted.
	Shift struct {
		Move farm.Move
		Is   farm.Disk
	}

	// PushMove sends a move of ours to all linked holders; to those that can't take it, the changes that it stands for.
	PushMove struct {
		Move    farm.Move
		Changes []farm.Entry
	}

	// RelayMove passes a move of another's on. Who can't take it will ask.
	RelayMove struct {
		To   []farm.MemberID
		Move farm.Move
	}

	// Install brings a path from one state to another. Answer: Installed.
	Install struct{ Plan farm.Plan }

	// Push sends a change of ours to all linked holders.
	Push struct{ Change farm.Change }

	// Relay passes a change of another's on to holders that its sender can't reach.
	Relay struct {
		To     []farm.MemberID
		Change farm.Change
	}

	// Want asks a peer for all that is not in Known. Answer: Arrived, ..., Had; or PeerDown.
	Want struct {
		To    farm.MemberID
		Known farm.Vector
		Bare  bool // without content
	}

	// Stream sends a peer all known entries whose dot is not in Known, then Had with Upto.
	Stream struct {
		To          farm.MemberID
		Known, Upto farm.Vector
		Bare        bool
	}

	// FindExtras looks for extra files. Answer: Chosen, any number.
	FindExtras struct{}

	// Sync makes disk and index durable. Answer: Synced.
	Sync struct{ Upto farm.Vector }

	// BarrierDone says that all that was written before the barrier is in our feed up to Position.
	BarrierDone struct {
		ID       uint64
		Position farm.Position
	}

	// Sweep looks for deletions that may be old enough to forget. Answer: Expire, any number.
	Sweep struct{}

	// Rejoin ends the machine: its index lacks deletions that others have forgotten. The folder is to be opened again with a
	// new index, as one that is seeded.
	Rejoin struct{}

	// Raise tells people.
	Raise struct{ Event farm.Event }
)

// Dirty is the input that tells what the walk has found.
func (w Walk) Dirty(found []farm.Path) Dirty {
	return Dirty{Paths: found, Scan: w.Scan, Along: !w.Dir.IsRoot()}
}

func (Examine) effect()     {}
func (Walk) effect()        {}
func (Twins) effect()       {}
func (Install) effect()     {}
func (Compare) effect()     {}
func (Shift) effect()       {}
func (PushMove) effect()    {}
func (RelayMove) effect()   {}
func (Push) effect()        {}
func (Relay) effect()       {}
func (Want) effect()        {}
func (Stream) effect()      {}
func (FindExtras) effect()  {}
func (Sync) effect()        {}
func (BarrierDone) effect() {}
func (Sweep) effect()       {}
func (Rejoin) effect()      {}
func (Raise) effect()       {}

// Pace of a machine.
const (
	unstableRetry  = 100 * time.Millisecond // a file that is being written is looked at again
	firstRetry     = 200 * time.Millisecond // a path that could not be read or installed is tried again
	maxRetry       = 30 * time.Second
	maxKept        = time.Hour              // a directory that stays because of what is not replicated in it
	syncEvery      = 250 * time.Millisecond // group sync
	askAfter       = 300 * time.Millisecond // a peer that knows more has had the time to tell
	askAgain       = 10 * time.Second       // a question that got no answer on a living link
	sweepEvery     = 10 * time.Minute
	maxInlineBytes = 64 << 20 // inline content held for paths that wait; beyond, it is fetched when needed
	maxEarly       = 4096     // positions of a feed heard before the ones between
)
