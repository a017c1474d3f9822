package replica

import (
	"context"
	"io"
	"iter"

	"tandem/internal/farm"
)

// Log is the durable index of a folder.
type Log interface {
	Get(farm.Path) (farm.Record, bool, error)
	// Commit survives kill -9 when it returns, and a power cut after the next Sync.
	Commit(put []farm.Record, drop []farm.Path, meta *farm.Meta) error
	Sync() error
	All(under farm.Path) iter.Seq2[farm.Record, error]
	Children(dir farm.Path) (map[string]farm.Disk, error)
	Live(dir farm.Path) (bool, error)
	// Empty tells whether there is no record below dir.
	Empty(dir farm.Path) (bool, error)
	ByDigest(farm.Digest) ([]farm.Path, error)
	// Names returns the paths whose file was that very inode when it was last seen: its hard links.
	Names(farm.Disk) ([]farm.Path, error)
}

// Watcher reports what happens in the folder.
type Watcher interface {
	Events() <-chan Noticed
	// Barrier returns an id that will stand in Noticed.Barriers when all that happened before the call was reported.
	Barrier() (uint64, error)
}

// Noticed is a batch of notifications.
type Noticed struct {
	Dirty    []farm.Path
	Trees    []farm.Path // directories below which anything may have happened
	Moves    []farm.Move // directories that were renamed, it seems: From and To alone
	Rescan   bool        // some were lost
	Barriers []uint64
}

// Scanner looks at the disk.
type Scanner interface {
	Examine(context.Context, farm.Path, farm.Disk) (farm.Observation, error)
	// ExamineAll looks at paths that lie in one directory and answers each in turn. What would hold up those behind it, it
	// puts off: that is for Examine.
	ExamineAll(ctx context.Context, looks []Examine, answer func(Observed), putOff func(Examine))
	// Walk reports each path in dir, or (deep) anywhere below it, whose state differs from the log.
	Walk(ctx context.Context, dir farm.Path, deep bool, log Log, report func(farm.Path) error) error
	// Moved tells whether the directory at to holds all that the log has at from, which was is and is gone; what it holds
	// besides is listed.
	Moved(ctx context.Context, from, to farm.Path, is farm.Disk, log Log) (stat farm.Fingerprint, besides []farm.Path, same bool, err error)
}

// Installer changes the disk.
type Installer interface {
	Install(context.Context, farm.Plan, Source) farm.Installed
	// Together tells whether the plan is one that InstallAll takes, along with others of its directory.
	Together(farm.Plan) bool
	// InstallAll is Install of each of them.
	InstallAll(ctx context.Context, plans []farm.Plan, src func(farm.Path) Source) []farm.Installed
	// Move renames the directory of a move, which is is, if all in it is as children says and nothing else is. Unless the
	// outcome is Done, nothing has changed.
	Move(ctx context.Context, mv farm.Move, is farm.Disk, children func(dir farm.Path) (map[string]farm.Disk, error)) farm.Installed
	// Open opens content by digest; path is where it should be. The reader fails at its end if it was not that content.
	Open(ctx context.Context, path farm.Path, d farm.Digest) (io.ReadCloser, int64, error)
	// Sweep lets go of what was kept aside. Called about once a second.
	Sweep(context.Context)
	// Sync makes the tree durable.
	Sync() error
}

// Source says where content may be had.
type Source interface {
	Local(farm.Digest) []farm.Path
	Fetch(ctx context.Context, d farm.Digest, size int64) (io.ReadCloser, error)
}

// Transport carries this folder's messages to the other holders.
type Transport interface {
	// Push sends a change to all linked holders. It never blocks; what does not fit is dropped and asked for later.
	Push(farm.Change)
	// Room waits a moment while no linked holder takes changes as fast as they are pushed.
	Room(ctx context.Context)
	// Relay is Push to some holders, of a change that somebody else has made.
	Relay(to []farm.MemberID, c farm.Change)
	// PushMove sends a move to some holders and returns those that do not understand it.
	PushMove(to []farm.MemberID, mv farm.Move) (cannot []farm.MemberID)
	Want(to farm.MemberID, known farm.Vector, bare bool)
	// CatchUp begins an answer to a Want: all that is pushed from now on reaches the peer, until Behind says that it does
	// not. What of an earlier answer waits to be sent is dropped.
	CatchUp(to farm.MemberID)
	// Behind tells whether the peer has missed a push since the last CatchUp, so that it will ask again, and the number of
	// the first that self has written; 0: none.
	Behind(to farm.MemberID, self farm.Actor) (first farm.Seq, is bool)
	// Send sends versions that were asked for, and blocks while the peer is slow.
	Send(ctx context.Context, to farm.MemberID, changes []farm.Change) error
	Had(ctx context.Context, to farm.MemberID, upto farm.Vector) error
	// Fetch opens a content that the member may have.
	Fetch(ctx context.Context, from farm.MemberID, path farm.Path, d farm.Digest, size int64) (io.ReadCloser, error)
	// Linked are the holders with a live session.
	Linked() []farm.MemberID
}
