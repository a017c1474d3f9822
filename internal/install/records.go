package install

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// preservedRecord is a line of the log of records, behind its checksum, or, in the older form, a file of its own beside the
// preserved one. With Drop it takes back the record of a directory.
type preservedRecord struct {
	ID     string      `json:"id,omitempty"`
	Drop   bool        `json:"drop,omitempty"`
	Path   text        `json:"path"`
	Reason farm.Reason `json:"reason"`
	Time   time.Time   `json:"time"`
	Lost   *lostRecord `json:"version,omitempty"`
	By     *lostRecord `json:"by,omitempty"`
	Attr   attrRecord  `json:"attr"`
}

func recordOfPreserved(p Preserved) preservedRecord {
	return preservedRecord{
		ID: p.ID, Path: text(p.Path.String()), Reason: p.Reason, Time: p.Time, Attr: recordOf(p.Attr),
		Lost: stampRecord(p.Lost), By: stampRecord(p.By),
	}
}

func (r preservedRecord) preserved() (Preserved, error) {
	p := Preserved{ID: r.ID, Reason: r.Reason, Time: r.Time}
	var errs [4]error
	p.Path, errs[0] = farm.ParsePath(string(r.Path))
	p.Attr, errs[1] = r.Attr.attr()
	p.Lost, errs[2] = r.Lost.stamp()
	p.By, errs[3] = r.By.stamp()
	return p, errors.Join(errs[:]...)
}

const (
	// minRecords is how many lines the log has at least before it is worth to begin it anew.
	minRecords = 1024

	// maxRecordBytes bounds a line: extended attributes, a path and a link's text, each at its longest and in base64.
	maxRecordBytes = 256 << 10

	sumDigits = 8 // of the checksum that begins a line, in base 16
)

func recordsPath(i int) farm.Path {
	return farm.MustPath(vfs.PreservedDir + "/" + [...]string{"records.0", "records.1"}[i])
}

// records is the log of records: two files that take turns. Each line can be read without the others.
type records struct {
	fs    vfs.FS
	logs  [2]vfs.Log
	at    int  // index of the log in use
	lines int  // in it
	torn  bool // its last line may have been cut off
}

// readRecords returns the records by id, in files that are as a crash left them; a line that is damaged says nothing.
func readRecords(fs vfs.FS) (all map[string]Preserved, lines [2]int, err error) {
	all = map[string]Preserved{}
	for i := range 2 {
		f, err := fs.Open(recordsPath(i))
		if farm.KindOf(err) == farm.NotFound {
			continue
		}
		if err != nil {
			return nil, lines, err
		}
		var st vfs.Stat
		if st, err = f.Stat(); err == nil {
			lines[i], err = readRecordsOf(f, st.Size, all)
		}
		_ = f.Close()
		if err != nil {
			return nil, lines, err
		}
	}
	return all, lines, nil
}

// readRecordsOf reads what r holds, which is size bytes, and adds it to all.
func readRecordsOf(r io.Reader, size int64, all map[string]Preserved) (lines int, err error) {
	b := bufio.NewReaderSize(r, int(min(maxRecordBytes, size+1)))
	for {
		row, err := b.ReadSlice('\n')
		if len(row) > 0 {
			lines++
			addRecord(all, row)
		}
		switch {
		case err == io.EOF:
			return lines, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull): // what is too long is damaged, and read in pieces that say nothing
			return lines, err
		}
	}
}

// addRecord takes in one line, if it is whole.
func addRecord(all map[string]Preserved, row []byte) {
	row = bytes.TrimSuffix(row, []byte("\n"))
	if len(row) < sumDigits+1 || row[sumDigits] != ' ' {
		return
	}
	sum, err := strconv.ParseUint(string(row[:sumDigits]), 16, 32)
	body := row[sumDigits+1:]
	if err != nil || uint32(sum) != checksum(body) {
		return
	}
	var r preservedRecord
	if json.Unmarshal(body, &r) != nil || r.ID == "" {
		return
	}
	if r.Drop {
		delete(all, r.ID)
		return
	}
	if p, err := r.preserved(); err == nil {
		all[r.ID] = p
	}
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// openRecords opens the log for more. If both files say something, a rewriting was cut short; then rewrite must follow.
func openRecords(fs vfs.FS, lines [2]int) (*records, error) {
	r := &records{fs: fs, lines: lines[0]}
	var err error
	if r.logs, err = openLogs(fs, recordsPath); err != nil {
		return nil, err
	}
	if lines[0] == 0 && lines[1] > 0 {
		r.at, r.lines = 1, lines[1]
	}
	r.torn = r.lines > 0
	return r, nil
}

func (r *records) close() error { return errors.Join(r.logs[0].Close(), r.logs[1].Close()) }

func (r *records) add(p Preserved) error { return r.write(recordOfPreserved(p)) }

func (r *records) drop(id string) error { return r.write(preservedRecord{ID: id, Drop: true}) }

func (r *records) write(rec preservedRecord) error {
	b, err := recordLine(rec)
	if err != nil {
		return err
	}
	if r.torn { // what was cut off must not swallow this line; an empty one says nothing
		b = append([]byte("\n"), b...)
	}
	_, err = r.logs[r.at].Write(b)
	if r.torn = err != nil; err == nil {
		r.lines++
	}
	return err
}

func recordLine(rec preservedRecord) ([]byte, error) {
	body, err := json.Marshal(rec)
	if err != nil {
		return nil, farm.Errorf("preserve", string(rec.Path), farm.Internal, "%w", err)
	}
	return fmt.Appendf(nil, "%08x %s\n", checksum(body), body), nil
}

// rewrite begins the log anew with live: in the other file, which is made durable before this one is emptied.
func (r *records) rewrite(live []Preserved) error {
	next := 1 - r.at
	if err := r.logs[next].Reset(); err != nil {
		return err
	}
	var b []byte
	for i, p := range live {
		line, err := recordLine(recordOfPreserved(p))
		if err != nil {
			return err
		}
		if b = append(b, line...); len(b) < bufferBytes && i < len(live)-1 {
			continue
		}
		if _, err := r.logs[next].Write(b); err != nil {
			return errors.Join(err, r.logs[next].Reset())
		}
		b = b[:0]
	}
	if err := r.fs.Sync(); err != nil {
		return err
	}
	if err := r.logs[r.at].Reset(); err != nil {
		return err
	}
	r.at, r.lines, r.torn = next, len(live), false
	return nil
}

// MarshalJSON gives the form of a record.
func (p Preserved) MarshalJSON() ([]byte, error) { return json.Marshal(recordOfPreserved(p)) }

// UnmarshalJSON checks what it reads: paths, digests, positions and attributes.
func (p *Preserved) UnmarshalJSON(b []byte) error {
	var r preservedRecord
	err := json.Unmarshal(b, &r)
	if err == nil {
		*p, err = r.preserved()
	}
	return err
}
