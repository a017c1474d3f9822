package web

import (
	"strings"

	"tandem/internal/farm"
)

// private tells whether a URL path leads into Tandem's private area of a folder, or would on a file system that ignores
// case, takes a backslash for a slash or drops dots and blanks at the end of a name.
func private(path string) bool {
	for rest := path; ; {
		i := strings.IndexByte(rest, '.')
		if i < 0 {
			return false
		}
		if (i == 0 || rest[i-1] == '/' || rest[i-1] == '\\') && startsPrivate(rest[i:]) {
			return true
		}
		rest = rest[i+1:]
		// A name begins after a slash; the rest of this one is of no interest.
		if i = strings.IndexAny(rest, `/\`); i < 0 {
			return false
		}
		rest = rest[i:]
	}
}

func startsPrivate(name string) bool {
	if i := strings.IndexAny(name, `/\`); i >= 0 {
		name = name[:i]
	}
	name, _, _ = strings.Cut(name, ":") // a stream of it, on NTFS
	return strings.EqualFold(strings.TrimRight(name, ". "), farm.PrivateDir)
}
