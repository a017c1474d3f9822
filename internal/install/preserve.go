package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Reason says why a file was preserved.
type Reason string

const (
	Conflict  Reason = "conflict"   // it lost a conflict
	LateWrite Reason = "late-write" // it was written to after it had been replaced or removed
	Displaced Reason = "displaced"  // an application wrote it while its path was being changed, and it could not be put back
	Crash     Reason = "crash"      // left by a crash, and nothing tells what it was
)

// Preserved is a file or symlink that was kept outside the tree.
type Preserved struct {
	ID      string // sorts by time
	Path    farm.Path
	Attr    farm.Attr
	Reason  Reason
	Dot     farm.Position // version that it was; zero if nobody has versioned it
	Written farm.HLC      // when that version was written; 0 if unknown
	Time    time.Time     // when it was preserved
}

// key is what makes two preserved files the same.
type key struct {
	path   farm.Path
	dot    farm.Position
	digest farm.Digest
	target string
}

func (p Preserved) key() key { return key{p.Path, p.Dot, p.Attr.Digest, p.Attr.Target} }

// maxPreserved bounds the number of preserved files of a folder, and with it the memory for their list.
const maxPreserved = 10_000

const (
	dataSuffix = ".data"
	metaSuffix = ".json"
)

// preserved is the store of preserved files: ID.json says what it was, ID.data is the inode itself.
type preserved struct {
	fs  vfs.FS
	cfg Config

	mu    sync.Mutex
	byID  map[string]Preserved
	order []string // sorted
	keys  map[key]string
	data  map[farm.Digest]string
	bytes int64
	seq   int
}

func newPreserved(fs vfs.FS, cfg Config) *preserved {
	return &preserved{fs: fs, cfg: cfg, byID: map[string]Preserved{}, keys: map[key]string{}, data: map[farm.Digest]string{}}
}

func dataPath(id string) farm.Path { return farm.MustPath(vfs.PreservedDir + "/" + id + dataSuffix) }
func metaPath(id string) farm.Path { return farm.MustPath(vfs.PreservedDir + "/" + id + metaSuffix) }

// List returns what is preserved, the oldest first.
func (k *Keeper) List() ([]Preserved, error) {
	s := k.kept
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Preserved, 0, len(s.order))
	for _, id := range s.order {
		list = append(list, s.byID[id])
	}
	return list, nil
}

// OpenPreserved opens the content of a preserved file; that of a symlink is its text. The caller closes it.
func (k *Keeper) OpenPreserved(id string) (Preserved, io.ReadCloser, error) {
	s := k.kept
	s.mu.Lock()
	p, ok := s.byID[id]
	s.mu.Unlock()
	if !ok {
		return p, nil, farm.Errorf("open preserved", id, farm.NotFound, "no preserved file has this id")
	}
	if p.Attr.Type == farm.Symlink {
		return p, io.NopCloser(strings.NewReader(p.Attr.Target)), nil
	}
	f, err := k.fs.Open(dataPath(id))
	return p, f, err
}

// content returns the place of preserved content.
func (s *preserved) content(d farm.Digest) (farm.Path, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, ok := s.data[d]
	if !ok {
		return farm.Path{}, false
	}
	return dataPath(id), true
}

// keep moves name, a file or symlink in staging, to the preserved files as p, and tells so. Is the same preserved
// already, name is removed.
func (k *Keeper) keep(name farm.Path, p Preserved) error {
	added, dropped, err := k.kept.add(name, p)
	if err != nil || added.ID == "" {
		return err
	}
	k.event(farm.EventFilePreserved, added.Path, added.why(), map[string]string{
		"id": added.ID, "reason": string(added.Reason), "version": dotText(added.Dot), "digest": added.Attr.Digest.String(),
	})
	for _, d := range dropped {
		k.event(farm.EventFileDropped, d.Path, "a preserved file was removed to make room for newer ones", map[string]string{"id": d.ID})
	}
	return nil
}

func (p Preserved) why() string {
	switch p.Reason {
	case Conflict:
		return "the version that lost a conflict was preserved"
	case LateWrite:
		return "what was written to a file after it had been replaced was preserved"
	case Displaced:
		return "what an application wrote while the path was being changed was preserved"
	}
	return "what a crash left was preserved"
}

// add preserves name and returns what was added, without an ID if nothing was, and what had to go for it. The record
// is written first: without data it is void, while data without a record would not say what it was.
func (s *preserved) add(name farm.Path, p Preserved) (added Preserved, dropped []Preserved, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.keys[p.key()]; ok {
		return Preserved{}, nil, s.fs.Remove(name)
	}
	p.Time = s.cfg.Now().UTC()
	if p.ID, err = s.writeMeta(p); err != nil {
		return Preserved{}, nil, err
	}
	if p.Attr.Type == farm.File {
		err = s.fs.RenameNoReplace(name, dataPath(p.ID))
	} else {
		err = s.fs.Remove(name)
	}
	if err != nil {
		return Preserved{}, nil, errors.Join(err, s.fs.Remove(metaPath(p.ID)))
	}
	s.insert(p)
	return p, s.makeRoom(), nil
}

// writeMeta writes the record under an id that nothing has yet.
func (s *preserved) writeMeta(p Preserved) (id string, err error) {
	r := preservedRecord{Path: text(p.Path.String()), Reason: p.Reason, Time: p.Time, Attr: recordOf(p.Attr)}
	if !p.Dot.IsZero() {
		r.Lost = (&lost{p.Dot, p.Written}).record()
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", farm.Errorf("preserve", p.Path.String(), farm.Internal, "%w", err)
	}
	t, err := s.fs.Temp()
	if err != nil {
		return "", err
	}
	defer t.Close()
	if _, err := t.Write(append(b, '\n')); err != nil {
		return "", err
	}
	for {
		s.seq++
		id = fmt.Sprintf("%s-%04d", p.Time.Format("20060102T150405.000000000"), s.seq%10_000)
		if err = t.Link(metaPath(id)); farm.KindOf(err) != farm.Exists {
			return id, err
		}
	}
}

func (s *preserved) insert(p Preserved) {
	s.byID[p.ID] = p
	i, _ := slices.BinarySearch(s.order, p.ID)
	s.order = slices.Insert(s.order, i, p.ID)
	s.keys[p.key()] = p.ID
	if p.Attr.Type == farm.File {
		s.data[p.Attr.Digest] = p.ID
	}
	s.bytes += p.Attr.Size
}

// makeRoom removes the oldest until the rest is within its bounds. The latest stays, however large.
func (s *preserved) makeRoom() (dropped []Preserved) {
	for len(s.order) > 1 && (s.bytes > s.cfg.QuotaBytes || len(s.order) > maxPreserved) {
		p := s.byID[s.order[0]]
		if s.remove(p) != nil {
			return dropped // the next one tries again
		}
		dropped = append(dropped, p)
	}
	return dropped
}

func (s *preserved) remove(p Preserved) error {
	if p.Attr.Type == farm.File {
		if err := s.fs.Remove(dataPath(p.ID)); err != nil && farm.KindOf(err) != farm.NotFound {
			return err
		}
	}
	if err := s.fs.Remove(metaPath(p.ID)); err != nil && farm.KindOf(err) != farm.NotFound {
		return err
	}
	delete(s.byID, p.ID)
	s.order = slices.DeleteFunc(s.order, func(id string) bool { return id == p.ID })
	if s.keys[p.key()] == p.ID {
		delete(s.keys, p.key())
	}
	if s.data[p.Attr.Digest] == p.ID {
		delete(s.data, p.Attr.Digest)
	}
	s.bytes -= p.Attr.Size
	return nil
}
