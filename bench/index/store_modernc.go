package main

import (
	"database/sql"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"
)

type moderncStore struct {
	db       *sql.DB
	put, one *sql.Stmt
	wal      string
}

func openModernc(dir, synchronous string) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "index.sqlite")
	db, err := sql.Open("sqlite", "file:"+name+"?_pragma=journal_mode(WAL)&_pragma=synchronous("+synchronous+")&_pragma=cache_size(-8000)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE IF NOT EXISTS r (k BLOB PRIMARY KEY, v BLOB) WITHOUT ROWID"); err != nil {
		return nil, err
	}
	s := &moderncStore{db: db, wal: name + "-wal"}
	if s.put, err = db.Prepare("INSERT OR REPLACE INTO r VALUES (?, ?)"); err != nil {
		return nil, err
	}
	s.one, err = db.Prepare("SELECT v FROM r WHERE k = ?")
	return s, err
}

func (s *moderncStore) commit(rows []row) error {
	if len(rows) == 1 {
		_, err := s.put.Exec(rows[0].key, rows[0].value)
		return err
	}
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	put := tx.Stmt(s.put)
	for _, r := range rows {
		if _, err := put.Exec(r.key, r.value); err != nil {
			tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (s *moderncStore) sync() error { return syncFile(s.wal) }

func (s *moderncStore) get(key []byte) (value []byte, err error) {
	err = s.one.QueryRow(key).Scan(&value)
	return value, err
}

func (s *moderncStore) scan(visit func(key, value []byte)) error {
	rows, err := s.db.Query("SELECT k, v FROM r ORDER BY k")
	if err != nil {
		return err
	}
	defer rows.Close()
	var k, v sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&k, &v); err != nil {
			return err
		}
		visit(k, v)
	}
	return rows.Err()
}

func (s *moderncStore) close() error { return s.db.Close() }

// syncFile makes a file's bytes durable through a descriptor of our own.
func syncFile(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
