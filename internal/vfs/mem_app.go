package vfs

import (
	"fmt"
	"io/fs"
	"slices"

	"tandem/internal/farm"
)

// App is an application on the machine of a Mem: it writes in place, keeps files open, renames over what is there. It
// runs as root and follows no symbolic links. It sees the private area, as a real one running as root would.
type App struct{ m *Mem }

// App returns the applications' side of the tree.
func (m *Mem) App() App { return App{m} }

// Handle is a regular file that an application has open for writing. It survives what happens to the file's name and
// Tandem's death; it does not survive a power cut.
type Handle struct {
	m    *Mem
	n    *node
	boot int
}

// Create opens p for writing as open(O_CREAT|O_TRUNC) does.
func (a App) Create(p farm.Path) (*Handle, error) {
	h, err := a.open(p, true)
	if err != nil {
		return nil, err
	}
	return h, h.Truncate(0)
}

// OpenWrite opens the existing file p for writing.
func (a App) OpenWrite(p farm.Path) (*Handle, error) { return a.open(p, false) }

func (a App) open(p farm.Path, create bool) (*Handle, error) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	n, err := a.m.find("open", p)
	if create && farm.KindOf(err) == farm.NotFound {
		n = a.m.inode(farm.File, 0o644, 0)
		err = a.m.attach("open", n, p, 0)
	}
	if err != nil {
		return nil, err
	}
	if n.kind != farm.File {
		return nil, memErr("open", p, farm.Conflict, errNotFile)
	}
	n.writers++
	return &Handle{a.m, n, a.m.boot}, nil
}

// WriteFile is Create, one write, Close.
func (a App) WriteFile(p farm.Path, data []byte) error {
	h, err := a.Create(p)
	if err != nil {
		return err
	}
	defer h.Close()
	return h.Append(data)
}

// ReadFile returns a copy of the content of p.
func (a App) ReadFile(p farm.Path) ([]byte, error) {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	n, err := a.m.find("read", p)
	if err != nil {
		return nil, err
	}
	if n.kind != farm.File {
		return nil, memErr("read", p, farm.Conflict, errNotFile)
	}
	return slices.Clone(n.data), nil
}

// Rename is rename(2): it replaces what is at to, as far as types allow.
func (a App) Rename(from, to farm.Path) error {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	n, err := a.m.find("rename", from)
	if err != nil {
		return err
	}
	old, err := a.m.find("rename", to)
	switch {
	case err != nil && farm.KindOf(err) != farm.NotFound:
		return err
	case err != nil:
	case old == n:
		if at, err := a.m.find("rename", to.Parent()); err == nil && a.m.respells(from, to, at, a.m.entry(at, to.Base())) {
			return a.m.move(from, to, 0)
		}
		return nil
	case old.kind == farm.Dir && n.kind == farm.Dir:
		err = a.m.removeDir(to, 0)
	case n.kind == farm.Dir:
		err = memErr("rename", to, farm.Conflict, errNotDir)
	default:
		err = a.m.remove(to, 0)
	}
	if err != nil && farm.KindOf(err) != farm.NotFound {
		return err
	}
	return a.m.move(from, to, 0)
}

// Link is link(2).
func (a App) Link(from, to farm.Path) error {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	n, err := a.m.find("link", from)
	if err != nil {
		return err
	}
	if n.kind == farm.Dir {
		return memErr("link", from, farm.Denied, fs.ErrPermission)
	}
	return a.m.attach("link", n, to, 0)
}

// Remove is remove(3): a file, a symlink or an empty directory.
func (a App) Remove(p farm.Path) error {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	n, err := a.m.find("remove", p)
	if err != nil {
		return err
	}
	if n.kind == farm.Dir {
		return a.m.removeDir(p, 0)
	}
	return a.m.remove(p, 0)
}

// Mkdir is mkdir(2).
func (a App) Mkdir(p farm.Path, mode uint32) error {
	return a.add(p, func() *node { return a.m.inode(farm.Dir, mode, 0) })
}

// Symlink is symlink(2).
func (a App) Symlink(target string, p farm.Path) error {
	return a.add(p, func() *node {
		n := a.m.inode(farm.Symlink, 0, 0)
		n.target = target
		return n
	})
}

// Mkfifo is mkfifo(3).
func (a App) Mkfifo(p farm.Path) error {
	return a.add(p, func() *node {
		n := a.m.inode(farm.Absent, 0o644, 0)
		n.other = "fifo"
		return n
	})
}

func (a App) add(p farm.Path, inode func() *node) error {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	return a.m.attach("add", inode(), p, 0)
}

// SetAttr is chmod, chown and utimensat.
func (a App) SetAttr(p farm.Path, set SetAttr) error {
	a.m.mu.Lock()
	defer a.m.mu.Unlock()
	n, err := a.m.find("setattr", p)
	if err != nil {
		return err
	}
	return a.m.set("setattr", p, n, set, 0)
}

// Append writes at the end.
func (h *Handle) Append(data []byte) error {
	return h.change(func() { h.n.data = append(h.n.data, data...) })
}

// WriteAt writes at off; a hole before it reads as zeros.
func (h *Handle) WriteAt(data []byte, off int64) error {
	return h.change(func() {
		d := make([]byte, max(int64(len(h.n.data)), off+int64(len(data))))
		copy(d, h.n.data)
		copy(d[off:], data)
		h.n.data = d
	})
}

// Truncate sets the size.
func (h *Handle) Truncate(size int64) error {
	return h.change(func() {
		d := make([]byte, size)
		copy(d, h.n.data)
		h.n.data = d
	})
}

// Ino is the inode that the handle writes to.
func (h *Handle) Ino() uint64 { return h.n.ino }

// Close ends the writing. It may be called again.
func (h *Handle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.boot == h.m.boot {
		h.n.writers--
		h.boot = -1
	}
	return nil
}

func (h *Handle) change(do func()) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.boot != h.m.boot {
		return memErr("write", farm.Path{}, farm.Other, fmt.Errorf("handle: %w", fs.ErrClosed))
	}
	do()
	h.n.mtime = h.m.touch(h.n)
	return nil
}
