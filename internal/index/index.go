package index

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"tandem/internal/farm"
)

// maxIdleReaders is how many connections are kept for the next readers.
const maxIdleReaders = 4

// Index is the catalogue of one folder.
type Index struct {
	dir  string
	vfs  string
	lock *os.File

	logCheckpoint, logLimit int64 // logCheckpointBytes and logLimitBytes; tests make them smaller

	write    sync.Mutex // held while writer is used
	writer   *conn
	counts   atomic.Pointer[counts]
	logPages atomic.Int64 // pages in the log after the latest commit

	sync       sync.Mutex // held while what follows is used
	syncer     *conn
	syncFailed bool // the latest Sync has failed

	mu     sync.Mutex // guards what follows
	idle   []*conn    // readers that nobody uses
	closed bool
	active sync.WaitGroup // operations under way; grows only while not closed
}

type counts struct{ entries, bytes int64 }

// Batch is a set of changes that are made together. Drop is done before Put.
type Batch struct {
	Put  []farm.Record // records to be stored, replacing those of the same path
	Drop []farm.Path   // paths whose records are removed, if there are any
	Meta *farm.Meta    // nil: as it was
}

// Open opens the index in dir, which it makes if it is missing, and keeps others out until Close.
//
// Errors are *farm.Error. Conflict: another Index has dir open. Corrupt: the store can't be read; see Reset. Invalid: it
// is of another folder. Unsupported: a newer version of this package wrote it.
func Open(dir string, folder farm.FolderID) (*Index, error) {
	vfs.Register(filesName, files{}) // again and again the same
	return open(dir, folder, filesName)
}

// open is Open with SQLite's files under the name vfs.
func open(dir string, folder farm.FolderID, vfs string) (_ *Index, err error) {
	const op = "open index"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fail(op, dir, err)
	}
	x := &Index{dir: dir, vfs: vfs, logCheckpoint: logCheckpointBytes, logLimit: logLimitBytes}
	if x.lock, err = lock(dir); err != nil {
		return nil, fail(op, dir, err)
	}
	if err := x.start(folder); err != nil {
		return nil, fail(op, dir, errors.Join(err, x.release()))
	}
	return x, nil
}

// start connects, makes what is missing and reads what is kept in memory.
func (x *Index) start(folder farm.FolderID) (err error) {
	if x.writer, err = connect(x.dir, x.vfs); err != nil {
		return err
	}
	if err := x.writer.create(folder); err != nil {
		return err
	}
	if err := x.writer.Exec(recipeSchema); err != nil {
		return err
	}
	x.writer.WALHook(func(_ *sqlite3.Conn, _ string, pages int) error {
		x.logPages.Store(int64(pages))
		return nil
	})
	of, err := x.writer.state(stateFolder)
	if err != nil {
		return err
	}
	if string(of) != string(folder) {
		return because(farm.Invalid, "it is the index of folder %s, not of %s", of, folder)
	}
	var c counts
	for name, n := range map[string]*int64{stateEntries: &c.entries, stateBytes: &c.bytes} {
		b, err := x.writer.state(name)
		if err != nil {
			return err
		}
		if *n, err = decodeCount(b); err != nil {
			return because(farm.Corrupt, "%s: %w", name, err)
		}
	}
	x.counts.Store(&c)
	if x.syncer, err = connect(x.dir, x.vfs); err != nil {
		return err
	}
	// The syncer has the log open once it has read through it.
	_, err = x.syncer.state(stateFolder)
	return err
}

// Close waits for the operations under way, syncs and closes. Iterators count: who breaks off the iteration or reaches
// its end lets Close go on.
func (x *Index) Close() error {
	x.mu.Lock()
	if x.closed {
		x.mu.Unlock()
		return nil
	}
	x.closed = true
	x.mu.Unlock()
	x.active.Wait()
	// The last connection to be closed carries the log into the database, but it does not say whether that went well.
	return fail("close index", x.dir, errors.Join(x.syncAll(), x.release()))
}

// release closes all there is.
func (x *Index) release() error {
	var errs []error
	for _, c := range append(x.idle, x.syncer, x.writer) {
		if c != nil {
			errs = append(errs, c.close())
		}
	}
	return errors.Join(append(errs, x.lock.Close())...)
}

func (c *conn) close() error {
	var errs []error
	for _, s := range c.stmts {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, c.Conn.Close())...)
}

// begin lets Close wait for the operation that begins. Its end calls x.active.Done.
func (x *Index) begin() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return because(farm.Unavailable, "it is closed")
	}
	x.active.Add(1)
	return nil
}

// read calls do with a connection of its own.
func (x *Index) read(do func(*conn) error) error {
	if err := x.begin(); err != nil {
		return err
	}
	defer x.active.Done()
	c, err := x.reader()
	if err != nil {
		return err
	}
	defer x.giveBack(c)
	return do(c)
}

// reader is a connection for reading: an idle one or, since an iteration's body may read too, always another one.
func (x *Index) reader() (*conn, error) {
	x.mu.Lock()
	if n := len(x.idle); n > 0 {
		c := x.idle[n-1]
		x.idle = x.idle[:n-1]
		x.mu.Unlock()
		return c, nil
	}
	x.mu.Unlock()
	return connect(x.dir, x.vfs)
}

func (x *Index) giveBack(c *conn) {
	x.mu.Lock()
	if len(x.idle) < maxIdleReaders {
		x.idle = append(x.idle, c)
		c = nil
	}
	x.mu.Unlock()
	if c != nil {
		_ = c.close() // it has only read
	}
}

// Commit makes the changes of the batch, all or none. When it returns nil they survive the end of the process; a power
// cut may take back the latest commits until Sync.
//
// Errors are *farm.Error. Full: no space; the batch may be committed again later. Corrupt: see Reset. Invalid: a record
// that contradicts itself.
func (x *Index) Commit(b Batch) error {
	return fail("commit to index", x.dir, x.commit(b))
}

func (x *Index) commit(b Batch) error {
	if err := x.begin(); err != nil {
		return err
	}
	defer x.active.Done()
	x.write.Lock()
	defer x.write.Unlock()
	if err := x.limitLog(); err != nil {
		return err
	}
	n := *x.counts.Load()
	if err := x.writer.transaction(func() error { return x.writer.apply(b, &n) }); err != nil {
		return err
	}
	x.counts.Store(&n)
	return nil
}

// apply makes the changes of b and keeps n.
func (c *conn) apply(b Batch, n *counts) error {
	before := *n
	for _, p := range b.Drop {
		if err := c.drop(keyOf(p), n); err != nil {
			return err
		}
	}
	var buf []byte
	for _, r := range b.Put {
		if err := check(r); err != nil {
			return err
		}
		buf = encodeRecord(buf[:0], r)
		if err := c.put(keyOf(r.Path), buf, r.Disk, n); err != nil {
			return err
		}
	}
	if b.Meta != nil {
		if err := c.setState(stateMeta, encodeMeta(nil, *b.Meta)); err != nil {
			return err
		}
	}
	if *n == before {
		return nil
	}
	return errors.Join(
		c.setState(stateEntries, encodeCount(n.entries)),
		c.setState(stateBytes, encodeCount(n.bytes)))
}

func check(r farm.Record) error {
	for _, e := range r.Known {
		if e.Path != r.Path {
			return because(farm.Invalid, "the record of %s knows a version of %s", r.Path, e.Path)
		}
	}
	return nil
}

func digestKey(d farm.Digest) int64 { return int64(binary.BigEndian.Uint64(d[:8])) }

func encodeCount(n int64) []byte { return binary.AppendVarint(nil, n) }

func decodeCount(b []byte) (int64, error) {
	n, size := binary.Varint(b)
	if size != len(b) {
		return 0, fmt.Errorf("%x is not a count", b)
	}
	return n, nil
}
