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

func compile(patterns []string) (excludes, error) {
	var e excludes
	for _, given := range patterns {
		p := strings.TrimSuffix(given, "/")
		if p == "" || !doublestar.ValidatePattern(p) {
			return e, &farm.Error{
				Op: "exclude", Path: given, Kind: farm.Invalid, Err: doublestar.ErrBadPattern,
				Next: `examples: "*.tmp", "cache/**", "/build"`,
			}
		}
		if dir, ok := strings.CutSuffix(p, "/**"); ok {
			p = dir + "/**/*" // doublestar lets "dir/**" match dir itself
		}
		if strings.Contains(p, "/") {
			e.paths = append(e.paths, strings.TrimPrefix(p, "/"))
		} else {
			e.names = append(e.names, p)
		}
	}
	return e, nil
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
