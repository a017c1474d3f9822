package gallery

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

const (
	uploadsDir  = "uploads"
	commentsDir = "comments"

	// MaxPictureBytes is the size of the largest picture that is taken.
	MaxPictureBytes = 10 << 20
	maxNameBytes    = 60
	maxCommentRunes = 500
	maxCommentsRead = 64 << 10 // bytes; of more, the latest are shown
	sniffBytes      = 512
)

// Errors that are the visitor's to mend.
var (
	errNoPicture = errors.New("this is not a PNG, JPEG, GIF or WebP picture")
	errTooLarge  = fmt.Errorf("a picture may have up to %d MB", MaxPictureBytes>>20)
	errNoText    = errors.New("a comment needs a text")
)

// extensions by the type that the content shows, whatever the visitor calls it.
var extensions = map[string]string{"image/png": ".png", "image/jpeg": ".jpg", "image/gif": ".gif", "image/webp": ".webp"}

// store is the directory. It is opened for each use, so that it may be replaced meanwhile.
type store struct{ dir string }

// Picture is one picture of the gallery.
type Picture struct {
	Name  string
	Bytes int64
	Time  time.Time
}

// Comment is one line below a picture.
type Comment struct {
	Time   time.Time
	Author string
	Text   string
}

// pictures lists what is there, the newest first.
func (s store) pictures() ([]Picture, error) {
	entries, err := s.entries()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Picture
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !isPictureName(entry.Name()) {
			continue // deleted meanwhile, or not ours
		}
		all = append(all, Picture{entry.Name(), info.Size(), info.ModTime()})
	}
	slices.SortFunc(all, func(a, b Picture) int {
		return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Name, b.Name))
	})
	return all, nil
}

func (s store) entries() ([]fs.DirEntry, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	dir, err := root.Open(uploadsDir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	return dir.ReadDir(-1)
}

// open opens a picture.
func (s store) open(name string) (*os.File, error) {
	if !isPictureName(name) {
		return nil, fs.ErrNotExist
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(path.Join(uploadsDir, name))
}

// add stores a picture under a name like the one given, and returns that. It becomes visible whole or not at all.
func (s store) add(like string, content io.Reader) (name string, err error) {
	head := make([]byte, sniffBytes)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return "", err
	}
	head = head[:n]
	ext := extensions[http.DetectContentType(head)]
	if ext == "" {
		return "", errNoPicture
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", err
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if err := root.MkdirAll(uploadsDir, 0o755); err != nil {
		return "", err
	}
	// The random part makes names differ without asking: another server may take a picture of that name just now.
	name = cleanName(like) + "-" + strings.ToLower(rand.Text()[:6]) + ext
	temp := path.Join(uploadsDir, "."+name+".tmp")
	if err := writeNew(root, temp, io.MultiReader(bytes.NewReader(head), content)); err != nil {
		return "", errors.Join(err, root.Remove(temp))
	}
	return name, root.Rename(temp, path.Join(uploadsDir, name))
}

func writeNew(root *os.Root, name string, content io.Reader) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, io.LimitReader(content, MaxPictureBytes+1))
	if err == nil && n > MaxPictureBytes {
		err = errTooLarge
	}
	return errors.Join(err, f.Close())
}

// remove deletes a picture and its comments. That it is gone already is no error.
func (s store) remove(name string) error {
	if !isPictureName(name) {
		return fs.ErrNotExist
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, file := range []string{path.Join(uploadsDir, name), commentsOf(name)} {
		if err := root.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func commentsOf(name string) string { return path.Join(commentsDir, name+".txt") }

// comment appends a line. It is one write, so that lines of several processes do not mix.
func (s store) comment(name string, c Comment) error {
	c.Author, c.Text = oneLine(c.Author), oneLine(c.Text)
	if c.Text == "" {
		return errNoText
	}
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.MkdirAll(commentsDir, 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(commentsOf(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s\t%s\t%s\n", c.Time.UTC().Format(time.RFC3339), c.Author, c.Text)
	return errors.Join(err, f.Close())
}

// comments returns a picture's comments, the oldest first.
func (s store) comments(name string) ([]Comment, error) {
	root, err := os.OpenRoot(s.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(commentsOf(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > maxCommentsRead {
		_, _ = f.Seek(-maxCommentsRead, io.SeekEnd)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxCommentsRead))
	var all []Comment
	for line := range strings.Lines(string(text)) {
		if c, ok := parseComment(strings.TrimSuffix(line, "\n")); ok {
			all = append(all, c)
		}
	}
	return all, err
}

// parseComment tells by ok whether the line is a comment; the first one that is read may be a half.
func parseComment(line string) (c Comment, ok bool) {
	at, rest, _ := strings.Cut(line, "\t")
	t, err := time.Parse(time.RFC3339, at)
	author, text, found := strings.Cut(rest, "\t")
	return Comment{t, author, text}, err == nil && found
}

// oneLine makes of every run of white space a blank, and cuts what is too long.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if r := []rune(s); len(r) > maxCommentRunes {
		s = string(r[:maxCommentRunes])
	}
	return s
}

// cleanName makes a part of a file name of what a visitor's browser calls a picture.
func cleanName(s string) string {
	s = path.Base(strings.ReplaceAll(s, `\`, "/"))
	s = strings.TrimSuffix(s, path.Ext(s))
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s)
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '-' }), "-")
	if len(s) > maxNameBytes {
		s = strings.TrimRight(s[:maxNameBytes], "-")
	}
	return cmp.Or(s, "picture")
}

// isPictureName tells whether a file of this name is shown: visible, without a directory, of a type that is taken.
func isPictureName(name string) bool {
	if name == "" || name[0] == '.' || strings.ContainsAny(name, "/\\\x00") {
		return false
	}
	switch strings.ToLower(path.Ext(name)) {
	case ".png", ".jpg", ".jpeg", ".gif", ".webp":
		return true
	}
	return false
}
