package main

import (
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

type pebbleMode int

const (
	pebbleBuffered pebbleMode = iota // pebble.NoSync: the log's tail waits in the process
	pebbleOS                         // pebble.Sync over a file system whose log files skip fsync
	pebbleDisk                       // pebble.Sync
)

type pebbleStore struct {
	db    *pebble.DB
	write *pebble.WriteOptions
	lazy  *lazyFS
}

func openPebble(dir string, mode pebbleMode) (store, error) {
	cache := pebble.NewCache(8 << 20)
	defer cache.Unref()
	o := &pebble.Options{
		Cache:              cache,
		MemTableSize:       4 << 20,
		FormatMajorVersion: pebble.FormatWALSyncChunks - 1,
		Logger:             quiet{},
	}
	s := &pebbleStore{write: pebble.Sync}
	switch mode {
	case pebbleBuffered:
		s.write = pebble.NoSync
	case pebbleOS:
		s.lazy = &lazyFS{FS: vfs.Default, dirty: map[*lazyFile]bool{}}
		o.FS = s.lazy
	}
	db, err := pebble.Open(dir, o)
	s.db = db
	return s, err
}

func (s *pebbleStore) commit(rows []row) error {
	b := s.db.NewBatch()
	defer b.Close()
	for _, r := range rows {
		if err := b.Set(r.key, r.value, nil); err != nil {
			return err
		}
	}
	return b.Commit(s.write)
}

func (s *pebbleStore) sync() error {
	if s.lazy != nil {
		return s.lazy.sync()
	}
	return s.db.LogData(nil, pebble.Sync)
}

func (s *pebbleStore) get(key []byte) ([]byte, error) {
	v, c, err := s.db.Get(key)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return append([]byte(nil), v...), nil
}

func (s *pebbleStore) scan(visit func(key, value []byte)) error {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		visit(it.Key(), it.Value())
	}
	return it.Close()
}

func (s *pebbleStore) close() error { return s.db.Close() }

type quiet struct{}

func (quiet) Infof(string, ...any)      {}
func (quiet) Errorf(string, ...any)     {}
func (quiet) Fatalf(f string, _ ...any) { panic(f) }

// lazyFS leaves out the fsync of log files until sync is called or the log is closed.
type lazyFS struct {
	vfs.FS
	mu    sync.Mutex
	dirty map[*lazyFile]bool
}

func (l *lazyFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.Create(name, c)
	return l.wrap(name, f, err)
}

func (l *lazyFS) ReuseForWrite(old, name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := l.FS.ReuseForWrite(old, name, c)
	return l.wrap(name, f, err)
}

func (l *lazyFS) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || !strings.HasSuffix(name, ".log") {
		return f, err
	}
	return &lazyFile{File: f, fs: l}, nil
}

func (l *lazyFS) sync() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range l.dirty {
		if err := f.File.SyncData(); err != nil {
			return err
		}
		delete(l.dirty, f)
	}
	return nil
}

type lazyFile struct {
	vfs.File
	fs *lazyFS
}

func (f *lazyFile) Sync() error { return f.SyncData() }
func (f *lazyFile) SyncData() error {
	f.fs.mu.Lock()
	f.fs.dirty[f] = true
	f.fs.mu.Unlock()
	return nil
}

func (f *lazyFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	delete(f.fs.dirty, f)
	if err := f.File.Sync(); err != nil {
		return err
	}
	return f.File.Close()
}
