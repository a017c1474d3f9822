package member

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/zeebo/blake3"

	"tandem/internal/control"
	"tandem/internal/farm"
)

const (
	maxDiffBytes = 1 << 20 // of each side; what is larger is compared by digest
	maxDiffLines = 20_000  // of each side
)

// DiffConflict implements control.Preserver.
func (m *Member) DiffConflict(ctx context.Context, req control.DiffRequest) (d control.ConflictDiff, err error) {
	all, err := m.collect(ctx, control.ConflictQuery{IDs: []string{req.ID}}, control.MaxConflicts)
	if err != nil {
		return d, err
	}
	k := all.list[0]
	f := m.folders.get(k.Folder)
	if f == nil {
		return d, noFolder("diff", k.Folder)
	}
	at := k.File.Path
	if req.Path != "" {
		if at, err = farm.ParsePath(req.Path); err != nil || at.Private() {
			return d, farm.Errorf("diff", req.Path, farm.Invalid, "it is no path in the folder")
		}
	}
	d = control.ConflictDiff{Preserved: k.conflict(), Path: at.String(), Type: farm.Absent.String()}
	now, err := f.current(at, &d)
	if err != nil {
		return d, err
	}
	if d.Same = d.Type == d.Preserved.Type && d.Digest == d.Preserved.Digest && d.Target == k.File.Attr.Target; d.Same {
		return d, nil
	}
	return d, m.diffText(ctx, k, now, &d)
}

// current fills in what is at p now and returns its content, if it is a file that can be compared as text.
func (f *folder) current(p farm.Path, d *control.ConflictDiff) (content []byte, err error) {
	st, err := f.fs.Lstat(p)
	if kind := farm.KindOf(err); kind == farm.NotFound || kind == farm.Conflict {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d.Type = st.Type.String()
	switch st.Type {
	case farm.Symlink:
		d.Target, err = f.fs.Readlink(p)
	case farm.File:
		file, err := f.fs.Open(p)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		h := blake3.New()
		var head bytes.Buffer
		n, err := io.Copy(h, io.TeeReader(file, &limited{&head, maxDiffBytes + 1}))
		if err != nil {
			return nil, err
		}
		d.Size, d.Digest = n, farm.Digest(h.Sum(nil)).String()
		return head.Bytes(), nil
	}
	return nil, err
}

// limited keeps the first bytes that are written to it.
type limited struct {
	b    *bytes.Buffer
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.left -= n
	l.b.Write(p[:n])
	return len(p), nil
}

// diffText compares line by line, if both are text and not too large, and says why not otherwise.
func (m *Member) diffText(ctx context.Context, k kept, now []byte, d *control.ConflictDiff) error {
	a := k.File.Attr
	switch {
	case a.Type != farm.File || d.Type != farm.File.String() && d.Type != farm.Absent.String():
		d.Why = fmt.Sprintf("one is a %s, the other a %s", a.Type, d.Type)
		if d.Type == farm.Absent.String() {
			d.Why = "there is nothing now"
		} else if d.Type == a.Type.String() {
			d.Why = "they lead to different places"
		}
		return nil
	case a.Size > maxDiffBytes || d.Size > maxDiffBytes:
		d.Why = fmt.Sprintf("more than %d bytes", maxDiffBytes)
		return nil
	}
	rc, err := m.openKept(ctx, k)
	if err != nil {
		return err
	}
	defer rc.Close()
	was, err := io.ReadAll(io.LimitReader(rc, maxDiffBytes+1))
	switch {
	case err != nil:
		return err
	case !isText(was) || !isText(now):
		d.Why = "not text"
		return nil
	case bytes.Count(was, []byte("\n")) > maxDiffLines || bytes.Count(now, []byte("\n")) > maxDiffLines:
		d.Why = fmt.Sprintf("more than %d lines", maxDiffLines)
		return nil
	}
	text := diff.Diff("preserved "+k.File.ID, was, "current "+d.Path, now)
	if _, rest, ok := bytes.Cut(text, []byte("\n")); ok { // a heading that says what the next two lines say
		text = rest
	}
	d.Text = string(text)
	return nil
}

func isText(b []byte) bool { return utf8.Valid(b) && bytes.IndexByte(b, 0) < 0 }

// openKept opens the content of a preserved file, here or at a member that keeps it.
func (m *Member) openKept(ctx context.Context, k kept) (io.ReadCloser, error) {
	if f := m.folders.get(k.Folder); f != nil {
		if _, rc, err := f.keeper.OpenPreserved(k.File.ID); err == nil {
			return rc, nil
		}
	}
	return m.fetchKept(ctx, k)
}

// fetchKept opens it at another member.
func (m *Member) fetchKept(ctx context.Context, k kept) (rc io.ReadCloser, err error) {
	err = farm.Errorf("fetch", k.File.Path.String(), farm.Unavailable, "no linked member keeps it any more")
	for _, id := range k.members {
		if id == m.self {
			continue
		}
		if rc, err = m.hub.Fetch(ctx, id, k.Folder, k.File.Path, k.File.Attr.Digest, k.File.Attr.Size); err == nil {
			return rc, nil
		}
	}
	return nil, err
}
