package scan

import (
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"tandem/internal/farm"
)

// excludes are patterns, ready to match.
type excludes struct {
	names []string // match a name at any depth
	paths []string // match a path from the root
}

// add takes a pattern in; false if it is malformed.
func (e *excludes) add(pattern string) bool {
	p := strings.TrimSuffix(pattern, "/")
	if p == "" || !doublestar.ValidatePattern(p) {
		return false
	}
	if dir, ok := strings.CutSuffix(p, "/**"); ok {
		p = dir + "/**/*" // doublestar lets "dir/**" match dir itself
	}
	if strings.Contains(p, "/") {
		e.paths = append(e.paths, strings.TrimPrefix(p, "/"))
	} else {
		e.names = append(e.names, p)
	}
	return true
}

// match tells whether a pattern matches p itself.
func (e excludes) match(p farm.Path) bool {
	for _, n := range e.names {
		if doublestar.MatchUnvalidated(n, p.Base()) {
			return true
		}
	}
	for _, n := range e.paths {
		if doublestar.MatchUnvalidated(n, p.String()) {
			return true
		}
	}
	return false
}
