package trial

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"

	"tandem/internal/farm"
	"tandem/internal/index"
)

// store keeps what an undecided trial has replaced: for each path its row of the index, in the file "was", and contents
// by their digest.
type store struct {
	dir string

	mu    sync.Mutex
	disks map[farm.Path]farm.Disk // nil: there is no trial
}

// maxRow bounds a row; a longer one is a damaged file.
const maxRow = 1 << 24

// openStore finds out whether a trial was left undecided. A last row that was cut off belongs to a path that was not
// replaced yet.
func openStore(dir string) (*store, error) {
	s := &store{dir: dir}
	b, err := os.ReadFile(s.rows())
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, s.fail(err)
	}
	s.disks = map[farm.Path]farm.Disk{}
	whole := int64(0)
	for r := bytes.NewReader(b); r.Len() > 0; whole = r.Size() - int64(r.Len()) {
		p, d, err := readRow(r)
		if err != nil {
			break
		}
		s.disks[p] = d
	}
	if err := os.Truncate(s.rows(), whole); err != nil {
		return nil, s.fail(err)
	}
	return s, nil
}

func (s *store) rows() string { return filepath.Join(s.dir, "was") }

func (s *store) fail(err error) error {
	return &farm.Error{Op: "keep what a trial replaces", Path: s.dir, Kind: farm.KindOf(err), Err: err,
		Next: "see that the disk of the state directory works and has room"}
}

func readRow(r *bytes.Reader) (farm.Path, farm.Disk, error) {
	var part [2][]byte
	for i := range part {
		n, err := binary.ReadUvarint(r)
		if err != nil || n > maxRow || n > uint64(r.Len()) {
			return farm.Path{}, farm.Disk{}, io.ErrUnexpectedEOF
		}
		part[i] = make([]byte, n)
		_, _ = io.ReadFull(r, part[i]) // it is there
	}
	p, err := farm.ParsePath(string(part[0]))
	if err != nil {
		return farm.Path{}, farm.Disk{}, err
	}
	rec, err := index.DecodeRecord(p, part[1])
	return p, rec.Disk, err
}

// undecided tells whether there is a trial.
func (s *store) undecided() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.disks != nil
}

// begin begins a trial.
func (s *store) begin() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return s.fail(err)
	}
	if err := appendSynced(s.rows(), nil); err != nil {
		return s.fail(err)
	}
	if s.disks == nil {
		s.disks = map[farm.Path]farm.Disk{}
	}
	return nil
}

// keep notes what is on disk at a path, the first time that it is about to be replaced.
func (s *store) keep(p farm.Path, d farm.Disk, open func() (io.ReadCloser, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, kept := s.disks[p]; kept || s.disks == nil {
		return nil
	}
	if d.Type == farm.File {
		if err := s.copy(d.Digest, open); err != nil {
			return s.fail(err)
		}
	}
	var row []byte
	for _, part := range [][]byte{[]byte(p.String()), index.EncodeRecord(farm.Record{Path: p, Disk: d})} {
		row = append(binary.AppendUvarint(row, uint64(len(part))), part...)
	}
	if err := appendSynced(s.rows(), row); err != nil {
		return s.fail(err)
	}
	s.disks[p] = d
	return nil
}

func (s *store) copy(d farm.Digest, open func() (io.ReadCloser, error)) error {
	name := filepath.Join(s.dir, d.String())
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	from, err := open()
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.CreateTemp(s.dir, "new-")
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Sync(), to.Close())
	if err == nil {
		err = os.Rename(to.Name(), name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(to.Name()))
	}
	return nil
}

func appendSynced(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// open opens a content that is kept; NotFound if it is not.
func (s *store) open(d farm.Digest) (io.ReadCloser, int64, error) {
	f, err := os.Open(filepath.Join(s.dir, d.String()))
	if err != nil {
		return nil, 0, farm.Errorf("open", d.Short(), farm.NotFound, "no trial keeps it")
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

// replaced is what was on disk before the trial.
func (s *store) replaced() map[farm.Path]farm.Disk {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[farm.Path]farm.Disk, len(s.disks))
	for p, d := range s.disks {
		all[p] = d
	}
	return all
}

// end forgets the trial: it is decided.
func (s *store) end() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := os.Remove(s.rows()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return s.fail(err)
	}
	s.disks = nil
	if err := os.RemoveAll(s.dir); err != nil {
		return s.fail(err)
	}
	return nil
}
