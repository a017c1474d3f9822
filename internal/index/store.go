package index

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/ncruces/go-sqlite3"

	"tandem/internal/farm"
)

const (
	databaseName = "index.db"
	walSuffix    = "-wal" // committed pages that are not in the database yet
	shmSuffix    = "-shm" // where in the log they are; rebuilt when missing

	applicationID = 0x54644978 // "TdIx", says that the database is an index
	schemaVersion = 1

	pageBytes   = 4096
	cacheKiB    = 2048 // of pages per connection
	busyTimeout = 10 * time.Second
)

// schema of version 1. In record, size and digest repeat what value holds, for counts and look-ups: size is NULL where
// nothing is on disk, digest is the first eight bytes of a file's digest and otherwise NULL.
const schema = `
CREATE TABLE record (key BLOB PRIMARY KEY, value BLOB NOT NULL, size INTEGER, digest INTEGER) WITHOUT ROWID;
CREATE INDEX record_digest ON record (digest) WHERE digest IS NOT NULL;
CREATE TABLE state (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
`

// Names in the table state.
const (
	stateFolder  = "folder"  // farm.FolderID
	stateMeta    = "meta"    // encodeMeta
	stateEntries = "entries" // number of records with something on disk
	stateBytes   = "bytes"   // sum of their sizes
)

// conn is one connection to the database and the statements prepared on it. It belongs to one goroutine at a time.
type conn struct {
	*sqlite3.Conn
	stmts map[string]*sqlite3.Stmt
	sizes sizes // of the writer: what it has put lately
}

// connect opens a connection. vfs names SQLite's file system.
func connect(dir, vfs string) (*conn, error) {
	full, err := filepath.Abs(filepath.Join(dir, databaseName))
	if err != nil {
		return nil, err
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(full), RawQuery: "vfs=" + vfs}
	if filepath.VolumeName(full) != "" {
		name.Path = "/" + name.Path // file:///C:/...
	}
	db, err := sqlite3.OpenFlags(name.String(), sqlite3.OPEN_READWRITE|sqlite3.OPEN_CREATE|sqlite3.OPEN_URI)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: db, stmts: map[string]*sqlite3.Stmt{}, sizes: sizes{}}
	err = errors.Join(c.BusyTimeout(busyTimeout), c.WALAutoCheckpoint(0), c.Exec(fmt.Sprintf(
		"PRAGMA synchronous = NORMAL; PRAGMA cache_size = -%d; PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = %d",
		cacheKiB, logKeptBytes)))
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return c, nil
}

// create brings a database that has just been made to the current schema and leaves another one as it is.
func (c *conn) create(folder farm.FolderID) error {
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	id, err := c.number("PRAGMA application_id")
	if err != nil {
		return err
	}
	switch {
	case version == 0 && id == 0:
		return c.createNew(folder)
	case id != applicationID:
		return because(farm.Corrupt, "the database is not an index of tandem's")
	case version > schemaVersion:
		return because(farm.Unsupported,
			"it was written by a newer version of tandem (schema %d; this one knows %d)", version, schemaVersion)
	}
	return nil
}

func (c *conn) createNew(folder farm.FolderID) error {
	// Page size, checksums and log are decided before the first page is written.
	if err := c.Exec(fmt.Sprintf("PRAGMA page_size = %d", pageBytes)); err != nil {
		return err
	}
	if err := c.EnableChecksums("main"); err != nil {
		return err
	}
	if err := c.Exec("PRAGMA journal_mode = WAL"); err != nil {
		return err
	}
	return c.transaction(func() error {
		err := c.Exec(schema + fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d", applicationID, schemaVersion))
		if err != nil {
			return err
		}
		return errors.Join(
			c.setState(stateFolder, []byte(folder)),
			c.setState(stateMeta, encodeMeta(nil, farm.Meta{})),
			c.setState(stateEntries, encodeCount(0)),
			c.setState(stateBytes, encodeCount(0)))
	})
}

// stmt returns the statement, prepared at its first use.
func (c *conn) stmt(sql string) (*sqlite3.Stmt, error) {
	if s := c.stmts[sql]; s != nil {
		return s, nil
	}
	s, _, err := c.PrepareFlags(sql, sqlite3.PREPARE_PERSISTENT)
	if err != nil {
		return nil, err
	}
	c.stmts[sql] = s
	return s, nil
}

// run executes a statement without results.
func (c *conn) run(sql string, args ...any) error {
	s, err := c.bind(sql, args...)
	if err != nil {
		return err
	}
	return s.Exec()
}

// query executes a statement and calls row for each result until it wants no more or fails.
func (c *conn) query(row func(*sqlite3.Stmt) (more bool, err error), sql string, args ...any) error {
	s, err := c.bind(sql, args...)
	if err != nil {
		return err
	}
	defer func() { _ = s.Reset() }() // ends the snapshot; its error is that of Step again
	for s.Step() {
		if more, err := row(s); !more || err != nil {
			return err
		}
	}
	return s.Err()
}

// scan visits the records of the span in the order of their keys until visit wants no more or fails.
func (c *conn) scan(in span, visit func(p farm.Path, value []byte) (more bool, err error)) error {
	const sql = "SELECT key, value FROM record WHERE key >= ?1 AND key < ?2 ORDER BY key"
	return c.query(func(s *sqlite3.Stmt) (bool, error) {
		p, err := pathOf(s.ColumnRawBlob(0))
		if err != nil {
			return false, err
		}
		return visit(p, s.ColumnRawBlob(1))
	}, sql, in.low, in.high)
}

func (c *conn) bind(sql string, args ...any) (*sqlite3.Stmt, error) {
	s, err := c.stmt(sql)
	if err != nil {
		return nil, err
	}
	for i, a := range args {
		switch a := a.(type) {
		case []byte:
			err = s.BindBlob(i+1, a)
		case string:
			err = s.BindText(i+1, a)
		case int64:
			err = s.BindInt64(i+1, a)
		case nil:
			err = s.BindNull(i + 1)
		default:
			err = fmt.Errorf("argument of type %T", a)
		}
		if err != nil {
			return nil, err
		}
	}
	return s, nil
}

// transaction runs do as one transaction that writes. The log's pages reach the system before it returns.
func (c *conn) transaction(do func() error) error {
	if err := c.run("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := do()
	if err == nil {
		err = c.run("COMMIT")
	}
	if err != nil {
		clear(c.sizes)
	}
	if err != nil && !c.GetAutocommit() { // SQLite may have rolled back on its own
		err = errors.Join(err, c.run("ROLLBACK"))
	}
	return err
}

// snapshot runs do with all of its queries seeing the same state.
func (c *conn) snapshot(do func() error) error {
	if err := c.run("BEGIN"); err != nil {
		return err
	}
	return errors.Join(do(), c.run("ROLLBACK"))
}

func (c *conn) number(sql string) (n int64, err error) {
	err = c.query(func(s *sqlite3.Stmt) (bool, error) { n = s.ColumnInt64(0); return false, nil }, sql)
	return n, err
}

func (c *conn) setState(name string, value []byte) error {
	return c.run("INSERT INTO state VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
}

func (c *conn) state(name string) (value []byte, err error) {
	found := false
	err = c.query(func(s *sqlite3.Stmt) (bool, error) {
		value, found = s.ColumnBlob(0, nil), true
		return false, nil
	}, "SELECT value FROM state WHERE name = ?1", name)
	if err == nil && !found {
		err = because(farm.Corrupt, "the state %q is missing", name)
	}
	return value, err
}
