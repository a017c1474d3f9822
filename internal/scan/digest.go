package scan

import (
	"hash"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
)

// newHash computes what farm.Digest holds.
func newHash() hash.Hash { return blake3.New() }

func digestOf(content []byte) farm.Digest { return blake3.Sum256(content) }
