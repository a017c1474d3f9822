package index

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"
)

// tape is an SQLite file system that does all on the real one, records what was done, and fails on demand. From the
// recording it makes what a disk can hold after a power cut.
type tape struct {
	name string

	mu   sync.Mutex
	ops  []op
	full int // the full-th write from now on fails; 0: none does

	syncFails atomic.Bool // no sync succeeds
}

type op struct {
	file string // base name; empty for a mark
	kind opKind
	off  int64 // of a write; size for a truncation; what is marked
	data []byte
}

type opKind int

const (
	opWrite opKind = iota
	opTruncate
	opSync
	opDelete
	opSyncDir // all deletions before are durable
	opBegun   // mark: batch off is being committed
	opSynced  // mark: batch off and all before must survive
)

func newTape(t *testing.T) *tape {
	f := &tape{name: "tape-" + t.Name()}
	vfs.Register(f.name, f)
	t.Cleanup(func() { vfs.Unregister(f.name) })
	return f
}

func (f *tape) add(o op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = append(f.ops, o)
}

// write tells whether a write may be done now.
func (f *tape) write() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.full == 0 {
		return nil
	}
	if f.full > 1 {
		f.full--
		return nil
	}
	return sqlite3.FULL
}

func (f *tape) setFull(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.full = n
}

func (f *tape) Open(string, vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, 0, sqlite3.CANTOPEN // OpenFilename is called instead
}

func (f *tape) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, out, err := vfs.Find("os").(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, 0, err
	}
	// Of a log or a journal, the first sync is one of the directory too.
	syncDir := flags&(vfs.OPEN_WAL|vfs.OPEN_MAIN_JOURNAL) != 0
	return &tapeFile{file, f, filepath.Base(name.String()), syncDir}, out, nil
}

func (f *tape) Delete(name string, syncDir bool) error {
	err := vfs.Find("os").Delete(name, syncDir)
	if err == nil {
		f.add(op{file: filepath.Base(name), kind: opDelete})
		if syncDir {
			f.add(op{kind: opSyncDir})
		}
	}
	return err
}

func (f *tape) Access(name string, flags vfs.AccessFlag) (bool, error) {
	return vfs.Find("os").Access(name, flags)
}

func (f *tape) FullPathname(name string) (string, error) { return vfs.Find("os").FullPathname(name) }

type tapeFile struct {
	vfs.File
	tape    *tape
	name    string
	syncDir bool
}

func (f *tapeFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *tapeFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.tape.write(); err != nil {
		return 0, err
	}
	f.tape.add(op{file: f.name, kind: opWrite, off: off, data: bytes.Clone(p)})
	return f.File.WriteAt(p, off)
}

func (f *tapeFile) Truncate(size int64) error {
	f.tape.add(op{file: f.name, kind: opTruncate, off: size})
	return f.File.Truncate(size)
}

func (f *tapeFile) Sync(flags vfs.SyncFlag) error {
	if f.tape.syncFails.Load() {
		return sqlite3.IOERR_FSYNC
	}
	err := f.File.Sync(flags)
	if err == nil {
		f.tape.add(op{file: f.name, kind: opSync})
		if f.syncDir {
			f.syncDir = false
			f.tape.add(op{kind: opSyncDir})
		}
	}
	return err
}

const sectorBytes = 512 // written whole or not at all

// cut writes to dir what the disk may hold when power is cut after the first n operations: of what was not synced, any
// part. It returns the least and the most batches that may be there.
func (f *tape) cut(t *testing.T, n int, dir string, rnd *rand.Rand) (least, most int) {
	t.Helper()
	synced := map[string]int{} // file to the index of its last sync
	dirSynced := 0
	for i, o := range f.ops[:n] {
		switch o.kind {
		case opSync:
			synced[o.file] = i
		case opSyncDir:
			dirSynced = i
		case opBegun:
			most = int(o.off)
		case opSynced:
			least = int(o.off)
		}
	}
	disk := map[string][]byte{}
	for i, o := range f.ops[:n] {
		survives := func() bool { return i < synced[o.file] || rnd.IntN(2) == 0 }
		switch o.kind {
		case opWrite:
			for s := range slices.Chunk(o.data, sectorBytes) {
				if survives() {
					disk[o.file] = overwrite(disk[o.file], s, o.off)
				}
				o.off += int64(len(s))
			}
		case opTruncate:
			if survives() {
				disk[o.file] = slices.Grow(disk[o.file], int(o.off))[:o.off]
			}
		case opDelete:
			if i < dirSynced || survives() {
				delete(disk, o.file)
			}
		}
	}
	for name, b := range disk {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return least, most
}

func overwrite(b, with []byte, off int64) []byte {
	if grow := int(off) + len(with) - len(b); grow > 0 {
		b = append(b, make([]byte, grow)...)
	}
	copy(b[off:], with)
	return b
}
