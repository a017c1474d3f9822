package farm

import (
	"encoding/hex"
	"fmt"
)

// Digest is the BLAKE3-256 digest of a file's content. The zero value means "no content".
type Digest [32]byte

// IsZero tells whether there is no content.
func (d Digest) IsZero() bool { return d == Digest{} }

// String is the digest in lower-case hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is the first 12 digits of String, for people.
func (d Digest) Short() string { return d.String()[:12] }

// ParseDigest is the inverse of String.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(d) {
		return d, fmt.Errorf("%q is not a digest of 64 hexadecimal digits", s)
	}
	copy(d[:], b)
	return d, nil
}
