package index

import (
	"errors"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// The log of committed pages. A commit appends to it and never waits for the disk, except for the first one after the
// log has begun anew. Sync makes it durable and, when it has grown, carries it into the database.
const (
	logCheckpointBytes = 4 << 20  // from here on Sync carries the log into the database
	logLimitBytes      = 64 << 20 // from here on Commit does so itself: nobody has synced for long, or a reader was in the way
	logKeptBytes       = 8 << 20  // a larger file is cut to this size when the log begins anew
)

// Sync makes all that was committed before its call survive a power cut. Commits go on meanwhile.
//
// Errors are *farm.Error. After one, nothing that was committed since the last good Sync counts as durable until Sync
// succeeds again.
func (x *Index) Sync() error {
	const op = "sync index"
	if err := x.begin(); err != nil {
		return fail(op, x.dir, err)
	}
	defer x.active.Done()
	x.sync.Lock()
	defer x.sync.Unlock()
	return fail(op, x.dir, x.syncAll())
}

func (x *Index) syncAll() error {
	var err error
	if x.syncFailed {
		// Where syncing the log has failed, the system may have forgotten what it could not write, and a second try
		// succeed without having written it. What it still shows of the log is right: into the database with it.
		err = x.syncer.checkpointAll()
	} else {
		err = x.syncer.syncLog()
	}
	if err == nil && x.logBytes() >= x.logCheckpoint {
		err = x.syncer.checkpoint()
	}
	x.syncFailed = err != nil
	return err
}

// limitLog is the back-pressure on commits that nobody syncs.
func (x *Index) limitLog() error {
	if x.logBytes() < x.logLimit {
		return nil
	}
	x.sync.Lock()
	defer x.sync.Unlock()
	return x.syncer.checkpoint()
}

func (x *Index) logBytes() int64 { return x.logPages.Load() * pageBytes }

// syncLog syncs the file of the log. SQLite itself would do so only while it holds the lock for writing.
func (c *conn) syncLog() error {
	f, err := c.FileControl("main", sqlite3.FCNTL_JOURNAL_POINTER)
	if err != nil {
		return err
	}
	log, ok := f.(vfs.File)
	if !ok {
		return errors.New("the log is not open")
	}
	return log.Sync(vfs.SYNC_FULL)
}

// checkpoint carries as much of the log into the database as readers allow, syncing first the one, then the other.
func (c *conn) checkpoint() error {
	_, _, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_PASSIVE)
	if errors.Is(err, sqlite3.BUSY) { // another connection recovers or checkpoints; the next Sync comes back to it
		return nil
	}
	return err
}

// checkpointAll carries the whole log into the database and syncs that. Commits wait.
func (c *conn) checkpointAll() error {
	inLog, carried, err := c.WALCheckpoint("main", sqlite3.CHECKPOINT_FULL)
	if err == nil && carried < inLog {
		err = sqlite3.BUSY
	}
	return err
}
