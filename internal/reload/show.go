package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// rejectedSuffix ends the name of a file that keeps a refused text whose place was needed.
const rejectedSuffix = ".rejected"

// maxRejected bounds how many refused texts of one file are kept.
const maxRejected = 100

// content is what a file holds, if it exists.
type content struct {
	data   []byte
	exists bool
}

func contentOf(files map[string][]byte, name string) content {
	data, ok := files[name]
	return content{data, ok}
}

func (c content) same(d content) bool { return c.exists == d.exists && bytes.Equal(c.data, d.data) }

func union(all ...map[string][]byte) map[string]bool {
	names := map[string]bool{}
	for _, files := range all {
		for name := range files {
			names[name] = true
		}
	}
	return names
}

// errSaved says that an admin saved a file while it was about to be replaced.
var errSaved = errors.New("the file was saved at this moment")

// show writes the head's files into the configuration directory. It is called when the directory is quiet and holds
// what was handled. Files that the admin did not touch are replaced; a text that was refused stays if the head has
// nothing new for its file, and else is moved aside.
//
// Only at the end is the head remembered as what was written. So an admin who saves in the middle edits a mixture of two
// revisions whose parent is the former one, and a merge with the head makes whole what was mixed.
func (r *Reloader) show(ctx context.Context) {
	head := r.state.Load().head
	if head.Digest.IsZero() || head.Digest == r.written.Digest {
		return
	}
	unknown := r.written.Digest.IsZero()
	var left bool
	for _, name := range sortedKeys(union(r.handled.files, r.written.Files, head.Files)) {
		disk, was, want := contentOf(r.handled.files, name), contentOf(r.written.Files, name), contentOf(head.Files, name)
		if disk.same(want) {
			continue
		}
		if !disk.same(was) {
			if want.same(was) && !unknown {
				left = true
				continue
			}
			if err := r.setAside(name, disk, head); err != nil {
				r.cfg.Log.Error("a refused text can't be set aside", "file", name, "err", err)
				return
			}
		}
		if err := r.replace(name, disk, want); err != nil {
			if errors.Is(err, errSaved) {
				r.Touched()
			} else {
				r.cfg.Log.Error("the configuration directory can't be written", "file", name, "err", err)
			}
			return
		}
	}
	// The names must be safe before the note that says what they hold: else a power cut would make an edit of the former
	// revision out of the two.
	for _, dir := range []string{r.cfg.ConfigDir, filepath.Join(r.cfg.ConfigDir, config.SitesDir)} {
		if err := syncDir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
			r.cfg.Log.Error("the configuration directory can't be synced", "path", dir, "err", err)
			return
		}
	}
	r.written = head
	r.keepWritten()
	is, err := r.dir.read()
	if err != nil {
		return
	}
	// What differs from the head now is either the refused text, which may be good together with what arrived, or was
	// saved just now: the next look will see.
	refused := r.handled.files
	r.handled = snapshot{files: head.Files, infos: is.infos}
	if left && r.onlyLeft(is, refused) {
		r.takeText(ctx, is)
	} else if sameFiles(is.files, head.Files) {
		r.heal(farm.EventConfigRefused, &r.refused, "the refused text is no longer in its place")
		r.publish(func(s *state) { s.refused = nil })
	} else {
		r.Touched()
	}
}

// onlyLeft tells whether all that differs from the head is text that was refused before.
func (r *Reloader) onlyLeft(is snapshot, refused map[string][]byte) bool {
	for name := range union(is.files, r.written.Files) {
		disk := contentOf(is.files, name)
		if !disk.same(contentOf(r.written.Files, name)) && !disk.same(contentOf(refused, name)) {
			return false
		}
	}
	return true
}

// setAside keeps a text whose place is needed.
func (r *Reloader) setAside(name string, text content, head config.Revision) error {
	if !text.exists {
		return nil
	}
	path := r.pathOf(name)
	for i := range maxRejected {
		aside := path + rejectedSuffix
		if i > 0 {
			aside = fmt.Sprintf("%s.%d", aside, i+1)
		}
		if old, err := os.ReadFile(aside); err == nil && !bytes.Equal(old, text.data) {
			continue
		}
		if err := writeAtomic(filepath.Dir(path), aside, text.data); err != nil {
			return err
		}
		kept := strings.TrimPrefix(aside, r.cfg.ConfigDir+string(filepath.Separator))
		r.event(farm.EventConfigConflict, farm.Warning, name, "compare the two and edit "+name+" again", map[string]string{"kept": kept, "revision": head.Digest.String()},
			"a text that was not taken is kept as %s: revision %s of %s has changed the file", kept, head.Digest.Short(), head.Author)
		return nil
	}
	return farm.Errorf("keep refused text", name, farm.Full, "there are %d such files; remove some", maxRejected)
}

func (r *Reloader) pathOf(name string) string {
	return filepath.Join(r.cfg.ConfigDir, filepath.FromSlash(name))
}

// replace makes a file hold want, if it still holds expect; errSaved if not. What it displaces is looked at after the
// fact, so that not even a save in the last moment is lost.
func (r *Reloader) replace(name string, expect, want content) error {
	path := r.pathOf(name)
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	var temp string
	if want.exists {
		var err error
		if temp, err = writeLike(path, want.data); err != nil {
			return err
		}
		defer os.Remove(temp) // fails when it was renamed, which is meant
	}
	if !expect.exists {
		return placeNew(temp, path)
	}
	displaced := filepath.Join(dir, tempPrefix+filepath.Base(path)+".displaced"+tempSuffix)
	if err := errors.Join(removeIfAny(displaced), takeAway(path, displaced, temp)); err != nil {
		return err
	}
	defer os.Remove(displaced) // fails when it was put back, which is meant
	if is, err := os.ReadFile(displaced); err != nil || !bytes.Equal(is, expect.data) {
		return errors.Join(errSaved, err, os.Rename(displaced, path))
	}
	return nil
}

// writeLike makes a temporary file beside path that holds data, with the mode and owner of the file at path; if there is
// none, with the owner of the directory.
func writeLike(path string, data []byte) (string, error) {
	mode := fileMode
	like, err := os.Stat(path)
	if err == nil {
		mode = like.Mode().Perm()
	} else if like, err = os.Stat(filepath.Dir(path)); err != nil {
		return "", err
	}
	temp, err := writeTemp(filepath.Dir(path), data, mode)
	if err == nil {
		giveTo(like, temp)
	}
	return temp, err
}

// placeNew gives a file its name, if nobody has made one of that name meanwhile.
func placeNew(temp, path string) error {
	if temp == "" {
		return nil
	}
	if err := os.Link(temp, path); errors.Is(err, fs.ErrExist) {
		return errSaved
	} else if err != nil {
		// A file system without hard links: the look before the rename is all there is.
		if _, err := os.Lstat(path); err == nil {
			return errSaved
		}
		return os.Rename(temp, path)
	}
	return nil
}

// takeAway keeps the file under the name displaced and puts temp in its place; without a temp, nothing.
func takeAway(path, displaced, temp string) error {
	if temp == "" {
		return gone(os.Rename(path, displaced))
	}
	if err := os.Link(path, displaced); err == nil {
		return os.Rename(temp, path)
	} else if errors.Is(err, fs.ErrNotExist) {
		return errSaved
	}
	// A file system without hard links: for a moment there is no file of that name.
	if err := gone(os.Rename(path, displaced)); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errSaved
	}
	return err
}

func removeIfAny(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
