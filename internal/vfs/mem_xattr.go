package vfs

import (
	"tandem/internal/farm"
)

// memNames resolves by the users and groups of the machine.
type memNames struct{ m *Mem }

func (r memNames) owner(uid, gid uint32) farm.Owner {
	return farm.Owner{UID: uid, GID: gid, User: nameOf(r.m.cfg.Users, uid), Group: nameOf(r.m.cfg.Groups, gid)}
}

func (r memNames) ids(o farm.Owner) (uid, gid uint32) {
	uid, gid = o.UID, o.GID
	if v, ok := r.m.cfg.Users[o.User]; ok {
		uid = v
	}
	if v, ok := r.m.cfg.Groups[o.Group]; ok {
		gid = v
	}
	return uid, gid
}

// other tells whether n belongs to somebody else than o.
func (r memNames) other(o farm.Owner, n *node) bool {
	uid, gid := r.ids(o)
	return uid != n.uid || gid != n.gid
}

// setXAttrs replaces the attributes of the tree. A list is kept with the ids that its names have here.
func (m *Mem) setXAttrs(n *node, x farm.XAttrs) {
	if m.cfg.NoXAttrs {
		return
	}
	n.xattrs = m.acls(m.cfg.Options.only(x, n.kind), func(list []farm.ACLEntry) []farm.ACLEntry {
		return named(memNames{m}, numbered(memNames{m}, list))
	})
}

// acls rewrites the lists among x.
func (m *Mem) acls(x farm.XAttrs, as func([]farm.ACLEntry) []farm.ACLEntry) farm.XAttrs {
	var list []farm.XAttr
	for name, value := range x.All() {
		if name == farm.XAttrACL || name == farm.XAttrDefaultACL {
			entries, err := farm.ParseACL(value)
			if err != nil {
				continue
			}
			value = farm.FormatACL(as(entries))
		}
		list = append(list, farm.XAttr{Name: name, Value: value})
	}
	return bounded(list)
}

// XAttrs is FS.XAttrs.
func (m *Mem) XAttrs(p farm.Path) (farm.XAttrs, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.find("getxattr", p)
	if err != nil {
		return farm.XAttrs{}, err
	}
	return n.xattrs, nil
}

func (f *memFile) XAttrs() (farm.XAttrs, error) {
	unlock, err := f.lock("getxattr")
	if err != nil {
		return farm.XAttrs{}, err
	}
	defer unlock()
	return f.n.xattrs, nil
}
