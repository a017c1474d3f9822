package index

import (
	"bytes"
	"testing"

	"github.com/ncruces/go-sqlite3/vfs"
)

// calls is a file in memory that counts how often it is written to.
type calls struct {
	vfs.File // what a test does not use is nil
	data     []byte
	writes   int
}

func (c *calls) WriteAt(p []byte, off int64) (int, error) {
	c.writes++
	if end := int(off) + len(p); end > len(c.data) {
		c.data = append(c.data, make([]byte, end-len(c.data))...)
	}
	return copy(c.data[off:], p), nil
}

func (c *calls) ReadAt(p []byte, off int64) (int, error) { return copy(p, c.data[off:]), nil }
func (c *calls) Size() (int64, error)                    { return int64(len(c.data)), nil }
func (c *calls) Truncate(size int64) error               { c.data = c.data[:size]; return nil }
func (c *calls) Sync(vfs.SyncFlag) error                 { return nil }
func (c *calls) Close() error                            { return nil }

// TestWALFile: a header and its page are one write; whatever else follows a header finds it in the file.
func TestWALFile(t *testing.T) {
	header, page := bytes.Repeat([]byte("h"), walFrameHeader), bytes.Repeat([]byte("p"), pageBytes)
	write := func(f *walFile, p []byte, off int64) {
		if n, err := f.WriteAt(p, off); n != len(p) || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, len(p), err)
		}
	}
	under := &calls{}
	f := &walFile{file: file{under}}
	write(f, make([]byte, 32), 0)
	for i := range int64(3) {
		at := 32 + i*(walFrameHeader+pageBytes)
		write(f, header, at)
		write(f, page, at+walFrameHeader)
	}
	want := append(make([]byte, 32), bytes.Repeat(append(header, page...), 3)...)
	if under.writes != 4 || !bytes.Equal(under.data, want) {
		t.Errorf("%d writes, as wanted: %v", under.writes, bytes.Equal(under.data, want))
	}
	for name, do := range map[string]func(*walFile) error{
		"another header":   func(f *walFile) error { _, err := f.WriteAt(header, 500); return err },
		"a page elsewhere": func(f *walFile) error { _, err := f.WriteAt(page, 500); return err },
		"a read":           func(f *walFile) error { _, err := f.ReadAt(make([]byte, 1), 0); return err },
		"size":             func(f *walFile) error { _, err := f.Size(); return err },
		"truncation":       func(f *walFile) error { return f.Truncate(walFrameHeader) },
		"sync":             func(f *walFile) error { return f.Sync(0) },
		"close":            (*walFile).Close,
	} {
		under := &calls{}
		f := &walFile{file: file{under}}
		write(f, header, 0)
		if err := do(f); err != nil || !bytes.HasPrefix(under.data, header) {
			t.Errorf("%s: the header is not in the file; %v", name, err)
		}
	}
}
