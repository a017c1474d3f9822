package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"tandem/internal/chunk"
	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// errMoved says that a file changed while it was looked at. It never leaves the package.
var errMoved = errors.New("it changes while it is read")

// unstable is the cause of an Unstable error.
type unstable struct {
	why   string
	again time.Time
}

func (u *unstable) Error() string { return u.why }

// RetryAt is when another look may succeed. A caller finds it with errors.As and an interface of this one method.
func (u *unstable) RetryAt() time.Time { return u.again }

// Examine says what is at p now. Prior is what the index believes: when the disk still matches it, the observation is
// Unchanged and no content was read. What the filter leaves out, a file that is too large say, is LeftOut and not read.
//
// A path whose parent is missing or a symlink is Absent: the entry does not exist in this tree. An excluded or private
// path, and the root, are not looked at: Unchanged, whatever prior is.
//
// The error is Unstable while the file is being written (its cause has RetryAt() time.Time); Unsupported for a FIFO,
// socket or device, which takes the place of what was there; Conflict for a mounted file system, which only hides it;
// Denied, Corrupt or Unavailable when the path can't be read. When the root is gone or another one the error is that of
// CheckRoot.
func (s *Scanner) Examine(ctx context.Context, p farm.Path, prior farm.Disk) (farm.Observation, error) {
	return s.examine(ctx, place{fs: s.fs, path: p}, prior, false)
}

func (s *Scanner) examine(ctx context.Context, at place, prior farm.Disk, small bool) (farm.Observation, error) {
	p := at.path
	if p.IsRoot() || s.Excluded(p) {
		return farm.Observation{Path: p, Attr: prior.Attr, Stat: prior.Stat, Unchanged: true}, nil
	}
	for range maxReads {
		o, err := s.look(ctx, at, prior, small)
		if err == errMoved {
			continue
		}
		s.examined(p, prior, o, err)
		switch {
		case err == ErrLarge:
			return o, err
		case err != nil:
			return farm.Observation{}, scanError(p, err)
		}
		return o, nil
	}
	return farm.Observation{}, s.unstable(p, errMoved.Error(), s.now().Add(QuietTime))
}

// look is one attempt. It fails with errMoved, or as the file system does, when something else got in between.
func (s *Scanner) look(ctx context.Context, at place, prior farm.Disk, small bool) (farm.Observation, error) {
	p := at.path
	st, err := at.lstat()
	switch farm.KindOf(err) {
	case farm.NotFound:
		o, aerr := s.absent(at)
		if e := (*farm.NameError)(nil); errors.As(err, &e) {
			o.Twin = e.Twin
		}
		return o, aerr
	case farm.Conflict:
		return s.inTheWay(at)
	}
	if err != nil {
		return farm.Observation{}, err
	}
	same, err := s.unchanged(p, st, prior)
	if err != nil {
		return farm.Observation{}, moved(err)
	}
	if same {
		return farm.Observation{Path: p, Attr: prior.Attr, Stat: st.Fingerprint, Unchanged: true}, nil
	}
	o := farm.Observation{Path: p, Attr: st.Attr(), Stat: st.Fingerprint, Linked: st.Type == farm.File && st.Links > 1}
	if s.filter.Load().LeavesOut(p, o.Attr) {
		o.LeftOut = true
		return o, nil
	}
	switch st.Type {
	case farm.Dir:
		o.Attr.XAttrs, err = s.xattrs(p, st)
		return o, moved(err)
	case farm.Symlink:
		o.Attr.Target, o.Attr.XAttrs, err = s.target(p, st)
	case farm.File:
		if small && st.Size > farm.InlineBytes {
			return o, ErrLarge
		}
		o.Stat, err = s.read(ctx, at, st, &o)
	default:
		err = &farm.Error{Op: "scan", Path: p.String(), Kind: farm.Unsupported, Err: special(st.Other)}
	}
	return o, err
}

// xattrs reads the extended attributes of what st describes, if it can have any.
func (s *Scanner) xattrs(p farm.Path, st vfs.Stat) (farm.XAttrs, error) {
	if !st.XAttrs {
		return farm.XAttrs{}, nil
	}
	return s.fs.XAttrs(p)
}

// unchanged tells whether st shows that what prior describes is still there. A directory has no content of its own, and
// its times change with its children, so that its attributes decide: its extended ones are read unless its ctime says
// that nothing at all has happened to it. Whoever looked at prior so early that a later write
// could have left no trace looks again, unless the file is so large that only its size and times are trusted.
func (s *Scanner) unchanged(p farm.Path, st vfs.Stat, prior farm.Disk) (bool, error) {
	switch {
	case st.Type == farm.Absent || st.Type != prior.Type:
		return false, nil
	case st.Type == farm.Dir:
		a := st.Attr()
		if a.XAttrs = prior.XAttrs; !a.Same(prior.Attr) {
			return false, nil
		}
		if st.Matches(prior.Stat) && !prior.Stat.Racy {
			return true, nil
		}
		x, err := s.xattrs(p, st)
		return err == nil && x.Same(prior.XAttrs), err
	case !st.Matches(prior.Stat):
		return false, nil
	}
	return !prior.Stat.Racy || st.Size > RacyReadBytes, nil
}

// absent is the observation that nothing is there, provided that the root is.
func (s *Scanner) absent(at place) (farm.Observation, error) {
	if at.late {
		return farm.Observation{Path: at.path}, nil
	}
	if err := s.fs.CheckRoot(); err != nil {
		return farm.Observation{}, err
	}
	return farm.Observation{Path: at.path}, nil
}

// inTheWay finds out what stands between the root and p: a symlink, so that p is not in this tree, or a mount.
func (s *Scanner) inTheWay(at place) (farm.Observation, error) {
	p := at.path
	for a := p.Parent(); !a.IsRoot(); a = a.Parent() {
		st, err := s.fs.Lstat(a)
		switch {
		case farm.KindOf(err) == farm.NotFound || err == nil && st.Type != farm.Dir:
			return s.absent(at)
		case err != nil && farm.KindOf(err) != farm.Conflict:
			return farm.Observation{}, err
		}
	}
	return farm.Observation{}, &farm.Error{Op: "scan", Path: p.String(), Kind: farm.Conflict, Err: special(mount)}
}

// target reads a symlink and makes sure that it is the one that st describes.
func (s *Scanner) target(p farm.Path, st vfs.Stat) (target string, x farm.XAttrs, err error) {
	if target, err = s.fs.Readlink(p); err == nil {
		x, err = s.xattrs(p, st)
	}
	if err != nil {
		return "", x, moved(err)
	}
	again, err := s.fs.Lstat(p)
	if err != nil {
		return "", x, moved(err)
	}
	if !again.Matches(st.Fingerprint) {
		return "", x, errMoved
	}
	return target, x, nil
}

// read fills in digest and content of a file that lstat has described as st. The fingerprint that it returns was taken
// after the content had been read, but is as racy as it was before: a write during the read may carry the same time.
func (s *Scanner) read(ctx context.Context, at place, st vfs.Stat, o *farm.Observation) (farm.Fingerprint, error) {
	f, before, err := at.open()
	if err != nil {
		return farm.Fingerprint{}, moved(err)
	}
	defer f.Close()
	if !before.Matches(st.Fingerprint) {
		return farm.Fingerprint{}, errMoved
	}
	// In this order: who opens the file for writing after the question will leave a new ctime, which the last look sees.
	if age := s.now().Sub(time.Unix(0, before.CTime)); age < QuietTime && age > -QuietTime && f.Writers() {
		return farm.Fingerprint{}, s.unstable(at.path, "somebody has it open for writing", s.now().Add(QuietTime-age))
	}
	var recipe chunk.Recipe
	if st.Size > chunk.MinFileBytes && s.recipes != nil {
		o.Attr.Digest, recipe, err = s.cut(ctx, f, st.Size)
	} else if st.Size <= farm.InlineBytes {
		if o.Content, err = s.content(f, st.Size); err == nil {
			o.Attr.Digest = digestOf(o.Content)
		}
	} else {
		o.Attr.Digest, err = s.digest(ctx, f, st.Size)
	}
	if err == nil {
		o.Attr.XAttrs, err = f.XAttrs()
	}
	if err != nil {
		return farm.Fingerprint{}, err
	}
	after, err := f.Stat()
	if err != nil {
		return farm.Fingerprint{}, err
	}
	if !after.Matches(before.Fingerprint) {
		return farm.Fingerprint{}, errMoved
	}
	if recipe != nil {
		s.saveRecipe(at.path, o.Attr.Digest, recipe)
	}
	after.Racy = st.Racy || before.Racy
	return after.Fingerprint, nil
}

// content reads a small file whole. That it has not grown meanwhile, the last look at it tells.
func (s *Scanner) content(f io.Reader, size int64) ([]byte, error) {
	b := make([]byte, size)
	if _, err := io.ReadFull(f, b); err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil, errMoved
	} else if err != nil {
		return nil, err
	}
	return b, nil
}

// digest reads a large file for its digest.
func (s *Scanner) digest(ctx context.Context, f io.Reader, size int64) (farm.Digest, error) {
	buf := s.buffers.Get().(*[readBytes]byte)
	defer s.buffers.Put(buf)
	h := newHash()
	for total := int64(0); ; {
		if err := ctx.Err(); err != nil {
			return farm.Digest{}, err
		}
		n, err := f.Read(buf[:])
		h.Write(buf[:n])
		total += int64(n)
		switch {
		case total > size || err == io.EOF && total != size:
			return farm.Digest{}, errMoved
		case err == io.EOF:
			return farm.Digest(h.Sum(nil)), nil
		case err != nil:
			return farm.Digest{}, err
		}
	}
}

// moved turns an error that only a change since lstat can have caused into errMoved.
func moved(err error) error {
	switch farm.KindOf(err) {
	case farm.NotFound, farm.Conflict:
		return errMoved
	}
	return err
}

func (s *Scanner) unstable(p farm.Path, why string, again time.Time) error {
	return &farm.Error{Op: "scan", Path: p.String(), Kind: farm.Unstable, Err: &unstable{why, again}}
}

// scanError adds operation and path where they are missing.
func scanError(p farm.Path, err error) error {
	var e *farm.Error
	switch {
	case errors.As(err, &e) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return &farm.Error{Op: "scan", Path: p.String(), Kind: farm.Other, Err: fmt.Errorf("unexpected: %w", err)}
}
