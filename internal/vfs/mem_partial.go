package vfs

import (
	"io/fs"
	"slices"

	"tandem/internal/farm"
)

// Partial is FS.Partial.
func (m *Mem) Partial(p farm.Path) (Temp, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("open partial", p)
	if farm.KindOf(err) == farm.NotFound {
		n = m.inode(farm.File, 0o600, m.cfg.UID)
		err = m.attach("open partial", n, p, m.cfg.UID)
	}
	if err != nil {
		return nil, err
	}
	if n.kind != farm.File {
		return nil, memErr("open partial", p, farm.Conflict, fs.ErrInvalid)
	}
	return &memPartial{memTemp{memFile{m: m, n: n, p: p, life: m.life}}}, nil
}

// memPartial is a Temp that has a name.
type memPartial struct{ memTemp }

func (t *memPartial) Link(p farm.Path) error {
	unlock, err := t.lock("link")
	if err != nil {
		return err
	}
	defer unlock()
	if err = t.m.move(t.p, p, t.m.cfg.UID); err == nil {
		t.p = p
	}
	return err
}

// WriteAt writes into a copy of the data if that is shared with a snapshot, or grows.
func (t *memTemp) WriteAt(b []byte, off int64) (int, error) {
	unlock, err := t.lock("write")
	if err != nil {
		return 0, err
	}
	defer unlock()
	size := max(len(t.n.data), int(off)+len(b))
	if err := t.m.room("write", t.p, size); err != nil {
		return 0, err
	}
	if t.n.shared || size > len(t.n.data) {
		data := make([]byte, size)
		copy(data, t.n.data)
		t.n.data, t.n.shared = data, false
	}
	copy(t.n.data[off:], b)
	t.n.mtime = t.m.touch(t.n)
	return len(b), nil
}

func (t *memTemp) Truncate(size int64) error {
	unlock, err := t.lock("truncate")
	if err != nil {
		return err
	}
	defer unlock()
	if err := t.m.room("truncate", t.p, int(size)); err != nil {
		return err
	}
	data := slices.Clone(t.n.data[:min(int(size), len(t.n.data))])
	t.n.data = append(data, make([]byte, int(size)-len(data))...)
	t.n.mtime = t.m.touch(t.n)
	return nil
}

func (t *memTemp) CopyRange(f File, at, to, n int64) error { return copyPart(t, f, at, to, n) }
