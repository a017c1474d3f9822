package install

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// metaSuffix ends the name of a record of the older form.
const metaSuffix = ".json"

// load reads the store. Records without data are void; data without a record, which only damage or a power cut leaves,
// gets one. Stores of the older form become ones of this form.
func (s *preserved) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.fs.ReadDir(farm.MustPath(vfs.PreservedDir))
	if err != nil {
		return err
	}
	known, lines, err := readRecords(s.fs)
	if err != nil {
		return err
	}
	if s.records, err = openRecords(s.fs, lines); err != nil {
		return err
	}
	data := map[string]bool{}
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name, dataSuffix); ok {
			data[id] = true
		}
	}
	var errs []error
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name, metaSuffix); ok {
			errs = append(errs, s.convert(id, data, known))
		}
	}
	for _, id := range sortedKeys(known) {
		if p := known[id]; p.Attr.Type == farm.Dir || data[id] {
			s.load1(p)
		}
	}
	for _, id := range sortedKeys(data) {
		if _, ok := known[id]; !ok {
			errs = append(errs, s.adopt(id))
		}
	}
	slices.SortFunc(s.order, byTime)
	if lines[0] > 0 && lines[1] > 0 {
		errs = append(errs, s.merge())
	}
	return errors.Join(errs...)
}

// load1 is insert without the order, which is set right at the end.
func (s *preserved) load1(p Preserved) {
	order := s.order
	s.order = nil
	s.insert(p)
	s.order = append(order, s.order...)
}

// merge makes one log of two.
func (s *preserved) merge() error {
	// Both are complete for what they say, so what is there is in the first from now on.
	for _, h := range s.order {
		if err := s.records.add(h.Preserved); err != nil {
			return err
		}
	}
	if err := s.fs.Sync(); err != nil {
		return err
	}
	return s.records.logs[1-s.records.at].Reset()
}

// convert takes a record of the older form into the log, and removes it.
func (s *preserved) convert(id string, data map[string]bool, known map[string]Preserved) error {
	p, err := s.readMeta(id)
	switch {
	case err != nil && farm.KindOf(err) != farm.Corrupt:
		return err
	case err != nil, p.Attr.Type != farm.Symlink && !data[id]: // its data, if any, is adopted
		return s.fs.Remove(metaPath(id))
	}
	if err := s.records.add(p); err != nil {
		return err
	}
	if p.Attr.Type == farm.Symlink && !data[id] {
		if err := s.fs.Symlink(p.Attr.Target, dataPath(id)); err != nil {
			return err
		}
		data[id] = true
	}
	known[id] = p
	return s.fs.Remove(metaPath(id))
}

func metaPath(id string) farm.Path { return farm.MustPath(vfs.PreservedDir + "/" + id + metaSuffix) }

func (s *preserved) readMeta(id string) (Preserved, error) {
	f, err := s.fs.Open(metaPath(id))
	if err != nil {
		return Preserved{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 2*maxRecordBytes))
	if err != nil {
		return Preserved{}, err
	}
	var r preservedRecord
	if err = json.Unmarshal(b, &r); err == nil {
		r.ID = id
		var p Preserved
		if p, err = r.preserved(); err == nil {
			return p, nil
		}
	}
	return Preserved{}, farm.Errorf("read preserved", id, farm.Corrupt, "%w", err)
}

// adopt writes a record for data of which nothing is known.
func (s *preserved) adopt(id string) error {
	st, err := s.fs.Lstat(dataPath(id))
	if err != nil {
		return err
	}
	p := Preserved{Path: unknownPath(id), Attr: st.Attr(), Reason: farm.ReasonCrash, Time: s.cfg.Now().UTC(), ID: id}
	if p.Attr.Type == farm.Symlink {
		p.Attr.Target, err = s.fs.Readlink(dataPath(id))
	} else {
		p.Attr.Digest, _, err = digest(s.fs, dataPath(id))
	}
	if err != nil {
		return err
	}
	if err := s.records.add(p); err != nil {
		return err
	}
	s.load1(p)
	return nil
}

// unknownPath is the path of what came from nobody knows where.
func unknownPath(name string) farm.Path { return farm.MustPath("unknown/" + name) }
