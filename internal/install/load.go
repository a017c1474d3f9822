package install

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// load reads the store. Records without data are void; data without a record, which only a power cut leaves, gets one.
func (s *preserved) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, err := s.fs.ReadDir(farm.MustPath(vfs.PreservedDir))
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, e := range list {
		names[e.Name] = true
	}
	var errs []error
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name, metaSuffix); ok {
			errs = append(errs, s.loadOne(id, names[id+dataSuffix]))
		} else if id, ok := strings.CutSuffix(e.Name, dataSuffix); ok && !names[id+metaSuffix] {
			errs = append(errs, s.adopt(id))
		}
	}
	return errors.Join(errs...)
}

func (s *preserved) loadOne(id string, hasData bool) error {
	p, err := s.readMeta(id)
	switch {
	case farm.KindOf(err) == farm.Corrupt && hasData:
		if err := s.fs.Remove(metaPath(id)); err != nil {
			return err
		}
		return s.adopt(id)
	case farm.KindOf(err) == farm.Corrupt, err == nil && p.Attr.Type == farm.File && !hasData:
		return s.fs.Remove(metaPath(id))
	case err != nil:
		return err
	}
	s.insert(p)
	return nil
}

func (s *preserved) readMeta(id string) (Preserved, error) {
	f, err := s.fs.Open(metaPath(id))
	if err != nil {
		return Preserved{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return Preserved{}, err
	}
	var r preservedRecord
	p := Preserved{ID: id}
	l := &lost{}
	err = json.Unmarshal(b, &r)
	if err == nil {
		p.Path, err = farm.ParsePath(string(r.Path))
	}
	if err == nil {
		p.Attr, err = r.Attr.attr()
	}
	if err == nil && r.Lost != nil {
		l, err = r.Lost.lost()
	}
	if err != nil {
		return p, farm.Errorf("read preserved", id, farm.Corrupt, "%w", err)
	}
	p.Reason, p.Time, p.Dot, p.Written = r.Reason, r.Time, l.Dot, l.Time
	return p, nil
}

// adopt writes a record for data of which nothing is known.
func (s *preserved) adopt(id string) error {
	st, err := s.fs.Lstat(dataPath(id))
	if err != nil {
		return err
	}
	a := st.Attr()
	if a.Digest, _, err = digest(s.fs, dataPath(id)); err != nil {
		return err
	}
	old := dataPath(id)
	p := Preserved{Path: unknownPath(id), Attr: a, Reason: Crash, Time: s.cfg.Now().UTC()}
	if p.ID, err = s.writeMeta(p); err != nil {
		return err
	}
	if err := s.fs.RenameNoReplace(old, dataPath(p.ID)); err != nil {
		return err
	}
	s.insert(p)
	return nil
}

// unknownPath is the path of what came from nobody knows where.
func unknownPath(name string) farm.Path { return farm.MustPath("unknown/" + name) }
