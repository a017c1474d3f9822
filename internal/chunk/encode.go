package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"tandem/internal/farm"
)

// Encodings, by their first byte.
const (
	whole   = 1 // a list of chunks
	against = 2 // the base's Sum, then runs of its chunks and others
)

// Kinds of an item, in the low bits of its first number. The rest of the number is the length of a chunk in bytes or that
// of a run in chunks.
const (
	itemChunk uint64 = iota // followed by its Sum
	itemZeros
	itemRun // followed by the difference between the index of its first chunk in the base and where the last run ended
)

const itemBits = 2 // of an item's first number

// MaxRecipeBytes bounds an encoded recipe.
const MaxRecipeBytes = 2 + MaxChunks*(len(Sum{})+4)

// Encode returns the recipe as bytes.
func (r Recipe) Encode() []byte {
	b := append(make([]byte, 0, 1+len(r)*(len(Sum{})+3)), whole)
	for _, c := range r {
		b = appendChunk(b, c)
	}
	return b
}

// item is the first number of an item.
func item(kind uint64, length int64) uint64 { return uint64(length)<<itemBits | kind }

func appendChunk(b []byte, c Chunk) []byte {
	if c.Zero() {
		return binary.AppendUvarint(b, item(itemZeros, c.Len))
	}
	b = binary.AppendUvarint(b, item(itemChunk, c.Len))
	return append(b, c.Sum[:]...)
}

// EncodeAgainst returns the recipe as bytes that Decode understands with the same base. What the two share costs a few
// bytes per run.
func (r Recipe) EncodeAgainst(base Recipe) []byte {
	b := append([]byte{against}, base.sum()...)
	at := make(map[Sum]int, len(base))
	for i, c := range base {
		if _, ok := at[c.Sum]; !ok && !c.Zero() {
			at[c.Sum] = i
		}
	}
	next := 0 // behind the last run
	for i := 0; i < len(r); {
		first := next
		if first >= len(base) || base[first] != r[i] {
			var ok bool
			if first, ok = at[r[i].Sum]; !ok || base[first] != r[i] {
				b = appendChunk(b, r[i])
				i++
				continue
			}
		}
		n := 1
		for first+n < len(base) && i+n < len(r) && base[first+n] == r[i+n] {
			n++
		}
		b = binary.AppendUvarint(b, item(itemRun, int64(n)))
		b = binary.AppendVarint(b, int64(first-next))
		next = first + n
		i += n
	}
	return b
}

func (r Recipe) sum() []byte {
	s := SumOf(r.Encode())
	return s[:]
}

var errShort = errors.New("it ends too early")

// Decode reads an encoded recipe, which may come from anybody. The error is farm.Corrupt. Base is what it may have been
// encoded against; nil: nothing.
func Decode(b []byte, base Recipe) (Recipe, error) {
	r, err := decode(b, base)
	if err != nil {
		return nil, farm.Errorf("decode recipe", "", farm.Corrupt, "%w", err)
	}
	return r, nil
}

func decode(b []byte, base Recipe) (Recipe, error) {
	if len(b) == 0 {
		return nil, errShort
	}
	kind, b := b[0], b[1:]
	switch kind {
	case whole:
		base = nil
	case against:
		want := base.sum()
		if len(b) < len(want) || string(b[:len(want)]) != string(want) {
			return nil, errors.New("it is against another base")
		}
		b = b[len(want):]
	default:
		return nil, fmt.Errorf("it is of kind %d, which is not known", kind)
	}
	d := decoder{rest: b, base: base, out: make(Recipe, 0, min(len(b)/len(Sum{})+1, MaxChunks))}
	for len(d.rest) > 0 {
		if err := d.item(); err != nil {
			return nil, err
		}
	}
	return d.out, nil
}

type decoder struct {
	rest []byte
	base Recipe
	next int // behind the last run
	out  Recipe
	size int64
}

func (d *decoder) item() error {
	head, n := binary.Uvarint(d.rest)
	if n <= 0 {
		return errShort
	}
	d.rest = d.rest[n:]
	length := int64(head >> itemBits)
	switch head & (1<<itemBits - 1) {
	case itemChunk:
		if len(d.rest) < len(Sum{}) {
			return errShort
		}
		c := Chunk{Len: length, Sum: Sum(d.rest[:len(Sum{})])}
		d.rest = d.rest[len(c.Sum):]
		if length > MaxBytes || c.Zero() {
			return fmt.Errorf("chunk of %d bytes with digest %x", length, c.Sum)
		}
		return d.add(c)
	case itemZeros:
		return d.add(Chunk{Len: length})
	case itemRun:
		return d.run(length)
	}
	return fmt.Errorf("item %d is not known", head)
}

func (d *decoder) run(length int64) error {
	diff, n := binary.Varint(d.rest)
	if n <= 0 {
		return errShort
	}
	d.rest = d.rest[n:]
	have := int64(len(d.base))
	if diff < -have || diff > have {
		return fmt.Errorf("a run begins %d chunks away", diff)
	}
	first := int64(d.next) + diff
	if length < 1 || first < 0 || length > have || first > have-length {
		return fmt.Errorf("a run of %d chunks from %d on, of %d", length, first, have)
	}
	for _, c := range d.base[first : first+length] {
		if err := d.add(c); err != nil {
			return err
		}
	}
	d.next = int(first + length)
	return nil
}

func (d *decoder) add(c Chunk) error {
	if c.Len < 1 || c.Len > math.MaxInt64-d.size {
		return fmt.Errorf("chunk of %d bytes", c.Len)
	}
	if len(d.out) == MaxChunks {
		return fmt.Errorf("more than %d chunks", MaxChunks)
	}
	d.size += c.Len
	d.out = append(d.out, c)
	return nil
}
