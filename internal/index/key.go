package index

import (
	"bytes"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// Keys are paths with a NUL for each slash. No name holds a NUL, and it sorts before every other byte, so the order of
// the keys' bytes is that of farm.Path.Compare: a directory comes before all below it, which stands together.
const (
	separator      = 0
	afterSeparator = 1 // key + afterSeparator is the least key behind all below key
)

func keyOf(p farm.Path) []byte {
	if p.IsRoot() {
		return []byte{}
	}
	return []byte(strings.ReplaceAll(p.String(), "/", string(rune(separator))))
}

func pathOf(key []byte) (farm.Path, error) {
	p, err := farm.ParsePath(string(bytes.ReplaceAll(key, []byte{separator}, []byte{'/'})))
	switch {
	case err != nil:
		return farm.Path{}, because(farm.Corrupt, "key %q: %w", key, err)
	case len(key) > 0 && p.IsRoot():
		return farm.Path{}, because(farm.Corrupt, "key %q is another spelling of the root", key)
	}
	return p, nil
}

// span is the range of keys from low (included) to high (excluded).
type span struct{ low, high []byte }

// subtree spans p and all below it.
func subtree(p farm.Path) span {
	k := keyOf(p)
	if p.IsRoot() {
		return span{k, afterAll()}
	}
	return span{k, append(bytes.Clone(k), afterSeparator)}
}

// below spans all below p, without p.
func below(p farm.Path) span {
	s := subtree(p)
	if p.IsRoot() {
		s.low = []byte{afterSeparator}
	} else {
		s.low = append(bytes.Clone(s.low), separator)
	}
	return s
}

// afterAll is behind every key, since no name is that long.
func afterAll() []byte { return slices.Repeat([]byte{0xff}, farm.MaxNameBytes+1) }
