package vfs

import (
	"io"
	"io/fs"

	"tandem/internal/farm"
)

// memFile is an open file, a Temp or a Log of Tandem's side.
type memFile struct {
	m    *Mem
	n    *node
	p    farm.Path
	life int
	off  int64
}

// lock takes the tree's mutex unless the file died in a crash.
func (f *memFile) lock(op string) (unlock func(), err error) {
	f.m.mu.Lock()
	if f.life != f.m.life {
		f.m.mu.Unlock()
		return nil, memErr(op, f.p, farm.Other, fs.ErrClosed)
	}
	return f.m.mu.Unlock, nil
}

func (f *memFile) Read(b []byte) (int, error) {
	n, err := f.ReadAt(b, f.off)
	f.off += int64(n)
	if err == io.EOF && n > 0 {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(b []byte, off int64) (int, error) {
	unlock, err := f.lock("read")
	if err != nil {
		return 0, err
	}
	defer unlock()
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.n.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Stat() (Stat, error) {
	unlock, err := f.lock("stat")
	if err != nil {
		return Stat{}, err
	}
	defer unlock()
	return f.m.stat(f.n), nil
}

func (f *memFile) Writers() bool {
	unlock, err := f.lock("writers")
	if err != nil {
		return false
	}
	defer unlock()
	return f.n.writers > 0
}

func (f *memFile) Close() error {
	unlock, err := f.lock("close")
	if err != nil {
		return nil
	}
	defer unlock()
	f.life-- // dead from now on
	return nil
}

// Temp is FS.Temp.
func (m *Mem) Temp() (Temp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := farm.MustPath(StagingDir)
	if _, err := m.find("temp", p); err != nil {
		return nil, err
	}
	return &memTemp{memFile{m: m, n: m.inode(farm.File, 0o600, m.cfg.UID), p: p, life: m.life}}, nil
}

type memTemp struct{ memFile }

func (t *memTemp) Write(b []byte) (int, error) {
	unlock, err := t.lock("write")
	if err != nil {
		return 0, err
	}
	defer unlock()
	if err := t.m.room("write", t.p, len(t.n.data)+len(b)); err != nil {
		return 0, err
	}
	t.n.data = append(t.n.data, b...)
	t.n.mtime = t.m.touch(t.n)
	return len(b), nil
}

func (t *memTemp) SetAttr(set SetAttr) error {
	unlock, err := t.lock("setattr")
	if err != nil {
		return err
	}
	defer unlock()
	return t.m.set("setattr", t.p, t.n, set, t.m.cfg.UID)
}

func (t *memTemp) Link(p farm.Path) error {
	unlock, err := t.lock("link")
	if err != nil {
		return err
	}
	defer unlock()
	return t.m.attach("link", t.n, p, t.m.cfg.UID)
}

func (t *memTemp) CopyFrom(f File) (int64, error) { return copyAll(t, f) }

// OpenLog is FS.OpenLog.
func (m *Mem) OpenLog(p farm.Path) (Log, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("open log", p)
	if farm.KindOf(err) == farm.NotFound {
		n = m.inode(farm.File, 0o600, m.cfg.UID)
		err = m.attach("open log", n, p, m.cfg.UID)
	}
	if err != nil {
		return nil, err
	}
	return &memLog{memFile{m: m, n: n, p: p, life: m.life}}, nil
}

// memLog takes no room of the disk's: the real one reserves it.
type memLog struct{ memFile }

func (l *memLog) Write(b []byte) (int, error) {
	unlock, err := l.lock("write log")
	if err != nil {
		return 0, err
	}
	defer unlock()
	l.n.data = append(l.n.data, b...)
	l.n.mtime = l.m.touch(l.n)
	return len(b), nil
}

func (l *memLog) Reset() error {
	unlock, err := l.lock("reset log")
	if err != nil {
		return err
	}
	defer unlock()
	l.n.data = nil
	l.n.mtime = l.m.touch(l.n)
	return nil
}
