package index

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/vfs"

	"tandem/internal/farm"
)

var faultEvery = flag.Int("fault-every", 13, "of TestFaultAtEveryCall: let every so manyth call fail only; 1: each")

// fault is what a disk does when it fails.
type fault struct {
	name string
	of   func(call string) error // nil: calls of this kind go well
	torn bool                    // a write that fails has written half
	stay bool                    // all that come after it fail, too
}

// onWrite lets only what needs room fail.
func onWrite(err error) func(string) error {
	return func(call string) error {
		if call == "write" || call == "create" {
			return err
		}
		return nil
	}
}

func diskFaults() []fault {
	eio := func(call string) error {
		return map[string]error{
			"read": sqlite3.IOERR_READ, "write": sqlite3.IOERR_WRITE, "sync": sqlite3.IOERR_FSYNC, "truncate": sqlite3.IOERR_TRUNCATE,
			"size": sqlite3.IOERR_FSTAT, "delete": sqlite3.IOERR_DELETE, "open": sqlite3.CANTOPEN, "create": sqlite3.CANTOPEN, "access": sqlite3.IOERR_ACCESS,
		}[call]
	}
	return []fault{
		{name: "input/output error", of: eio},
		{name: "dead disk", of: eio, stay: true},
		{name: "no space left", of: onWrite(sqlite3.FULL), stay: true},
		{name: "short write", of: onWrite(sqlite3.FULL), torn: true},
		{name: "read-only", stay: true, of: func(call string) error {
			if call == "read" || call == "size" || call == "open" || call == "access" {
				return nil
			}
			return sqlite3.READONLY
		}},
	}
}

// failing is an SQLite file system on the real one whose nth call fails.
type failing struct {
	name string

	mu    sync.Mutex
	fault fault
	n     int // calls until the one that fails; 0: none does
	hit   bool
}

func newFailing(t *testing.T) *failing {
	f := &failing{name: "failing-" + t.Name()}
	vfs.Register(f.name, f)
	t.Cleanup(func() { vfs.Unregister(f.name) })
	return f
}

// arm lets the nth call from now on fail; 0: none.
func (f *failing) arm(how fault, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault, f.n, f.hit = how, n, false
}

// call is made ahead of each call. What it returns, if not nil, is the call's result.
func (f *failing) call(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n == 0 {
		return nil
	}
	if f.n > 1 {
		f.n--
		return nil
	}
	err := f.fault.of(name)
	if err == nil {
		return nil // the next one that can
	}
	if f.hit = true; !f.fault.stay {
		f.n = 0
	}
	return err
}

func (f *failing) Open(string, vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	return nil, 0, sqlite3.CANTOPEN // OpenFilename is called instead
}

func (f *failing) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	call := "open"
	if _, err := os.Lstat(name.String()); err != nil {
		call = "create"
	}
	if err := f.call(call); err != nil {
		return nil, 0, err
	}
	file, out, err := vfs.Find("os").(vfs.VFSFilename).OpenFilename(name, flags)
	if err != nil {
		return nil, 0, err
	}
	return &failingFile{file, f}, out, nil
}

func (f *failing) Delete(name string, syncDir bool) error {
	if err := f.call("delete"); err != nil {
		return err
	}
	return vfs.Find("os").Delete(name, syncDir)
}

func (f *failing) Access(name string, flags vfs.AccessFlag) (bool, error) {
	if err := f.call("access"); err != nil {
		return false, err
	}
	return vfs.Find("os").Access(name, flags)
}

func (f *failing) FullPathname(name string) (string, error) { return vfs.Find("os").FullPathname(name) }

type failingFile struct {
	vfs.File
	fs *failing
}

func (f *failingFile) SharedMemory() vfs.SharedMemory {
	return f.File.(vfs.FileSharedMemory).SharedMemory()
}

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.call("read"); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *failingFile) WriteAt(p []byte, off int64) (int, error) {
	if err := f.fs.call("write"); err != nil {
		n := 0
		if f.fs.fault.torn {
			n, _ = f.File.WriteAt(p[:len(p)/2], off)
		}
		return n, err
	}
	return f.File.WriteAt(p, off)
}

func (f *failingFile) Truncate(size int64) error {
	if err := f.fs.call("truncate"); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *failingFile) Sync(flags vfs.SyncFlag) error {
	if err := f.fs.call("sync"); err != nil {
		return err
	}
	return f.File.Sync(flags)
}

func (f *failingFile) Size() (int64, error) {
	if err := f.fs.call("size"); err != nil {
		return 0, err
	}
	return f.File.Size()
}

// uncleanStory is what is left of an index whose process was killed: part of it in the database, part in the log, and
// then the log had begun anew. It returns the contents of the two files and the number of batches.
func uncleanStory(t testing.TB) (files map[string][]byte, batches int) {
	t.Helper()
	dir := quickDir(t)
	x, err := Open(dir, "shop")
	if err != nil {
		t.Fatal(err)
	}
	x.logCheckpoint = 40 << 10
	const first, all = 20, 30
	for n := 1; n <= all; n++ {
		if err := x.Commit(storyBatch(n)); err != nil {
			t.Fatal(err)
		}
		if n == first {
			x.logCheckpoint = 0
		}
		if err := x.Sync(); err != nil {
			t.Fatal(err)
		}
		if n == first {
			x.logCheckpoint = 1 << 30
		}
	}
	files = map[string][]byte{}
	for _, name := range []string{databaseName, databaseName + walSuffix} {
		if files[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	return files, all
}

// put writes the files to a new directory.
func put(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := quickDir(t)
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// errUntrue says that the index has told something wrong.
var errUntrue = errors.New("silently wrong")

// tellTrue returns how many batches x holds; errUntrue if it does not hold them exactly.
func tellTrue(x *Index) (int, error) {
	m, err := x.Meta()
	if err != nil {
		return 0, err
	}
	n := int(m.Seq)
	var got []farm.Record
	for r, err := range x.All(farm.Path{}) {
		if err != nil {
			return 0, err
		}
		got = append(got, r)
	}
	want := storyState(n)
	if !reflect.DeepEqual(got, want) {
		return 0, fmt.Errorf("%w: not what is there after %d batches: %d records, want %d", errUntrue, n, len(got), len(want))
	}
	for _, r := range want {
		ps, err := x.ByDigest(r.Disk.Digest)
		if err != nil {
			return 0, err
		}
		if !slices.Contains(ps, r.Path) {
			return 0, fmt.Errorf("%w: %s is not found by its digest", errUntrue, r.Path)
		}
	}
	return n, nil
}

// life is an index that is opened, read, written and closed while its disk fails.
type life struct {
	begun, kept int // batches that were begun, and for which Commit returned nil
	synced      int // those that Sync has promised
}

func (l *life) live(dir, fs string) error {
	x, err := open(dir, "shop", fs)
	if err != nil {
		return err
	}
	x.logCheckpoint = 40 << 10
	var errs []error
	note := func(err error) bool { errs = append(errs, err); return err == nil }
	l.read(x, note)
	for n, end := l.kept+1, l.kept+7; n <= end; n++ {
		l.begun = max(l.begun, n)
		if err := x.Commit(storyBatch(n)); err != nil {
			errs = append(errs, err)
			break
		}
		l.kept = n
		if n%2 == 0 && note(x.Sync()) {
			l.synced = n
		}
	}
	l.read(x, note)
	if note(x.Close()) {
		l.synced = l.kept
	}
	return errors.Join(errs...)
}

func (l *life) read(x *Index, note func(error) bool) {
	n, err := tellTrue(x)
	if note(err) && (n < l.kept || n > l.begun) {
		note(fmt.Errorf("%w: %d batches, of %d to %d", errUntrue, n, l.kept, l.begun))
	}
}

// TestFaultAtEveryCall has each call to the disk fail in each of the ways, from the recovery of an index that was left in
// disorder on. Nothing wrong is ever told, and when the disk is well again all that was committed is there, and it goes on.
func TestFaultAtEveryCall(t *testing.T) {
	files, batches := uncleanStory(t)
	f := newFailing(t)
	for _, how := range diskFaults() {
		t.Run(how.name, func(t *testing.T) {
			calls := 0
			for n := 1 + rand.IntN(*faultEvery); ; n += *faultEvery {
				dir := put(t, files)
				f.arm(how, n)
				l := &life{begun: batches, kept: batches, synced: batches}
				err := l.live(dir, f.name)
				hit := f.hit
				f.arm(fault{}, 0)
				if errors.Is(err, errUntrue) {
					t.Fatalf("call %d fails: %v", n, err)
				}
				x, err := Open(dir, "shop")
				if err != nil {
					t.Fatalf("call %d failed, and the disk is well again: %v", n, err)
				}
				got := checkStory(t, x, l.kept)
				if got > l.begun {
					t.Fatalf("call %d failed: %d batches, and only %d were begun", n, got, l.begun)
				}
				commit(t, x, storyBatch(got+1))
				closeTest(t, x)
				if !hit {
					break
				}
				calls++
			}
			t.Logf("%d calls failed", calls)
		})
	}
}
