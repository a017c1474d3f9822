package farm

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ACLEntry is an entry of a POSIX access control list (acl(5)).
type ACLEntry struct {
	Tag   byte   // 'u', 'g', 'm' or 'o'
	Named bool   // of a user or group of its own, not of the owner or the owning group
	ID    uint32 // of a named user or group
	Name  string // ... and its name; empty: the sender's system has none
	Perm  uint8  // rwx as 4, 2, 1
}

// MaxACLEntries bounds a list.
const MaxACLEntries = 512

// FormatACL writes entries as text: "g=5,u:1000:alice=6,g:33:www-data=4".
//
// Of an access list it leaves out what the mode says: the owner's entry, the mask (in the mode's place for the group) and
// that of the others. So chmod changes the mode only, setfacl the list only, and the two can't fight. A list that says no
// more than the mode does is no list. Lists for new files (default) are written whole.
func FormatACL(list []ACLEntry) string {
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b ACLEntry) int {
		if a.Named != b.Named {
			if b.Named {
				return -1
			}
			return 1
		}
		order := func(t byte) int { return strings.IndexByte("ugmo", t) }
		return cmp.Or(cmp.Compare(order(a.Tag), order(b.Tag)), cmp.Compare(a.ID, b.ID))
	})
	var b strings.Builder
	for i, e := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte(e.Tag)
		if e.Named {
			b.WriteString(":" + strconv.FormatUint(uint64(e.ID), 10))
			if e.Name != "" && aclName(e.Name) {
				b.WriteString(":" + e.Name)
			}
		}
		b.WriteString("=" + strconv.Itoa(int(e.Perm)))
	}
	return b.String()
}

// aclName tells whether the name can stand in the text; one that can't is left out, and its number decides.
func aclName(s string) bool {
	return len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r == ',' || r == '=' || r < ' ' })
}

// ParseACL is the inverse of FormatACL.
func ParseACL(s string) ([]ACLEntry, error) {
	bad := func(f string) error { return fmt.Errorf("%q is no entry of an access control list", f) }
	var list []ACLEntry
	for f := range strings.SplitSeq(s, ",") {
		left, perm, ok := strings.Cut(f, "=")
		p, err := strconv.ParseUint(perm, 8, 8)
		if !ok || err != nil || p > 7 || len(perm) != 1 || left == "" {
			return nil, bad(f)
		}
		e := ACLEntry{Tag: left[0], Perm: uint8(p)}
		if len(left) > 1 {
			id, name, _ := strings.Cut(strings.TrimPrefix(left[1:], ":"), ":")
			n, err := strconv.ParseUint(id, 10, 32)
			if err != nil || left[1] != ':' || e.Tag != 'u' && e.Tag != 'g' || !aclName(name) {
				return nil, bad(f)
			}
			e.Named, e.ID, e.Name = true, uint32(n), name
		}
		if strings.IndexByte("ugmo", e.Tag) < 0 {
			return nil, bad(f)
		}
		if list = append(list, e); len(list) > MaxACLEntries {
			return nil, fmt.Errorf("an access control list has more than %d entries", MaxACLEntries)
		}
	}
	return list, nil
}

// sameACL compares two lists as owners are compared: by name where both have one, else by number.
func sameACL(a, b string) bool {
	la, errA := ParseACL(a)
	lb, errB := ParseACL(b)
	if errA != nil || errB != nil || len(la) != len(lb) {
		return false
	}
	for _, e := range la {
		i := slices.IndexFunc(lb, func(f ACLEntry) bool {
			if e.Tag != f.Tag || e.Named != f.Named || e.Perm != f.Perm {
				return false
			}
			if e.Name != "" && f.Name != "" {
				return e.Name == f.Name
			}
			return e.ID == f.ID
		})
		if i < 0 {
			return false
		}
		lb = slices.Delete(lb, i, i+1)
	}
	return true
}
