package vfs

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tandem/internal/farm"
)

// MemConfig says what an in-memory tree is like.
type MemConfig struct {
	Now    func() time.Time // clock of the machine; nil stands still at 2020-01-01 00:00 UTC
	UID    uint32           // whom Tandem runs as there; 0 is root: it may all and give files away
	Users  map[string]uint32
	Groups map[string]uint32
	Bytes  int64 // size of the disk in bytes of content; 0: no limit

	Options  Options
	NoXAttrs bool // the file system has no extended attributes
	Fold     bool // names that differ in case alone lead to the same entry, which keeps the name it was made with
}

// Mem is a tree in memory: the same behaviour as the real one, and it can crash. It is deterministic: inode numbers are
// counted, and a ctime is the clock's or one nanosecond after the last, so that two changes never share one.
//
// The FS methods are Tandem's side. App is the side of the applications on the same machine.
type Mem struct {
	cfg MemConfig

	mu     sync.Mutex
	root   *node
	ino    uint64
	ctime  int64
	life   int // counts crashes: what was opened in another life is dead
	boot   int // counts power cuts, which applications do not survive either
	locked bool
	folder farm.FolderID
	synced *node // the tree as of the last Sync
}

// node is an inode. Its data is replaced or appended to, and changed in place only where no snapshot shares it.
type node struct {
	ino          uint64
	kind         farm.Type
	other        string
	mode         uint32 // permission bits, setgid and sticky
	uid, gid     uint32
	mtime, ctime int64
	links        uint64
	data         []byte
	shared       bool // a snapshot has the same data
	target       string
	xattrs       farm.XAttrs
	children     map[string]*node
	writers      int
}

// NewMem returns an empty tree.
func NewMem(cfg MemConfig) *Mem {
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }
	}
	m := &Mem{cfg: cfg}
	m.root = m.inode(farm.Dir, 0o755, cfg.UID)
	m.root.links = 1
	m.synced = m.root.clone(map[*node]*node{})
	return m
}

// Crash is kill -9 of Tandem: its open files and nameless temps die, its lock is free; the tree stays, and so do the
// files that applications have open.
func (m *Mem) Crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life++
	m.locked = false
}

// PowerCut is the loss of power: as Crash, for applications too, and the tree is what it was at the last Sync. A real
// disk may also keep any part of what came later; here all of it is lost, which is the simplest of the allowed outcomes.
func (m *Mem) PowerCut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life++
	m.boot++
	m.locked = false
	m.root = m.synced.clone(map[*node]*node{})
}

// Snapshot remembers the tree as it is. What it returns brings that back, as a virtual machine's snapshot does: what was
// opened since is dead, and what was synced since is gone too.
func (m *Mem) Snapshot() (restore func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	then := m.root.clone(map[*node]*node{})
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.life++
		m.boot++
		m.locked = false
		m.root = then.clone(map[*node]*node{})
		m.synced = then.clone(map[*node]*node{})
	}
}

// clone copies the tree below n; hard links stay one inode.
func (n *node) clone(done map[*node]*node) *node {
	if c, ok := done[n]; ok {
		return c
	}
	n.shared = true
	c := *n
	c.writers = 0
	done[n] = &c
	if n.children != nil {
		c.children = make(map[string]*node, len(n.children))
		for name, child := range n.children {
			c.children[name] = child.clone(done)
		}
	}
	return &c
}

func (m *Mem) inode(kind farm.Type, mode, uid uint32) *node {
	m.ino++
	n := &node{ino: m.ino, kind: kind, mode: mode, uid: uid, gid: uid}
	if kind == farm.Dir {
		n.children = map[string]*node{}
	}
	m.touch(n)
	n.mtime = n.ctime
	return n
}

// touch gives n a ctime later than all others.
func (m *Mem) touch(n *node) int64 {
	m.ctime = max(m.ctime+1, m.cfg.Now().UnixNano())
	n.ctime = m.ctime
	return m.ctime
}

func memErr(op string, p farm.Path, kind farm.Kind, err error) error {
	return &farm.Error{Op: op, Path: p.String(), Kind: kind, Err: err}
}

// find returns the inode at p. A symbolic link on the way is Conflict, anything else that is no directory NotFound.
func (m *Mem) find(op string, p farm.Path) (*node, error) {
	at := m.root
	if p.IsRoot() {
		return at, nil
	}
	for c := range strings.SplitSeq(p.String(), "/") {
		switch {
		case at.kind == farm.Symlink:
			return nil, memErr(op, p, farm.Conflict, fmt.Errorf("a symbolic link stands in the way"))
		case at.kind != farm.Dir:
			return nil, memErr(op, p, farm.NotFound, fs.ErrNotExist)
		}
		next := at.children[m.entry(at, c)]
		if next == nil {
			return nil, memErr(op, p, farm.NotFound, fs.ErrNotExist)
		}
		at = next
	}
	return at, nil
}

// entry is the name under which dir has what name leads to; name itself if there is nothing.
func (m *Mem) entry(dir *node, name string) string {
	if !m.cfg.Fold || dir.children[name] != nil {
		return name
	}
	for have := range dir.children {
		if strings.EqualFold(have, name) { // one at most
			return have
		}
	}
	return name
}

// parent returns the directory that holds p, for making, moving or removing p in it.
func (m *Mem) parent(op string, p farm.Path, uid uint32) (*node, error) {
	if p.IsRoot() {
		return nil, memErr(op, p, farm.Conflict, fmt.Errorf("is the root"))
	}
	at, err := m.find(op, p.Parent())
	switch {
	case err != nil:
		return nil, err
	case at.kind == farm.Symlink:
		return nil, memErr(op, p, farm.Conflict, fmt.Errorf("a symbolic link stands in the way"))
	case at.kind != farm.Dir:
		return nil, memErr(op, p, farm.NotFound, fs.ErrNotExist)
	case uid != 0 && (at.uid != uid || at.mode&0o200 == 0):
		return nil, memErr(op, p, farm.Denied, fs.ErrPermission)
	}
	return at, nil
}

// attach gives n the name p, which must be free.
func (m *Mem) attach(op string, n *node, p farm.Path, uid uint32) error {
	at, err := m.parent(op, p, uid)
	if err != nil {
		return err
	}
	if at.children[m.entry(at, p.Base())] != nil {
		return memErr(op, p, farm.Exists, fs.ErrExist)
	}
	at.children[p.Base()] = n
	n.links++
	at.mtime = m.touch(at)
	m.touch(n)
	return nil
}

// detach takes the name p away from its inode.
func (m *Mem) detach(op string, p farm.Path, uid uint32, ok func(*node) error) (*node, error) {
	at, err := m.parent(op, p, uid)
	if err != nil {
		return nil, err
	}
	name := m.entry(at, p.Base())
	n := at.children[name]
	if n == nil {
		return nil, memErr(op, p, farm.NotFound, fs.ErrNotExist)
	}
	if err := ok(n); err != nil {
		return nil, err
	}
	delete(at.children, name)
	n.links--
	at.mtime = m.touch(at)
	m.touch(n)
	return n, nil
}

func typeBits(t farm.Type) uint32 {
	return [...]uint32{farm.Absent: 0o010000, farm.File: 0o100000, farm.Dir: 0o040000, farm.Symlink: 0o120000}[t]
}

func (m *Mem) stat(n *node) Stat {
	s := Stat{
		Type: n.kind, Other: n.other, Links: n.links, Owner: m.owner(n),
		Fingerprint: farm.Fingerprint{
			Dev: 1, Ino: n.ino, Size: int64(len(n.data) + len(n.target)), MTime: n.mtime, CTime: n.ctime,
			Mode: typeBits(n.kind) | n.mode, UID: n.uid, GID: n.gid,
		},
	}
	if n.kind == farm.Symlink {
		s.Mode |= 0o777
	}
	s.bits, s.XAttrs = m.cfg.Options.bits(s.Type), !m.cfg.NoXAttrs && m.cfg.Options.any(s.Type)
	s.Racy = m.cfg.Now().UnixNano()-n.ctime < int64(RacyWindow)
	return s
}

func (m *Mem) owner(n *node) farm.Owner {
	return farm.Owner{UID: n.uid, GID: n.gid, User: nameOf(m.cfg.Users, n.uid), Group: nameOf(m.cfg.Groups, n.gid)}
}

// nameOf is the first name, in order, that has the id.
func nameOf(ids map[string]uint32, id uint32) string {
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		if ids[name] == id {
			return name
		}
	}
	return ""
}

// set applies attributes as uid.
func (m *Mem) set(op string, p farm.Path, n *node, set SetAttr, uid uint32) error {
	if set.Ino != 0 && set.Ino != n.ino {
		return memErr(op, p, farm.Conflict, fmt.Errorf("another inode is there now"))
	}
	if uid != 0 && n.uid != uid && (set.Mode != nil || set.MTime != nil) {
		return memErr(op, p, farm.Denied, fs.ErrPermission)
	}
	if o := set.Owner; o != nil && uid == 0 {
		n.uid, n.gid = memNames{m}.ids(*o)
		if n.kind == farm.File {
			n.mode &^= farm.SpecialBits // as chown does
		}
	}
	if set.XAttrs != nil {
		m.setXAttrs(n, *set.XAttrs)
	}
	if set.Mode != nil && n.kind != farm.Symlink {
		mode := *set.Mode & m.cfg.Options.bits(n.kind)
		if n.kind == farm.Dir {
			mode |= n.mode & 0o2000
		} else if set.Owner != nil && uid != 0 && (memNames{m}.other(*set.Owner, n)) {
			mode &^= farm.SpecialBits
		}
		if set.XAttrs != nil && m.cfg.NoXAttrs {
			mode = withoutACL(mode, *set.XAttrs)
		}
		n.mode = mode
	}
	m.touch(n)
	if set.MTime != nil {
		n.mtime = *set.MTime
	}
	return nil
}

// room tells whether the disk can take more bytes.
func (m *Mem) room(op string, p farm.Path, more int) error {
	if m.cfg.Bytes > 0 && m.root.bytes(map[*node]bool{})+int64(more) > m.cfg.Bytes {
		return memErr(op, p, farm.Full, fmt.Errorf("no space left on device"))
	}
	return nil
}

func (n *node) bytes(seen map[*node]bool) int64 {
	if seen[n] {
		return 0
	}
	seen[n] = true
	sum := int64(len(n.data))
	for _, c := range n.children {
		sum += c.bytes(seen)
	}
	return sum
}
