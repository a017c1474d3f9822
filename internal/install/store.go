package install

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// maxPreserved bounds the number of preserved files of a folder, and with it the memory for their list.
const maxPreserved = 200_000

// dataSuffix ends the name of what is preserved; before it stands the id.
const dataSuffix = ".data"

func dataPath(id string) farm.Path { return farm.MustPath(vfs.PreservedDir + "/" + id + dataSuffix) }

// preserved is the store of preserved files. ID.data is the inode itself, and a line of the log of records says what it
// was. The data is the truth: a record without it is void, and who drops a file need not write. Of a directory there is
// only the record.
type preserved struct {
	fs  vfs.FS
	cfg Config

	mu        sync.Mutex
	records   *records // set by load
	byID      map[string]*held
	order     []*held // by time, then id; those that are gone are left out now and then
	data      map[farm.Digest]string
	bytes     int64
	conflicts int
}

type held struct {
	Preserved
	gone bool
}

func newPreserved(fs vfs.FS, cfg Config) *preserved {
	return &preserved{fs: fs, cfg: cfg, byID: map[string]*held{}, data: map[farm.Digest]string{}}
}

// close gives up the log of what is preserved.
func (s *preserved) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		return nil
	}
	return s.records.close()
}

func byTime(a, b *held) int {
	return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.ID, b.ID))
}

func (s *preserved) list() []Preserved {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]Preserved, 0, len(s.byID))
	for _, h := range s.order {
		if !h.gone {
			list = append(list, h.Preserved)
		}
	}
	return list
}

// newest yields what is there now, the newest first. It holds no lock while it does.
func (s *preserved) newest(yield func(Preserved) bool) {
	s.mu.Lock()
	list := make([]*held, 0, len(s.byID))
	for _, h := range slices.Backward(s.order) {
		if !h.gone {
			list = append(list, h)
		}
	}
	s.mu.Unlock()
	for _, h := range list {
		if !yield(h.Preserved) {
			return
		}
	}
}

// space is what p takes of the quota.
func (p Preserved) space() int64 { return p.Attr.Size + int64(len(p.Attr.XAttrs.Encoded())) }

func (s *preserved) get(id string) (Preserved, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.byID[id]; h != nil {
		return h.Preserved, true
	}
	return Preserved{}, false
}

func (s *preserved) usage() Usage {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := Usage{Files: len(s.byID), Bytes: s.bytes, Conflicts: s.conflicts}
	for _, h := range s.order {
		if !h.gone {
			u.Oldest = h.Time
			break
		}
	}
	return u
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

// add preserves what is under name and returns what was added, without an ID if it was preserved before. The record is
// written first: without data it is void, while data without a record would not say what it was. A directory has no name.
func (s *preserved) add(name farm.Path, p Preserved) (added Preserved, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.ID = farm.PreservedID(s.cfg.Folder, p.Path, p.Lost.Dot, p.Attr)
	if s.byID[p.ID] != nil {
		if p.Attr.Type == farm.Dir {
			return Preserved{}, nil
		}
		return Preserved{}, s.fs.Remove(name)
	}
	p.Time = s.next()
	if err := s.records.add(p); err != nil {
		return Preserved{}, err
	}
	if p.Attr.Type != farm.Dir {
		err := s.fs.RenameNoReplace(name, dataPath(p.ID))
		if farm.KindOf(err) == farm.Exists { // left by a crash, and not in our list: it has no record that could be read
			if err = s.fs.Remove(dataPath(p.ID)); err == nil {
				err = s.fs.RenameNoReplace(name, dataPath(p.ID))
			}
		}
		if err != nil {
			return Preserved{}, err
		}
	}
	s.insert(p)
	return p, nil
}

// next is a time after that of the latest file, so that times tell the order; but a clock that was set back is followed.
func (s *preserved) next() time.Time {
	now := s.cfg.Now().UTC()
	if len(s.order) > 0 {
		if last := s.order[len(s.order)-1].Time; !now.After(last) && last.Sub(now) < time.Second {
			return last.Add(1)
		}
	}
	return now
}

func (s *preserved) insert(p Preserved) {
	h := &held{Preserved: p}
	s.byID[p.ID] = h
	i := len(s.order)
	for i > 0 && h.Time.Before(s.order[i-1].Time) { // clocks may go back
		i--
	}
	s.order = slices.Insert(s.order, i, h)
	if p.Attr.Type == farm.File {
		s.data[p.Attr.Digest] = p.ID
	}
	s.bytes += p.space()
	if !p.Reason.Meant() {
		s.conflicts++
	}
}

// correct sets right what the record says of the content, and returns the file as it is now. Its id stays.
func (s *preserved) correct(id string, d farm.Digest, size int64) (Preserved, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.byID[id]
	if h == nil {
		return Preserved{}, farm.Errorf("correct preserved", id, farm.NotFound, "no preserved file has this id")
	}
	p := h.Preserved
	p.Attr.Digest, p.Attr.Size = d, size
	if err := s.records.add(p); err != nil {
		return p, err
	}
	s.bytes += p.Attr.Size - h.Attr.Size
	if s.data[h.Attr.Digest] == id {
		delete(s.data, h.Attr.Digest)
	}
	s.data[d] = id
	n := &held{Preserved: p} // others may be reading the old one
	s.byID[id], s.order[slices.Index(s.order, h)] = n, n
	return p, nil
}

func (s *preserved) drop(id string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.byID[id]
	if h == nil {
		return false, nil
	}
	return true, s.remove(h)
}

// remove drops h. The lock is held.
func (s *preserved) remove(h *held) error {
	if h.Attr.Type != farm.Dir {
		if err := s.fs.Remove(dataPath(h.ID)); err != nil && farm.KindOf(err) != farm.NotFound {
			return err
		}
	} else if err := s.records.drop(h.ID); err != nil {
		return err
	}
	h.gone = true
	delete(s.byID, h.ID)
	if s.data[h.Attr.Digest] == h.ID {
		delete(s.data, h.Attr.Digest)
	}
	s.bytes -= h.space()
	if !h.Reason.Meant() {
		s.conflicts--
	}
	if len(s.order) > 2*len(s.byID)+64 {
		s.order = slices.DeleteFunc(s.order, func(h *held) bool { return h.gone })
	}
	return nil
}

const (
	// lowPercent of the quota is where making room ends, so that it need not begin again with the next file.
	lowPercent = 90

	// minFreeBytes is the space below which deleted files are not kept any longer.
	minFreeBytes = 256 << 20

	// maxDrops is how many files one sweep removes: on some file systems new files are slow to make after a mass removal.
	maxDrops = 2048
)

// old returns what has reached the age at which it goes.
func (s *preserved) old() (list []*held) {
	if s.cfg.MaxAge <= 0 {
		return nil
	}
	limit := s.cfg.Now().Add(-s.cfg.MaxAge)
	for _, h := range s.order {
		if len(list) == maxDrops || !h.Time.Before(limit) {
			break
		}
		if !h.gone {
			list = append(list, h)
		}
	}
	return list
}

// over returns what has to go so that the rest is within the quota: what somebody wanted to go first, of that the oldest.
// The latest stays, however large.
func (s *preserved) over() (list []*held) {
	bytes, files := s.bytes, len(s.byID)
	lowBytes, lowFiles := s.cfg.QuotaBytes*lowPercent/100, s.cfg.maxFiles*lowPercent/100
	kinds := []bool{true, false}
	switch {
	case bytes > s.cfg.QuotaBytes || files > s.cfg.maxFiles:
	case s.pressed():
		lowBytes, kinds = 0, kinds[:1]
	default:
		return nil
	}
	for _, meant := range kinds {
		for _, h := range s.order {
			if bytes <= lowBytes && files <= lowFiles || len(list) == maxDrops || files == 1 {
				return list
			}
			if h.gone || h.Reason.Meant() != meant || h == s.order[len(s.order)-1] {
				continue
			}
			list = append(list, h)
			bytes, files = bytes-h.space(), files-1
		}
	}
	return list
}

// pressed tells whether the disk is so full that what somebody wanted to go has to go.
func (s *preserved) pressed() bool {
	if len(s.byID) == s.conflicts {
		return false
	}
	free, _, err := s.fs.Free()
	return err == nil && free < minFreeBytes
}

// tidy removes what is too old or too much and begins the log of records anew when most of it is of the past. What can't
// be removed now, the next one tries again.
func (s *preserved) tidy(expired, dropped func(Preserved)) error {
	for _, step := range []struct {
		pick func() []*held
		tell func(Preserved)
	}{{s.old, expired}, {s.over, dropped}} {
		s.mu.Lock()
		list := step.pick()
		s.mu.Unlock()
		for _, h := range list {
			s.mu.Lock()
			var err error
			if !h.gone {
				err = s.remove(h)
			}
			s.mu.Unlock()
			if err != nil {
				return err
			}
			step.tell(h.Preserved)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records.lines < 2*len(s.byID)+minRecords {
		return nil
	}
	return s.rewrite()
}

// rewrite begins the log anew with what is there. The lock is held.
func (s *preserved) rewrite() error {
	live := make([]Preserved, 0, len(s.byID))
	for _, h := range s.order {
		if !h.gone {
			live = append(live, h.Preserved)
		}
	}
	return s.records.rewrite(live)
}
