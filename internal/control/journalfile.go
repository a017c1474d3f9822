package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	maxLineBytes     = 64 << 10 // of an event; a longer line is not ours
	maxTailReadBytes = 2 << 20  // read of each file at start, which is enough for KeepEvents of common length
)

// journalFile is the journal on disk: JSON lines in two files, the newer one growing until it takes the older one's
// place. A line that is no event (the process was killed in the middle of it) is passed over.
type journalFile struct {
	path, older string
	maxBytes    int64

	keep atomic.Int64 // events that are kept at least, in both files; 0: as many as fit

	mu     sync.Mutex // held while names change and while they are opened
	f      *os.File
	size   int64
	events int64 // in the newer file
	torn   bool  // the file does not end with a newline, perhaps
}

func newJournalFile(path string, maxBytes int64) *journalFile {
	ext := filepath.Ext(path)
	return &journalFile{path: path, older: strings.TrimSuffix(path, ext) + ".1" + ext, maxBytes: maxBytes}
}

// tail returns up to n of the latest events.
func (f *journalFile) tail(n int) ([]Recorded, error) {
	var events []Recorded
	for _, name := range []string{f.path, f.older} {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		st, err := file.Stat()
		if err == nil && st.Size() > maxTailReadBytes {
			_, err = file.Seek(-maxTailReadBytes, io.SeekEnd)
		}
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		var found []Recorded
		err = errors.Join(scanEvents(file, func(e Recorded) { found = append(found, e) }), file.Close())
		if err != nil {
			return nil, err
		}
		if events = append(found, events...); len(events) >= n {
			break
		}
	}
	return slices.Clone(events[max(0, len(events)-n):]), nil
}

// matching returns the events before the sequence number that q asks for, as many as its limit allows.
func (f *journalFile) matching(q Query, before uint64) ([]Recorded, error) {
	files, err := f.openBoth()
	if err != nil {
		return nil, err
	}
	var found []Recorded
	for _, file := range files {
		err = errors.Join(err, scanEvents(file, func(e Recorded) {
			if e.Seq < before && q.matches(&e) && (q.After == 0 || len(found) <= q.limit()) {
				found = append(found, e)
			}
			if len(found) > 2*MaxPageEvents {
				found = slices.Clone(found[len(found)-q.limit():])
			}
		}), file.Close())
	}
	return found, err
}

// openBoth opens the files that exist, older first, so that no rotation can come between.
func (f *journalFile) openBoth() ([]*os.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var files []*os.File
	for _, name := range []string{f.older, f.path} {
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			for _, o := range files {
				err = errors.Join(err, o.Close())
			}
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// scanEvents calls each with every whole line that is an event.
func scanEvents(r io.Reader, each func(Recorded)) error {
	br := bufio.NewReaderSize(r, maxLineBytes)
	for {
		line, err := br.ReadSlice('\n')
		var e Recorded
		if err == nil && json.Unmarshal(line, &e) == nil && e.Seq > 0 {
			each(e)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// open readies the newer file for writing.
func (f *journalFile) open() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.openLocked()
}

func (f *journalFile) openLocked() error {
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	old, err := os.ReadFile(f.path) // of at most maxBytes
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.f, f.size, f.events = file, int64(len(old)), int64(bytes.Count(old, []byte{'\n'}))
	f.torn = len(old) > 0 && old[len(old)-1] != '\n'
	return nil
}

// write appends the events, in one call of the system.
func (f *journalFile) write(events []Recorded) error {
	var b bytes.Buffer
	if f.torn {
		b.WriteByte('\n')
	}
	enc := json.NewEncoder(&b)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return err
		}
	}
	keep := f.keep.Load()
	if f.f == nil || f.size+int64(b.Len()) > f.maxBytes || keep > 0 && f.events >= keep {
		if err := f.rotate(); err != nil {
			return err
		}
	}
	n, err := f.f.Write(b.Bytes())
	f.size += int64(n)
	f.events += int64(len(events))
	f.torn = err != nil
	return err
}

func (f *journalFile) rotate() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.f != nil {
		err := f.f.Close()
		f.f = nil
		if err = errors.Join(err, os.Rename(f.path, f.older)); err != nil {
			return err
		}
	}
	return f.openLocked()
}

func (f *journalFile) close() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.f = nil
	return err
}
