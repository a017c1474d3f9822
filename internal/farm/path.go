package farm

import (
	"fmt"
	"strings"
)

// Limits of a path inside a folder, in bytes. They are those of Linux.
const (
	MaxPathBytes = 4095
	MaxNameBytes = 255
)

// Path is the place of an entry inside a folder: components joined by "/", with no leading slash, no empty, "." or ".."
// component and no NUL; the zero value is the folder's root. Bytes need not be UTF-8. ParsePath and Join are the only
// ways to one.
type Path struct{ s string }

// ParsePath returns s as a Path. "." and "" are the root.
func ParsePath(s string) (Path, error) {
	if s == "" || s == "." {
		return Path{}, nil
	}
	if len(s) > MaxPathBytes {
		return Path{}, fmt.Errorf("path of %d bytes is longer than %d", len(s), MaxPathBytes)
	}
	for c := range strings.SplitSeq(s, "/") {
		if err := checkName(c); err != nil {
			return Path{}, fmt.Errorf("path %q: %w", s, err)
		}
	}
	return Path{s}, nil
}

// MustPath is ParsePath for constants and tests; it panics on an error.
func MustPath(s string) Path {
	p, err := ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

func checkName(c string) error {
	switch {
	case c == "":
		return fmt.Errorf("empty component")
	case c == "." || c == "..":
		return fmt.Errorf("component %q is not allowed", c)
	case len(c) > MaxNameBytes:
		return fmt.Errorf("component of %d bytes is longer than %d", len(c), MaxNameBytes)
	case strings.IndexByte(c, 0) >= 0:
		return fmt.Errorf("component holds a NUL byte")
	case strings.IndexByte(c, '/') >= 0:
		return fmt.Errorf("component holds a slash")
	}
	return nil
}

// Join returns the path of the entry called name in p.
func (p Path) Join(name string) (Path, error) {
	if err := checkName(name); err != nil {
		return Path{}, fmt.Errorf("name %q: %w", name, err)
	}
	if p.s == "" {
		return Path{name}, nil
	}
	if len(p.s)+1+len(name) > MaxPathBytes {
		return Path{}, fmt.Errorf("path of %d bytes is longer than %d", len(p.s)+1+len(name), MaxPathBytes)
	}
	return Path{p.s + "/" + name}, nil
}

// String is the path with "/" between its components; the root is ".".
func (p Path) String() string {
	if p.s == "" {
		return "."
	}
	return p.s
}

// IsRoot tells whether p is the folder itself.
func (p Path) IsRoot() bool { return p.s == "" }

// Parent is the directory that holds p; the root is its own parent.
func (p Path) Parent() Path {
	if i := strings.LastIndexByte(p.s, '/'); i >= 0 {
		return Path{p.s[:i]}
	}
	return Path{}
}

// Base is the last component; the root has none.
func (p Path) Base() string { return p.s[strings.LastIndexByte(p.s, '/')+1:] }

// Depth is the number of components; the root has 0.
func (p Path) Depth() int {
	if p.s == "" {
		return 0
	}
	return 1 + strings.Count(p.s, "/")
}

// Under tells whether p lies below dir (p itself does not).
func (p Path) Under(dir Path) bool {
	if dir.s == "" {
		return p.s != ""
	}
	return len(p.s) > len(dir.s) && p.s[len(dir.s)] == '/' && p.s[:len(dir.s)] == dir.s
}

// Compare orders paths so that a directory stands before all below it, and what is below it stands together.
func (p Path) Compare(q Path) int {
	a, b := p.s, q.s
	for i := 0; i < len(a) && i < len(b); i++ {
		if a[i] == b[i] {
			continue
		}
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		}
		return 1
	}
	return len(a) - len(b)
}

// PrivateDir is the name of Tandem's private area in the root of a folder: staging, preserved files, barriers.
// It is never replicated and never served.
const PrivateDir = ".tandem"

// Private tells whether p is Tandem's private area or lies in it.
func (p Path) Private() bool {
	return p.s == PrivateDir || strings.HasPrefix(p.s, PrivateDir+"/")
}
