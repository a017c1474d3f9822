package reload

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tandem/internal/config"
)

// directory reads the configuration directory. Files that did not change since the last look are not read again.
type directory struct {
	path string
	now  func() time.Time
	seen map[string]sighting
}

// sighting is a file as it was at a look.
type sighting struct {
	info os.FileInfo
	data []byte
	at   time.Time
}

// racyTime is how long a file must have been left alone before its time and size are trusted: a second write within a
// tick of the file system's clock leaves both as they are.
const racyTime = 2 * time.Second

func (s sighting) stillIs(info os.FileInfo) bool {
	return s.info != nil && os.SameFile(s.info, info) && s.info.Size() == info.Size() && s.info.ModTime().Equal(info.ModTime()) &&
		s.at.Sub(info.ModTime()) > racyTime
}

// snapshot is what the directory held at a look. The zero value is an empty directory.
type snapshot struct {
	files  map[string][]byte
	infos  map[string]os.FileInfo
	faults config.Faults // files that can't be read
}

func (s snapshot) same(t snapshot) bool {
	return sameFiles(s.files, t.files) && slices.Equal(s.faults, t.faults)
}

func sameFiles(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

// read looks at the directory.
func (d *directory) read() (snapshot, error) {
	s := snapshot{files: map[string][]byte{}, infos: map[string]os.FileInfo{}}
	seen := map[string]sighting{}
	for _, sub := range []string{".", config.SitesDir} {
		entries, err := os.ReadDir(filepath.Join(d.path, sub))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}
		for _, e := range entries {
			name := filepath.ToSlash(filepath.Join(sub, e.Name()))
			if !config.IsShared(name) {
				continue
			}
			// The look is timed before the file is opened, so that a write while it is read counts as later.
			at := d.now()
			data, info, err := d.file(name)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				s.faults = append(s.faults, config.Fault{File: name, Message: "the file can't be read: " + plain(err)})
			}
			s.files[name], s.infos[name] = data, info
			seen[name] = sighting{info, data, at}
		}
	}
	d.seen = seen
	return s, nil
}

func (d *directory) file(name string) ([]byte, os.FileInfo, error) {
	path := filepath.Join(d.path, filepath.FromSlash(name))
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, info, errors.New("it is no regular file")
	}
	if info.Size() > config.MaxFileBytes {
		return nil, info, fmt.Errorf("it has %d bytes; the limit is %d", info.Size(), config.MaxFileBytes)
	}
	if last := d.seen[name]; last.stillIs(info) {
		return last.data, info, nil
	}
	data, err := os.ReadFile(path)
	return data, info, err
}

// plain is the error without the path, which the fault names already.
func plain(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// ignored lists names beside the shared ones that somebody may believe to be configuration.
func (d *directory) ignored() []string {
	entries, err := os.ReadDir(filepath.Join(d.path, config.SitesDir))
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		name := config.SitesDir + "/" + e.Name()
		if !config.IsShared(name) && !strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), ".caddy") {
			names = append(names, name)
		}
	}
	return names
}

// How long a directory must be left alone before its text counts as saved.
const (
	quietReplaced = 30 * time.Millisecond  // every changed file was replaced whole
	quietInPlace  = 100 * time.Millisecond // a file was written in place, made or removed
	quietTorn     = 300 * time.Millisecond // a file is a beginning of what it was
	gatherTime    = 250 * time.Millisecond // at most, while every change is a whole file: a storm of saves must not hide them
)

// settling follows a directory that is being changed.
type settling struct {
	since time.Time // when it first differed; zero: it does not
	last  snapshot  // as it is now
	at    time.Time // when it became so
}

// wait is how long until the text counts as saved; 0: it does.
func (s *settling) wait(was, is snapshot, now time.Time) time.Duration {
	if s.since.IsZero() {
		s.since = now
	}
	if s.at.IsZero() || !s.last.same(is) {
		s.last, s.at = is, now
	}
	quiet := quietTime(was, is)
	if quiet == quietReplaced && now.Sub(s.since) >= gatherTime {
		return 0
	}
	return max(0, quiet-now.Sub(s.at))
}

func quietTime(was, is snapshot) time.Duration {
	quiet := quietReplaced
	for name, before := range was.files {
		after, ok := is.files[name]
		switch {
		case !ok:
			quiet = max(quiet, quietInPlace)
		case bytes.Equal(before, after):
		case bytes.HasPrefix(before, after):
			quiet = max(quiet, quietTorn)
		case was.infos[name] == nil || is.infos[name] == nil || os.SameFile(was.infos[name], is.infos[name]):
			quiet = max(quiet, quietInPlace)
		}
	}
	for name, after := range is.files {
		if _, ok := was.files[name]; ok {
			continue
		}
		if len(after) == 0 {
			return quietTorn
		}
		quiet = max(quiet, quietInPlace)
	}
	return quiet
}
