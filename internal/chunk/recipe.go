package chunk

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/zeebo/blake3"
)

// Sizes. Chunks of 100 KiB on average make the recipe of 1 GB 200 KB.
const (
	MinFileBytes = 256 << 10 // content up to this size is not cut: it is fetched whole

	minBytes    = 32 << 10 // of a chunk
	normalBytes = 64 << 10
	MaxBytes    = 512 << 10 // of a chunk that is no run of zeros

	// MaxChunks bounds a recipe: content of some 100 GB. What is larger is fetched whole.
	MaxChunks = 1 << 20

	maxMarks = 4
)

// Sum is the digest of a chunk: the first half of its BLAKE3. The zero Sum stands for zeros of any length.
type Sum [16]byte

// SumOf returns the digest of a chunk's bytes.
func SumOf(data []byte) Sum {
	d := blake3.Sum256(data)
	return Sum(d[:len(Sum{})])
}

// Chunk is a part of a content.
type Chunk struct {
	Len int64
	Sum Sum
}

// Zero tells whether the chunk is a run of zeros.
func (c Chunk) Zero() bool { return c.Sum == Sum{} }

// Holds tells whether data is the chunk's content.
func (c Chunk) Holds(data []byte) bool {
	if int64(len(data)) != c.Len {
		return false
	}
	if c.Zero() {
		return zeros(data) == len(data)
	}
	return SumOf(data) == c.Sum
}

// Recipe lists the chunks of a content in their order.
type Recipe []Chunk

// Size is that of the content.
func (r Recipe) Size() (n int64) {
	for _, c := range r {
		n += c.Len
	}
	return n
}

// Marks returns a few numbers that similar contents are likely to share: the least of their digests' beginnings.
func (r Recipe) Marks() []uint64 {
	marks := make([]uint64, 0, len(r))
	for _, c := range r {
		if !c.Zero() {
			marks = append(marks, binary.BigEndian.Uint64(c.Sum[:]))
		}
	}
	slices.Sort(marks)
	marks = slices.Compact(marks)
	return marks[:min(len(marks), maxMarks)]
}

var zeroPage [4096]byte

// zeros counts the zero bytes that data begins with.
func zeros(data []byte) (n int) {
	for len(data)-n >= len(zeroPage) && bytes.Equal(data[n:n+len(zeroPage)], zeroPage[:]) {
		n += len(zeroPage)
	}
	for n < len(data) && data[n] == 0 {
		n++
	}
	return n
}
