package vfs

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"tandem/internal/farm"
)

// Prepare is FS.Prepare.
func (m *Mem) Prepare(folder farm.FolderID) error {
	for _, s := range []string{farm.PrivateDir, StagingDir, PreservedDir, BarrierDir} {
		if err := m.Mkdir(farm.MustPath(s), 0o700); err != nil && farm.KindOf(err) != farm.Exists {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locked {
		return memErr("prepare", farm.Path{}, farm.Conflict, fmt.Errorf("another running Tandem has this directory"))
	}
	p := farm.MustPath(farm.PrivateDir + "/" + markerName)
	n, err := m.find("prepare", p)
	if err != nil {
		n = m.inode(farm.File, 0o600, m.cfg.UID)
		n.data = []byte(folder)
		if err := m.attach("prepare", n, p, m.cfg.UID); err != nil {
			return err
		}
	}
	if string(n.data) != string(folder) {
		return memErr("prepare", p, farm.Conflict, fmt.Errorf("the directory already is folder %s", n.data))
	}
	m.locked, m.folder = true, folder
	return nil
}

// CheckRoot is FS.CheckRoot.
func (m *Mem) CheckRoot() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := farm.MustPath(farm.PrivateDir + "/" + markerName)
	n, err := m.find("check root", p)
	if err != nil {
		return err
	}
	if string(n.data) != string(m.folder) {
		return memErr("check root", p, farm.Conflict, fmt.Errorf("the private area was replaced"))
	}
	return nil
}

// Lstat is FS.Lstat.
func (m *Mem) Lstat(p farm.Path) (Stat, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("lstat", p)
	if err != nil {
		return Stat{}, err
	}
	return m.stat(n), nil
}

// ReadDir is FS.ReadDir.
func (m *Mem) ReadDir(p farm.Path) ([]DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("readdir", p)
	if err != nil {
		return nil, err
	}
	if n.kind != farm.Dir {
		return nil, memErr("readdir", p, farm.Conflict, errNotDir)
	}
	var list []DirEntry
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		if !p.IsRoot() || name != farm.PrivateDir {
			list = append(list, DirEntry{name, n.children[name].kind})
		}
	}
	return list, nil
}

// Readlink is FS.Readlink.
func (m *Mem) Readlink(p farm.Path) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("readlink", p)
	if err != nil {
		return "", err
	}
	if n.kind != farm.Symlink {
		return "", memErr("readlink", p, farm.Conflict, errNotLink)
	}
	return n.target, nil
}

// Open is FS.Open.
func (m *Mem) Open(p farm.Path) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("open", p)
	if err != nil {
		return nil, err
	}
	if n.kind != farm.File {
		return nil, memErr("open", p, farm.Conflict, errNotFile)
	}
	return &memFile{m: m, n: n, p: p, life: m.life}, nil
}

// Mkdir is FS.Mkdir.
func (m *Mem) Mkdir(p farm.Path, mode uint32) error {
	return m.make("mkdir", p, func() *node { return m.inode(farm.Dir, mode&farm.ModeBits, m.cfg.UID) })
}

// Symlink is FS.Symlink.
func (m *Mem) Symlink(target string, p farm.Path) error {
	return m.make("symlink", p, func() *node {
		n := m.inode(farm.Symlink, 0, m.cfg.UID)
		n.target = target
		return n
	})
}

func (m *Mem) make(op string, p farm.Path, inode func() *node) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.attach(op, inode(), p, m.cfg.UID)
}

// SetAttr is FS.SetAttr.
func (m *Mem) SetAttr(p farm.Path, set SetAttr) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("setattr", p)
	if err != nil {
		return err
	}
	return m.set("setattr", p, n, set, m.cfg.UID)
}

// RenameNoReplace is FS.RenameNoReplace.
func (m *Mem) RenameNoReplace(from, to farm.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.move(from, to, m.cfg.UID)
}

func (m *Mem) move(from, to farm.Path, uid uint32) error {
	if to.Under(from) {
		return memErr("rename", to, farm.Unsupported, fmt.Errorf("into itself"))
	}
	at, err := m.parent("rename", to, uid)
	if err != nil {
		return err
	}
	n, err := m.detach("rename", from, uid, func(*node) error {
		if name := m.entry(at, to.Base()); at.children[name] != nil && !m.respells(from, to, at, name) {
			return memErr("rename", to, farm.Exists, fs.ErrExist)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return m.attach("rename", n, to, uid)
}

// respells tells whether a rename only spells a name anew: to, which at has as name, is from.
func (m *Mem) respells(from, to farm.Path, at *node, name string) bool {
	return from != to && name != to.Base() && from.Parent() == to.Parent() && m.entry(at, from.Base()) == name
}

// Exchange is FS.Exchange.
func (m *Mem) Exchange(a, b farm.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	pa, err := m.parent("exchange", a, m.cfg.UID)
	if err != nil {
		return err
	}
	pb, err := m.parent("exchange", b, m.cfg.UID)
	if err != nil {
		return err
	}
	nameA, nameB := m.entry(pa, a.Base()), m.entry(pb, b.Base())
	na, nb := pa.children[nameA], pb.children[nameB]
	switch {
	case na == nil:
		return memErr("exchange", a, farm.NotFound, fs.ErrNotExist)
	case nb == nil:
		return memErr("exchange", b, farm.NotFound, fs.ErrNotExist)
	case a.Under(b) || b.Under(a):
		return memErr("exchange", b, farm.Unsupported, fmt.Errorf("with what it holds"))
	}
	pa.children[nameA], pb.children[nameB] = nb, na
	for _, n := range []*node{na, nb} {
		m.touch(n)
	}
	pa.mtime, pb.mtime = m.touch(pa), m.touch(pb)
	return nil
}

// Remove is FS.Remove.
func (m *Mem) Remove(p farm.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.remove(p, m.cfg.UID)
}

func (m *Mem) remove(p farm.Path, uid uint32) error {
	_, err := m.detach("remove", p, uid, func(n *node) error {
		if n.kind == farm.Dir {
			return memErr("remove", p, farm.Conflict, fmt.Errorf("is a directory"))
		}
		return nil
	})
	return err
}

// RemoveDir is FS.RemoveDir.
func (m *Mem) RemoveDir(p farm.Path) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.removeDir(p, m.cfg.UID)
}

func (m *Mem) removeDir(p farm.Path, uid uint32) error {
	_, err := m.detach("rmdir", p, uid, func(n *node) error {
		switch {
		case n.kind != farm.Dir:
			return memErr("rmdir", p, farm.Conflict, errNotDir)
		case len(n.children) > 0:
			return memErr("rmdir", p, farm.Exists, fmt.Errorf("directory not empty (%w)", fs.ErrExist))
		}
		return nil
	})
	return err
}

// Sync is FS.Sync: PowerCut goes back to here.
func (m *Mem) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.synced = m.root.clone(map[*node]*node{})
	return nil
}

// Free is FS.Free.
func (m *Mem) Free() (bytes, inodes uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cfg.Bytes == 0 {
		return 1 << 40, 1 << 30, nil
	}
	return uint64(max(0, m.cfg.Bytes-m.root.bytes(map[*node]bool{}))), 1 << 30, nil
}

// Close is FS.Close: it frees the lock.
func (m *Mem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locked = false
	return nil
}
