package farm

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Bounds of the extended attributes of one path. What is beyond them is not replicated.
const (
	MaxXAttrs          = 128
	MaxXAttrNameBytes  = 255
	MaxXAttrValueBytes = 64 << 10
	MaxXAttrBytes      = 128 << 10 // names, values and lengths together
)

// Names of the extended attributes that hold POSIX access control lists. Their values are texts as FormatACL writes them.
const (
	XAttrACL        = "system.posix_acl_access"
	XAttrDefaultACL = "system.posix_acl_default"
)

// XAttr is one extended attribute.
type XAttr struct{ Name, Value string }

// XAttrs are the extended attributes of a path, access control lists among them. The value is canonical, so that two of
// them can be compared with ==; Same also takes lists for equal that name the same users under other numbers. The zero
// value is none.
type XAttrs struct{ s string } // per attribute, by name: uvarint length, name, uvarint length, value

// MakeXAttrs returns the attributes of the list, whose order does not matter.
func MakeXAttrs(list []XAttr) (XAttrs, error) {
	if len(list) == 0 {
		return XAttrs{}, nil
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b XAttr) int { return strings.Compare(a.Name, b.Name) })
	var b []byte
	for i, a := range list {
		if err := a.check(); err != nil {
			return XAttrs{}, err
		}
		if i > 0 && list[i-1].Name == a.Name {
			return XAttrs{}, fmt.Errorf("extended attribute %q stands twice", a.Name)
		}
		b = a.append(b)
	}
	if len(list) > MaxXAttrs || len(b) > MaxXAttrBytes {
		return XAttrs{}, fmt.Errorf("%d extended attributes of %d bytes are more than %d of %d", len(list), len(b), MaxXAttrs, MaxXAttrBytes)
	}
	return XAttrs{string(b)}, nil
}

func (a XAttr) append(b []byte) []byte {
	b = append(binary.AppendUvarint(b, uint64(len(a.Name))), a.Name...)
	return append(binary.AppendUvarint(b, uint64(len(a.Value))), a.Value...)
}

func (a XAttr) check() error {
	switch {
	case a.Name == "" || len(a.Name) > MaxXAttrNameBytes || strings.IndexByte(a.Name, 0) >= 0:
		return fmt.Errorf("%q is no name of an extended attribute", a.Name[:min(len(a.Name), MaxXAttrNameBytes)])
	case len(a.Value) > MaxXAttrValueBytes:
		return fmt.Errorf("extended attribute %s of %d bytes is larger than %d", a.Name, len(a.Value), MaxXAttrValueBytes)
	case a.Name == XAttrACL || a.Name == XAttrDefaultACL:
		_, err := ParseACL(a.Value)
		return err
	}
	return nil
}

// ParseXAttrs is the inverse of Encoded. Only what MakeXAttrs could have made is valid.
func ParseXAttrs(s string) (XAttrs, error) {
	if s == "" {
		return XAttrs{}, nil
	}
	if len(s) > MaxXAttrBytes {
		return XAttrs{}, fmt.Errorf("extended attributes of %d bytes are more than %d", len(s), MaxXAttrBytes)
	}
	var list []XAttr
	for rest := s; rest != ""; {
		var a XAttr
		var ok bool
		if a, rest, ok = cutXAttr(rest); !ok || len(list) == MaxXAttrs {
			return XAttrs{}, fmt.Errorf("extended attributes are malformed")
		}
		list = append(list, a)
	}
	x, err := MakeXAttrs(list)
	if err == nil && x.s != s {
		err = fmt.Errorf("extended attributes are not in their canonical form")
	}
	if err != nil {
		return XAttrs{}, err
	}
	return x, nil
}

func cutXAttr(s string) (a XAttr, rest string, ok bool) {
	for _, to := range []*string{&a.Name, &a.Value} {
		n, size := binary.Uvarint([]byte(s[:min(len(s), binary.MaxVarintLen64)]))
		if size <= 0 || n > uint64(len(s)-size) {
			return a, "", false
		}
		*to, s = s[size:size+int(n)], s[size+int(n):]
	}
	return a, s, true
}

// Encoded is the canonical form: for storing and sending, not for people.
func (x XAttrs) Encoded() string { return x.s }

// IsZero tells whether there is none.
func (x XAttrs) IsZero() bool { return x.s == "" }

// All yields names and values by name.
func (x XAttrs) All() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for rest := x.s; rest != ""; {
			var a XAttr
			a, rest, _ = cutXAttr(rest)
			if !yield(a.Name, a.Value) {
				return
			}
		}
	}
}

// Get returns the value of one attribute.
func (x XAttrs) Get(name string) (string, bool) {
	for n, v := range x.All() {
		if n == name {
			return v, true
		}
	}
	return "", false
}

// Names lists the names, sorted.
func (x XAttrs) Names() []string {
	var names []string
	for n := range x.All() {
		names = append(names, n)
	}
	return names
}

// String is the names and the sizes of the values, for people.
func (x XAttrs) String() string {
	var b strings.Builder
	for n, v := range x.All() {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		if n == XAttrACL || n == XAttrDefaultACL {
			fmt.Fprintf(&b, "%s=%s", n, v)
		} else {
			fmt.Fprintf(&b, "%s(%d)", n, len(v))
		}
	}
	return b.String()
}

// Same tells whether the two have the same attributes. In access control lists names of users and groups decide where
// both sides have them, as with owners.
func (x XAttrs) Same(y XAttrs) bool {
	if x == y {
		return true
	}
	ax, ay := x.s, y.s
	for ax != "" && ay != "" {
		var a, b XAttr
		a, ax, _ = cutXAttr(ax)
		b, ay, _ = cutXAttr(ay)
		if a.Name != b.Name {
			return false
		}
		if a.Value == b.Value {
			continue
		}
		if a.Name != XAttrACL && a.Name != XAttrDefaultACL || !sameACL(a.Value, b.Value) {
			return false
		}
	}
	return ax == "" && ay == ""
}
