package vfs

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"tandem/internal/farm"
)

// inode is an open inode whose attributes are looked at or set. Those of one opened with O_PATH are reached through
// /proc, which leads to the inode itself and follows nothing, also when it is a symbolic link.
type inode struct {
	fd   int
	path bool // opened with O_PATH
}

func (i inode) list(buf []byte) (int, error) {
	if i.path {
		return unix.Listxattr(procFD(i.fd), buf)
	}
	return unix.Flistxattr(i.fd, buf)
}

func (i inode) get(name string, buf []byte) (int, error) {
	if i.path {
		return unix.Getxattr(procFD(i.fd), name, buf)
	}
	return unix.Fgetxattr(i.fd, name, buf)
}

func (i inode) put(name string, value []byte) error {
	if i.path {
		return unix.Setxattr(procFD(i.fd), name, value, 0)
	}
	return unix.Fsetxattr(i.fd, name, value, 0)
}

func (i inode) drop(name string) error {
	var err error
	if i.path {
		err = unix.Removexattr(procFD(i.fd), name)
	} else {
		err = unix.Fremovexattr(i.fd, name)
	}
	if err == unix.ENODATA {
		return nil
	}
	return err
}

func (i inode) chmod(mode uint32) error {
	if !i.path {
		return unix.Fchmod(i.fd, mode)
	}
	err := unix.Fchmodat(i.fd, "", mode, unix.AT_EMPTY_PATH)
	if err == unix.EOPNOTSUPP || err == unix.ENOSYS || err == unix.EINVAL { // before Linux 6.6
		err = unix.Chmod(procFD(i.fd), mode)
	}
	return err
}

func (i inode) chown(uid, gid int) error {
	if i.path {
		return unix.Fchownat(i.fd, "", uid, gid, unix.AT_EMPTY_PATH)
	}
	return unix.Fchown(i.fd, uid, gid)
}

func (i inode) utimes(mtime int64) error {
	ts := times(mtime)
	if !i.path {
		return futimens(i.fd, ts)
	}
	err := unix.UtimesNanoAt(i.fd, "", ts, unix.AT_EMPTY_PATH)
	if err == unix.EINVAL || err == unix.ENOENT { // before Linux 5.8
		err = unix.UtimesNanoAt(unix.AT_FDCWD, procFD(i.fd), ts, 0)
	}
	return err
}

// listBytes is the room for names of attributes at first: a file has none, or a few.
const listBytes = 1 << 10

// maxListBytes is what Linux allows for the names (XATTR_LIST_MAX).
const maxListBytes = 64 << 10

// names lists the attributes of the tree. It costs one call when there are none.
func (d *disk) attributeNames(i inode, t farm.Type) ([]string, error) {
	var small [listBytes]byte
	buf := small[:]
	n, err := i.list(buf)
	if err == unix.ERANGE {
		buf = make([]byte, maxListBytes)
		n, err = i.list(buf)
	}
	if err == unix.EOPNOTSUPP || n == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buf[:n]), "\x00"), "\x00") {
		if d.opt.has(name, t) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names[:min(len(names), farm.MaxXAttrs)], nil
}

// attributes reads the extended attributes of an inode that belong to the tree.
func (d *disk) attributes(i inode, t farm.Type) (farm.XAttrs, error) {
	if !d.xattrs || !d.opt.any(t) {
		return farm.XAttrs{}, nil
	}
	names, err := d.attributeNames(i, t)
	if err != nil || len(names) == 0 {
		return farm.XAttrs{}, err
	}
	var list []farm.XAttr
	buf := make([]byte, farm.MaxXAttrValueBytes)
	for _, name := range names {
		n, err := i.get(name, buf)
		if err == unix.ENODATA || err == unix.EOPNOTSUPP || err == unix.ERANGE {
			continue // gone meanwhile, which the ctime tells; or of a kind that no call can give
		}
		if err != nil {
			return farm.XAttrs{}, err
		}
		value := string(buf[:n])
		if name == farm.XAttrACL || name == farm.XAttrDefaultACL {
			if value = d.aclText(buf[:n], name == farm.XAttrACL); value == "" {
				continue
			}
		}
		list = append(list, farm.XAttr{Name: name, Value: value})
	}
	return bounded(list), nil
}

// The kernel's form of a list: a version, then entries of tag, permissions and id (linux/posix_acl_xattr.h).
const (
	aclVersion    = 2
	aclHeadBytes  = 4
	aclEntryBytes = 8
	aclNoID       = 1<<32 - 1

	aclUserObj  = 0x01
	aclUser     = 0x02
	aclGroupObj = 0x04
	aclGroup    = 0x08
	aclMask     = 0x10
	aclOther    = 0x20
)

// aclText is a list of the kernel's as farm.FormatACL writes it; empty if it says nothing or is of an unknown form.
func (d *disk) aclText(b []byte, access bool) string {
	if len(b) <= aclHeadBytes || binary.LittleEndian.Uint32(b) != aclVersion || (len(b)-aclHeadBytes)/aclEntryBytes > farm.MaxACLEntries {
		return ""
	}
	var list []farm.ACLEntry
	for b = b[aclHeadBytes:]; len(b) >= aclEntryBytes; b = b[aclEntryBytes:] {
		tag := binary.LittleEndian.Uint16(b)
		e := farm.ACLEntry{Perm: uint8(b[2] & 7), Named: tag == aclUser || tag == aclGroup}
		switch tag {
		case aclUserObj, aclUser:
			e.Tag = 'u'
		case aclGroupObj, aclGroup:
			e.Tag = 'g'
		case aclMask:
			e.Tag = 'm'
		case aclOther:
			e.Tag = 'o'
		default:
			return ""
		}
		if e.Named {
			e.ID = binary.LittleEndian.Uint32(b[4:])
		}
		if access && !e.Named && e.Tag != 'g' {
			continue // the mode says it
		}
		list = append(list, e)
	}
	return farm.FormatACL(named(&d.names, list))
}

// aclBytes is the inverse. What an access list leaves out is taken from the mode.
func (d *disk) aclBytes(text string, access bool, mode uint32) ([]byte, error) {
	list, err := farm.ParseACL(text)
	if err != nil {
		return nil, err
	}
	numbered(&d.names, list)
	if access {
		list = slices.DeleteFunc(list, func(e farm.ACLEntry) bool { return !e.Named && e.Tag != 'g' })
		perm := func(shift uint32) uint8 { return uint8(mode >> shift & 7) }
		list = append(list, farm.ACLEntry{Tag: 'u', Perm: perm(6)}, farm.ACLEntry{Tag: 'm', Perm: perm(3)}, farm.ACLEntry{Tag: 'o', Perm: perm(0)})
	}
	type raw struct {
		tag  uint16
		perm uint8
		id   uint32
	}
	var rows []raw
	for _, e := range list {
		r := raw{perm: e.Perm, id: aclNoID}
		switch {
		case e.Named && e.Tag == 'u':
			r.tag, r.id = aclUser, e.ID
		case e.Named:
			r.tag, r.id = aclGroup, e.ID
		default:
			r.tag = map[byte]uint16{'u': aclUserObj, 'g': aclGroupObj, 'm': aclMask, 'o': aclOther}[e.Tag]
		}
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b raw) int { // the kernel wants this order
		if a.tag != b.tag {
			return int(a.tag) - int(b.tag)
		}
		return int(int64(a.id) - int64(b.id))
	})
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, r := range rows {
		b = binary.LittleEndian.AppendUint16(b, r.tag)
		b = binary.LittleEndian.AppendUint16(b, uint16(r.perm))
		b = binary.LittleEndian.AppendUint32(b, r.id)
	}
	return b, nil
}
