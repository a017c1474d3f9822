package index

import "github.com/ncruces/go-sqlite3/vfs"

// walFrameHeader is the size of what stands before each page in SQLite's log (sqlite.org/fileformat2.html, section 4.1).
const walFrameHeader = 24

// walFile is the log of committed pages. SQLite writes a page in two calls, first a header, then what it is of; this makes
// one of them. Nobody misses a header that is held: readers look only at what was committed behind it, and a crash before
// the page leaves a log without either.
type walFile struct {
	file
	frame []byte // a header that waits for its page; else empty
	at    int64  // where it belongs
}

func (f *walFile) WriteAt(p []byte, off int64) (int, error) {
	if len(f.frame) > 0 && off == f.at+walFrameHeader {
		frame := append(f.frame, p...)
		f.frame = frame[:0]
		n, err := f.file.WriteAt(frame, f.at)
		return max(0, n-walFrameHeader), err
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	if len(p) == walFrameHeader {
		f.frame, f.at = append(f.frame[:0], p...), off
		return len(p), nil
	}
	return f.file.WriteAt(p, off)
}

// flush writes a header that no page has followed.
func (f *walFile) flush() error {
	if len(f.frame) == 0 {
		return nil
	}
	frame := f.frame
	f.frame = frame[:0]
	_, err := f.file.WriteAt(frame, f.at)
	return err
}

func (f *walFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.file.ReadAt(p, off)
}

func (f *walFile) Size() (int64, error) {
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.file.Size()
}

func (f *walFile) Truncate(size int64) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *walFile) Sync(flags vfs.SyncFlag) error {
	if err := f.flush(); err != nil {
		return err
	}
	return f.file.Sync(flags)
}

func (f *walFile) Close() error {
	err := f.flush()
	if e := f.file.Close(); err == nil {
		err = e
	}
	return err
}
