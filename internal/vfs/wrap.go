package vfs

import (
	"fmt"
	"io"
	"strconv"
	"sync"

	"tandem/internal/farm"
)

// Op is one call on an FS or on a file, temp or log that it gave.
type Op struct {
	Name        string // "exchange", "temp.link", "file.read": the method, after what it is a method of
	Path, Path2 farm.Path
	N           int    // number of the call since the wrapper was made, from 1
	Detail      string // what else was asked, for a trace: mode, target, number of bytes
}

// Fault calls before ahead of every call on fs and on what it gives. What before returns, if not nil, is the call's
// result, and the call is not made. Before may do anything, such as change the tree behind the caller's back, or panic
// to leave the caller for good.
func Fault(fs FS, before func(Op) error) FS {
	return &wrapped{FS: fs, hook: &hook{before: before, after: func(Op, error) {}}}
}

// Trace writes a line per call on fs and on what it gives: the operation, its paths, and the kind of its error.
func Trace(fs FS, w io.Writer) FS {
	var mu sync.Mutex
	return &wrapped{FS: fs, hook: &hook{before: func(Op) error { return nil }, after: func(op Op, err error) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(w, op.line(err))
	}}}
}

func (op Op) line(err error) string {
	s := op.Name
	for _, p := range []farm.Path{op.Path, op.Path2} {
		if !p.IsRoot() {
			s += " " + plain(p.String())
		}
	}
	if op.Detail != "" {
		s += " " + op.Detail
	}
	switch {
	case err == io.EOF:
		s += ": end of file"
	case err != nil:
		s += ": " + farm.KindOf(err).String()
	}
	return s
}

// plain quotes what would break the line.
func plain(s string) string {
	if q := strconv.Quote(s); len(q) != len(s)+2 {
		return q
	}
	return s
}

// hook is shared by a wrapped FS and all that it gives.
type hook struct {
	mu     sync.Mutex
	n      int
	before func(Op) error
	after  func(Op, error)
}

func (h *hook) call(op Op, do func() error) error {
	h.mu.Lock()
	h.n++
	op.N = h.n
	h.mu.Unlock()
	err := h.before(op)
	if err == nil {
		err = do()
	}
	h.after(op, err)
	return err
}

type wrapped struct {
	FS
	hook *hook
}

func (w *wrapped) Prepare(folder farm.FolderID) error {
	return w.hook.call(Op{Name: "prepare", Detail: string(folder)}, func() error { return w.FS.Prepare(folder) })
}

func (w *wrapped) CheckRoot() error { return w.hook.call(Op{Name: "checkroot"}, w.FS.CheckRoot) }

func (w *wrapped) Lstat(p farm.Path) (st Stat, err error) {
	err = w.hook.call(Op{Name: "lstat", Path: p}, func() (err error) { st, err = w.FS.Lstat(p); return err })
	return st, err
}

func (w *wrapped) ReadDir(p farm.Path) (list []DirEntry, err error) {
	err = w.hook.call(Op{Name: "readdir", Path: p}, func() (err error) { list, err = w.FS.ReadDir(p); return err })
	return list, err
}

func (w *wrapped) Readlink(p farm.Path) (target string, err error) {
	err = w.hook.call(Op{Name: "readlink", Path: p}, func() (err error) { target, err = w.FS.Readlink(p); return err })
	return target, err
}

func (w *wrapped) XAttrs(p farm.Path) (x farm.XAttrs, err error) {
	err = w.hook.call(Op{Name: "xattrs", Path: p}, func() (err error) { x, err = w.FS.XAttrs(p); return err })
	return x, err
}

func (w *wrapped) Open(p farm.Path) (f File, err error) {
	err = w.hook.call(Op{Name: "open", Path: p}, func() (err error) { f, err = w.FS.Open(p); return err })
	if err != nil {
		return nil, err
	}
	return &wrappedFile{f, w.hook, p}, nil
}

func (w *wrapped) Partial(p farm.Path) (t Temp, err error) {
	err = w.hook.call(Op{Name: "partial", Path: p}, func() (err error) { t, err = w.FS.Partial(p); return err })
	if err != nil {
		return nil, err
	}
	return &wrappedTemp{t, w.hook}, nil
}

func (w *wrapped) Temp() (t Temp, err error) {
	err = w.hook.call(Op{Name: "temp"}, func() (err error) { t, err = w.FS.Temp(); return err })
	if err != nil {
		return nil, err
	}
	return &wrappedTemp{t, w.hook}, nil
}

func (w *wrapped) OpenLog(p farm.Path) (l Log, err error) {
	err = w.hook.call(Op{Name: "openlog", Path: p}, func() (err error) { l, err = w.FS.OpenLog(p); return err })
	if err != nil {
		return nil, err
	}
	return &wrappedLog{l, w.hook, p}, nil
}

func (w *wrapped) Mkdir(p farm.Path, mode uint32) error {
	return w.hook.call(Op{Name: "mkdir", Path: p, Detail: fmt.Sprintf("%04o", mode)}, func() error { return w.FS.Mkdir(p, mode) })
}

func (w *wrapped) Symlink(target string, p farm.Path) error {
	return w.hook.call(Op{Name: "symlink", Path: p, Detail: plain(target)}, func() error { return w.FS.Symlink(target, p) })
}

func (w *wrapped) SetAttr(p farm.Path, set SetAttr) error {
	return w.hook.call(Op{Name: "setattr", Path: p, Detail: set.String()}, func() error { return w.FS.SetAttr(p, set) })
}

// String lists what is set.
func (set SetAttr) String() string {
	var s []byte
	if set.Owner != nil {
		s = fmt.Appendf(s, " owner=%d:%d", set.Owner.UID, set.Owner.GID)
	}
	if set.Mode != nil {
		s = fmt.Appendf(s, " mode=%04o", *set.Mode)
	}
	if set.XAttrs != nil {
		s = fmt.Appendf(s, " xattrs=%s", set.XAttrs)
	}
	if set.MTime != nil {
		s = fmt.Appendf(s, " mtime=%d", *set.MTime)
	}
	return string(s[min(1, len(s)):])
}

func (w *wrapped) RenameNoReplace(from, to farm.Path) error {
	return w.hook.call(Op{Name: "rename", Path: from, Path2: to}, func() error { return w.FS.RenameNoReplace(from, to) })
}

func (w *wrapped) Exchange(a, b farm.Path) error {
	return w.hook.call(Op{Name: "exchange", Path: a, Path2: b}, func() error { return w.FS.Exchange(a, b) })
}

func (w *wrapped) Remove(p farm.Path) error {
	return w.hook.call(Op{Name: "remove", Path: p}, func() error { return w.FS.Remove(p) })
}

func (w *wrapped) RemoveDir(p farm.Path) error {
	return w.hook.call(Op{Name: "rmdir", Path: p}, func() error { return w.FS.RemoveDir(p) })
}

func (w *wrapped) Sync() error { return w.hook.call(Op{Name: "sync"}, w.FS.Sync) }

func (w *wrapped) Free() (bytes, inodes uint64, err error) {
	err = w.hook.call(Op{Name: "free"}, func() (err error) { bytes, inodes, err = w.FS.Free(); return err })
	return bytes, inodes, err
}

func (w *wrapped) Close() error { return w.hook.call(Op{Name: "close"}, w.FS.Close) }

type wrappedFile struct {
	File
	hook *hook
	p    farm.Path
}

func (f *wrappedFile) Read(b []byte) (n int, err error) {
	err = f.hook.call(Op{Name: "file.read", Path: f.p}, func() (err error) { n, err = f.File.Read(b); return err })
	return n, err
}

func (f *wrappedFile) ReadAt(b []byte, off int64) (n int, err error) {
	err = f.hook.call(Op{Name: "file.readat", Path: f.p}, func() (err error) { n, err = f.File.ReadAt(b, off); return err })
	return n, err
}

func (f *wrappedFile) Stat() (st Stat, err error) {
	err = f.hook.call(Op{Name: "file.stat", Path: f.p}, func() (err error) { st, err = f.File.Stat(); return err })
	return st, err
}

func (f *wrappedFile) XAttrs() (x farm.XAttrs, err error) {
	err = f.hook.call(Op{Name: "file.xattrs", Path: f.p}, func() (err error) { x, err = f.File.XAttrs(); return err })
	return x, err
}

func (f *wrappedFile) Writers() (is bool) {
	_ = f.hook.call(Op{Name: "file.writers", Path: f.p}, func() error { is = f.File.Writers(); return nil })
	return is
}

func (f *wrappedFile) Close() error {
	return f.hook.call(Op{Name: "file.close", Path: f.p}, f.File.Close)
}

type wrappedTemp struct {
	Temp
	hook *hook
}

func (t *wrappedTemp) Write(b []byte) (n int, err error) {
	err = t.hook.call(Op{Name: "temp.write", Detail: strconv.Itoa(len(b))}, func() (err error) { n, err = t.Temp.Write(b); return err })
	return n, err
}

func (t *wrappedTemp) ReadAt(b []byte, off int64) (n int, err error) {
	err = t.hook.call(Op{Name: "temp.readat"}, func() (err error) { n, err = t.Temp.ReadAt(b, off); return err })
	return n, err
}

func (t *wrappedTemp) SetAttr(set SetAttr) error {
	return t.hook.call(Op{Name: "temp.setattr", Detail: set.String()}, func() error { return t.Temp.SetAttr(set) })
}

func (t *wrappedTemp) Stat() (st Stat, err error) {
	err = t.hook.call(Op{Name: "temp.stat"}, func() (err error) { st, err = t.Temp.Stat(); return err })
	return st, err
}

func (t *wrappedTemp) XAttrs() (x farm.XAttrs, err error) {
	err = t.hook.call(Op{Name: "temp.xattrs"}, func() (err error) { x, err = t.Temp.XAttrs(); return err })
	return x, err
}

func (t *wrappedTemp) Link(p farm.Path) error {
	return t.hook.call(Op{Name: "temp.link", Path2: p}, func() error { return t.Temp.Link(p) })
}

func (t *wrappedTemp) CopyFrom(f File) (n int64, err error) {
	op := Op{Name: "temp.copyfrom"}
	for {
		w, ok := f.(*wrappedFile)
		if !ok {
			break
		}
		f, op.Path = w.File, w.p
	}
	err = t.hook.call(op, func() (err error) { n, err = t.Temp.CopyFrom(f); return err })
	return n, err
}

func (t *wrappedTemp) WriteAt(b []byte, off int64) (n int, err error) {
	op := Op{Name: "temp.writeat", Detail: strconv.FormatInt(off, 10) + " " + strconv.Itoa(len(b))}
	err = t.hook.call(op, func() (err error) { n, err = t.Temp.WriteAt(b, off); return err })
	return n, err
}

func (t *wrappedTemp) CopyRange(f File, at, to, n int64) error {
	op := Op{Name: "temp.copyrange", Detail: strconv.FormatInt(to, 10) + " " + strconv.FormatInt(n, 10)}
	for {
		w, ok := f.(*wrappedFile)
		if !ok {
			break
		}
		f, op.Path = w.File, w.p
	}
	return t.hook.call(op, func() error { return t.Temp.CopyRange(f, at, to, n) })
}

func (t *wrappedTemp) Truncate(size int64) error {
	return t.hook.call(Op{Name: "temp.truncate", Detail: strconv.FormatInt(size, 10)}, func() error { return t.Temp.Truncate(size) })
}

func (t *wrappedTemp) Close() error { return t.hook.call(Op{Name: "temp.close"}, t.Temp.Close) }

type wrappedLog struct {
	Log
	hook *hook
	p    farm.Path
}

func (l *wrappedLog) Write(b []byte) (n int, err error) {
	err = l.hook.call(Op{Name: "log.write", Path: l.p}, func() (err error) { n, err = l.Log.Write(b); return err })
	return n, err
}

func (l *wrappedLog) Reset() error { return l.hook.call(Op{Name: "log.reset", Path: l.p}, l.Log.Reset) }

func (l *wrappedLog) Close() error { return l.hook.call(Op{Name: "log.close", Path: l.p}, l.Log.Close) }
