package main

import (
	"errors"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

type boltStore struct{ db *bbolt.DB }

func openBolt(dir string, noSync bool) (store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "index.bolt"), 0o600, &bbolt.Options{
		NoSync: noSync, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true,
	})
	if err != nil {
		return nil, err
	}
	return &boltStore{db}, db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte("r"))
		return err
	})
}

func (s *boltStore) commit(rows []row) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("r"))
		for _, r := range rows {
			if err := b.Put(r.key, r.value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *boltStore) sync() error { return s.db.Sync() }

func (s *boltStore) get(key []byte) (value []byte, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket([]byte("r")).Get(key)
		if v == nil {
			return errors.New("no such key")
		}
		value = append([]byte(nil), v...)
		return nil
	})
	return value, err
}

func (s *boltStore) scan(visit func(key, value []byte)) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("r")).ForEach(func(k, v []byte) error { visit(k, v); return nil })
	})
}

func (s *boltStore) close() error { return s.db.Close() }
