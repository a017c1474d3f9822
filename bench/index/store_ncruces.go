package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/ncruces/go-sqlite3"
)

// ncrucesStore uses the package's own interface: less overhead than database/sql.
type ncrucesStore struct {
	db       *sqlite3.Conn
	put, one *sqlite3.Stmt
	wal      string
}

func openNcruces(dir, synchronous string) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "index.sqlite")
	db, err := sqlite3.Open("file:" + name)
	if err != nil {
		return nil, err
	}
	err = db.Exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=" + synchronous + "; PRAGMA cache_size=-8000;" +
		"CREATE TABLE IF NOT EXISTS r (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID")
	if err != nil {
		return nil, err
	}
	s := &ncrucesStore{db: db, wal: name + "-wal"}
	if s.put, _, err = db.Prepare("INSERT OR REPLACE INTO r VALUES (?, ?)"); err != nil {
		return nil, err
	}
	s.one, _, err = db.Prepare("SELECT v FROM r WHERE k = ?")
	return s, err
}

func (s *ncrucesStore) commit(rows []row) (err error) {
	if len(rows) > 1 {
		tx, err2 := s.db.BeginImmediate()
		if err2 != nil {
			return err2
		}
		defer tx.End(&err)
	}
	for _, r := range rows {
		if err := errors.Join(s.put.BindBlob(1, r.key), s.put.BindBlob(2, r.value), s.put.Exec()); err != nil {
			return err
		}
	}
	return nil
}

func (s *ncrucesStore) sync() error { return syncFile(s.wal) }

func (s *ncrucesStore) get(key []byte) ([]byte, error) {
	defer s.one.Reset()
	if err := s.one.BindBlob(1, key); err != nil {
		return nil, err
	}
	if !s.one.Step() {
		return nil, errors.Join(s.one.Err(), errors.New("no such key"))
	}
	return s.one.ColumnBlob(0, nil), nil
}

func (s *ncrucesStore) scan(visit func(key, value []byte)) error {
	all, _, err := s.db.Prepare("SELECT k, v FROM r ORDER BY k")
	if err != nil {
		return err
	}
	defer all.Close()
	for all.Step() {
		visit(all.ColumnRawBlob(0), all.ColumnRawBlob(1))
	}
	return all.Err()
}

func (s *ncrucesStore) close() error {
	return errors.Join(s.put.Close(), s.one.Close(), s.db.Close())
}
