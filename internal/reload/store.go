package reload

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// store is the revisions in the folder .farm. Only their headers are kept in memory.
type store struct {
	dir     string
	headers map[farm.Digest]config.Revision
	bad     map[string]stamp // files that hold no revision, as they were when that was found
	pinned  config.Revision  // the last good one, from the state directory
}

// stamp tells whether a file that could not be read has changed.
type stamp struct {
	size  int64
	mtime time.Time
}

// badFile is a file that holds no revision.
type badFile struct {
	name string
	err  error
}

func newStore(dir string) *store {
	return &store{dir: dir, headers: map[farm.Digest]config.Revision{}, bad: map[string]stamp{}}
}

// refresh looks which files came and went. It returns the headers that are new, the earliest first, and the files that
// are newly found to be bad.
func (s *store) refresh() (fresh []config.Revision, bad []badFile, err error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, nil, &farm.Error{Op: "read revisions", Path: s.dir, Kind: farm.Unavailable, Err: err}
	}
	present := map[farm.Digest]bool{}
	stillBad := map[string]stamp{}
	for _, e := range entries {
		name, isRevision := strings.CutSuffix(e.Name(), config.RevisionSuffix)
		d, err := farm.ParseDigest(name)
		if !isRevision || err != nil || !e.Type().IsRegular() {
			continue
		}
		if _, known := s.headers[d]; known {
			present[d] = true
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue
		}
		is := stamp{info.Size(), info.ModTime()}
		if was, known := s.bad[e.Name()]; known && was == is {
			stillBad[e.Name()] = is
			continue
		}
		rev, err := s.read(d)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			stillBad[e.Name()] = is
			bad = append(bad, badFile{e.Name(), err})
			continue
		}
		present[d] = true
		s.headers[d] = rev.Header()
		fresh = append(fresh, rev.Header())
	}
	for d := range s.headers {
		if !present[d] {
			delete(s.headers, d)
		}
	}
	s.bad = stillBad
	slices.SortFunc(fresh, func(a, b config.Revision) int { return cmp.Compare(a.Time, b.Time) })
	return fresh, bad, nil
}

// maxRevisionBytes bounds what is read of one file: more than any farm's configuration.
const maxRevisionBytes = 256 << 20

// read reads a revision from its file and makes sure that it is that one.
func (s *store) read(d farm.Digest) (config.Revision, error) {
	name := filepath.Join(s.dir, config.Revision{Digest: d}.FileName())
	rev, err := readRevision(name)
	if err == nil && rev.Digest != d {
		err = farm.Errorf("read revision", name, farm.Corrupt, "the content has the digest %s", rev.Digest)
	}
	return rev, err
}

func readRevision(name string) (config.Revision, error) {
	info, err := os.Stat(name)
	if err != nil {
		return config.Revision{}, err
	}
	if info.Size() > maxRevisionBytes {
		return config.Revision{}, farm.Errorf("read revision", name, farm.Corrupt, "the file has %d bytes; the limit is %d", info.Size(), maxRevisionBytes)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return config.Revision{}, err
	}
	return config.DecodeRevision(b)
}

// all is the headers of the revisions that are there. The last good one is among them if its file is lost and it is
// later than all others: nothing can have replaced it, and the farm must not fall back behind it. If something is later,
// that has replaced it long ago, or was made without knowledge of it and is all that the farm has.
func (s *store) all() []config.Revision {
	all := make([]config.Revision, 0, len(s.headers)+1)
	var latest farm.HLC
	for _, h := range s.headers {
		all = append(all, h)
		latest = max(latest, h.Time)
	}
	if _, there := s.headers[s.pinned.Digest]; !there && !s.pinned.Digest.IsZero() && s.pinned.Time > latest {
		all = append(all, s.pinned.Header())
	}
	return all
}

// load is the revision of that digest with its files.
func (s *store) load(d farm.Digest) (config.Revision, error) {
	if d == s.pinned.Digest && !d.IsZero() {
		return s.pinned, nil
	}
	if _, ok := s.headers[d]; !ok {
		return config.Revision{}, farm.Errorf("load revision", d.Short(), farm.NotFound, "there is no such revision")
	}
	rev, err := s.read(d)
	if err != nil {
		return config.Revision{}, &farm.Error{Op: "load revision", Path: d.Short(), Kind: cmp.Or(farm.KindOf(err), farm.Unavailable), Err: err}
	}
	return rev, nil
}

// write puts a revision into the folder. Whole or not at all, and it survives a power cut.
func (s *store) write(rev config.Revision) error {
	if _, ok := s.headers[rev.Digest]; ok {
		return nil
	}
	// The folder is replicated, so the file must not be seen before it is whole: it is made in the private area.
	private := filepath.Join(s.dir, farm.PrivateDir)
	err := os.MkdirAll(private, 0o700)
	if err == nil {
		err = writeAtomic(private, filepath.Join(s.dir, rev.FileName()), rev.Encode())
	}
	if err != nil {
		return writeError("write revision", s.dir, err)
	}
	s.headers[rev.Digest] = rev.Header()
	return nil
}

// trim removes the oldest revisions, not those in keep.
func (s *store) trim(keep ...farm.Digest) error {
	if len(s.headers) <= historySize+historySlack {
		return nil
	}
	_, drop := config.Retain(s.all(), historySize)
	var errs []error
	for _, rev := range drop {
		if slices.Contains(keep, rev.Digest) {
			continue
		}
		if err := os.Remove(filepath.Join(s.dir, rev.FileName())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		delete(s.headers, rev.Digest)
	}
	return errors.Join(errs...)
}

func writeError(op, path string, err error) error {
	return &farm.Error{Op: op, Path: path, Kind: farm.Unavailable, Err: err, Next: "free space, or make the directory writable"}
}

// writeAtomic makes the file name hold data, whole or not at all, through a temporary file in tempDir.
func writeAtomic(tempDir, name string, data []byte) error {
	temp, err := writeTemp(tempDir, data, fileMode)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, name); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return syncDir(filepath.Dir(name))
}

// Names of temporary files. They begin with a dot, so that no one takes them for configuration.
const (
	tempPrefix = ".tandem-"
	tempSuffix = ".tmp"
)

// writeTemp makes a file in dir that holds data, on disk for good.
func writeTemp(dir string, data []byte, mode os.FileMode) (string, error) {
	f, err := os.CreateTemp(dir, tempPrefix+"*"+tempSuffix)
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("write %s: %w", f.Name(), err), os.Remove(f.Name()))
	}
	return f.Name(), nil
}
