package member

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/internal/farm"
	"tandem/internal/scan"
)

// folderNote is what a member remembers of a folder besides its index: what people said, and under which filter the
// index was made.
type folderNote struct {
	Paused *pauseNote  `json:"paused,omitempty"`
	Filter *filterNote `json:"filter,omitempty"`
}

// pauseNote says who paused the folder.
type pauseNote struct {
	Since time.Time     `json:"since"`
	By    farm.MemberID `json:"by"` // the member where it was said
}

// filterNote is a filter that decided about the folder.
type filterNote struct {
	Include []string `json:"include,omitempty"`
	Exclude []string `json:"exclude,omitempty"`
	MaxSize int64    `json:"max_size,omitempty"`
}

func noteOf(f *scan.Filter) *filterNote {
	n := &filterNote{MaxSize: f.MaxSize()}
	for _, r := range f.Rules() {
		if r.Include {
			n.Include = append(n.Include, r.Pattern)
		} else {
			n.Exclude = append(n.Exclude, r.Pattern)
		}
	}
	return n
}

// filter is the one that the note was made of; nil note: a filter that excludes nothing.
func (n *filterNote) filter() *scan.Filter {
	if n == nil {
		return nil
	}
	var rules []scan.Rule
	for _, p := range n.Include {
		rules = append(rules, scan.Rule{Pattern: p, Include: true})
	}
	for _, p := range n.Exclude {
		rules = append(rules, scan.Rule{Pattern: p})
	}
	return scan.NewFilter(rules, n.MaxSize)
}

func (p Paths) note(f farm.FolderID) string {
	return filepath.Join(p.State, "folders", string(f)+".json")
}

// readNote reads what is remembered of a folder. What can't be read is as if nothing was: the folder is not paused.
func (p Paths) readNote(id farm.FolderID) (n folderNote, err error) {
	b, err := os.ReadFile(p.note(id))
	if os.IsNotExist(err) {
		return n, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &n)
	}
	if err != nil {
		return folderNote{}, &farm.Error{Op: "read", Path: p.note(id), Kind: farm.Corrupt, Err: err}
	}
	return n, nil
}

// writeNote replaces what is remembered, and survives a power cut when it returns.
func (p Paths) writeNote(id farm.FolderID, n folderNote) error {
	name := p.note(id)
	b, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return &farm.Error{Op: "write", Path: name, Kind: farm.Internal, Err: err}
	}
	err = os.MkdirAll(filepath.Dir(name), 0o700)
	if err == nil {
		err = replaceFile(name, append(b, '\n'))
	}
	if err != nil {
		return &farm.Error{Op: "write", Path: name, Kind: kindOf(err), Err: err, Next: "check the disk of the state directory"}
	}
	return nil
}

// forgetNotes forgets what people said of folders that this member does not hold any more, so that one that is added
// again is not paused; and what a crash has left of notes.
func (fs *folders) forgetNotes(want map[farm.FolderID]folderSpec) {
	fs.noting.Lock()
	defer fs.noting.Unlock()
	p := fs.m.paths
	dir := filepath.Dir(p.note(""))
	list, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		fs.m.log.Warn("notes of folders that are gone stay", "err", err)
	}
	for _, e := range list {
		name, whole := strings.CutSuffix(e.Name(), ".json")
		id := farm.FolderID(name)
		if !whole {
			err = os.Remove(filepath.Join(dir, e.Name()))
		} else if _, ok := want[id]; !ok {
			err = p.forgetNote(id)
		}
		if err != nil {
			fs.m.log.Warn("the note of a folder that is gone stays", "note", e.Name(), "err", err)
		}
	}
}

// forgetNote removes a note. While there is an index, the filter under which it was made is kept: without it, what was
// excluded then and is missing on disk would be taken for deleted.
func (p Paths) forgetNote(id farm.FolderID) error {
	n, err := p.readNote(id)
	if err == nil && n.Filter != nil {
		if _, err = os.Lstat(p.index(id)); err == nil && n.Paused == nil {
			return nil
		} else if err == nil {
			return p.writeNote(id, folderNote{Filter: n.Filter})
		}
	}
	return os.Remove(p.note(id))
}

func replaceFile(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.new")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that counts is the first
	}
	return err
}
