package vfs

import (
	"strings"

	"tandem/internal/farm"
)

// Options say what of the attributes belongs to the tree. What does not is neither reported nor altered.
type Options struct {
	XAttrs  XAttrScope
	Special bool // setuid and setgid bits of files
}

// XAttrScope says which extended attributes belong to the tree.
type XAttrScope uint8

const (
	XAttrsUser XAttrScope = iota // user.* and POSIX access control lists
	XAttrsAll                    // security.* (labels, capabilities) and trusted.* too
	XAttrsNone
)

// bits are the mode bits that belong to the tree.
func (o Options) bits(t farm.Type) uint32 {
	if o.Special && t == farm.File {
		return farm.ModeBits | farm.SpecialBits
	}
	return farm.ModeBits
}

// any tells whether something of that type can have attributes of the tree at all: Linux lets a symbolic link have
// neither user.* nor a list.
func (o Options) any(t farm.Type) bool {
	switch t {
	case farm.File, farm.Dir:
		return o.XAttrs != XAttrsNone
	case farm.Symlink:
		return o.XAttrs == XAttrsAll
	}
	return false
}

// has tells whether an attribute belongs to the tree. Never do: hashes that are made with a key of the machine, and the
// marks that an overlay or a cluster file system puts on its own layers.
func (o Options) has(name string, t farm.Type) bool {
	switch {
	case !o.any(t) || len(name) > farm.MaxXAttrNameBytes:
		return false
	case strings.HasPrefix(name, "user."), name == farm.XAttrACL:
		return t != farm.Symlink
	case name == farm.XAttrDefaultACL:
		return t == farm.Dir
	case o.XAttrs != XAttrsAll:
		return false
	case strings.HasPrefix(name, "security."):
		return name != "security.evm" && name != "security.ima"
	}
	return strings.HasPrefix(name, "trusted.") && !strings.HasPrefix(name, "trusted.overlay.") &&
		!strings.HasPrefix(name, "trusted.glusterfs.") && !strings.HasPrefix(name, "trusted.afr.")
}

// only returns what of x belongs to the tree.
func (o Options) only(x farm.XAttrs, t farm.Type) farm.XAttrs {
	var list []farm.XAttr
	for name, value := range x.All() {
		if o.has(name, t) {
			list = append(list, farm.XAttr{Name: name, Value: value})
		}
	}
	return bounded(list)
}

// bounded is the list as one value; what is beyond the bounds is left out, the last by name first.
func bounded(list []farm.XAttr) farm.XAttrs {
	for {
		x, err := farm.MakeXAttrs(list)
		if err == nil {
			return x
		}
		list = list[:len(list)-1]
	}
}

// resolver turns ids into names and back, as far as the system knows them.
type resolver interface {
	owner(uid, gid uint32) farm.Owner
	ids(farm.Owner) (uid, gid uint32)
}

// named puts the names that the system has to the ids of a list.
func named(r resolver, list []farm.ACLEntry) []farm.ACLEntry {
	for i, e := range list {
		switch {
		case !e.Named:
		case e.Tag == 'u':
			list[i].Name = r.owner(e.ID, 0).User
		default:
			list[i].Name = r.owner(0, e.ID).Group
		}
	}
	return list
}

// numbered puts the ids that the system has to the names of a list.
func numbered(r resolver, list []farm.ACLEntry) []farm.ACLEntry {
	for i, e := range list {
		switch {
		case !e.Named:
		case e.Tag == 'u':
			list[i].ID, _ = r.ids(farm.Owner{UID: e.ID, User: e.Name})
		default:
			_, list[i].ID = r.ids(farm.Owner{GID: e.ID, Group: e.Name})
		}
	}
	return list
}

// groupPerm is what an access list gives to the owning group, whose place in the mode the mask takes.
func groupPerm(x farm.XAttrs) (perm uint32, ok bool) {
	text, ok := x.Get(farm.XAttrACL)
	if !ok {
		return 0, false
	}
	list, err := farm.ParseACL(text)
	for _, e := range list {
		if e.Tag == 'g' && !e.Named && err == nil {
			perm = uint32(e.Perm)
		}
	}
	return perm, true
}

// withoutACL is mode for a file system that can't hold the list that belongs to it: the mask would become the owning
// group's rights, which may be more than the list gives it.
func withoutACL(mode uint32, x farm.XAttrs) uint32 {
	if perm, ok := groupPerm(x); ok {
		mode &^= 0o070 &^ (perm << 3)
	}
	return mode
}
