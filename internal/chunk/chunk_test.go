package chunk

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

// noise is content that does not repeat itself.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(seed >> 16)}).Read(b)
	return b
}

// recipeOf hands content over in pieces of the sizes given, and at last in one.
func recipeOf(content []byte, sizes ...int) Recipe {
	m := NewMaker()
	for _, n := range sizes {
		n = min(n, len(content))
		_, _ = m.Write(content[:n])
		content = content[n:]
	}
	_, _ = m.Write(content)
	r, ok := m.Recipe()
	if !ok {
		panic("too many chunks")
	}
	return r
}

// assemble does what a plan says, with what is at hand and, as the remote, the wanted content.
func assemble(steps []Step, want []byte, have ...[]byte) []byte {
	out := make([]byte, len(want))
	for _, s := range steps {
		switch s.From {
		case Zeros:
		case Remote:
			copy(out[s.To:s.To+s.Len], want[s.To:])
		default:
			copy(out[s.To:s.To+s.Len], have[s.From][s.At:s.At+s.Len])
		}
	}
	return out
}

func remote(steps []Step) (n int64) {
	for _, s := range steps {
		if s.From == Remote {
			n += s.Len
		}
	}
	return n
}

// content draws noise and zeros in turn.
func content(t *rapid.T) []byte {
	var b []byte
	for range rapid.IntRange(1, 3).Draw(t, "parts") {
		b = append(b, noise(rapid.Uint64Range(0, 8).Draw(t, "seed"), rapid.IntRange(0, 600<<10).Draw(t, "bytes"))...)
		b = append(b, make([]byte, rapid.IntRange(0, 800<<10).Draw(t, "zeros"))...)
	}
	return b
}

func TestRecipeOfAnyPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := content(t)
		r := recipeOf(c)
		sizes := rapid.SliceOfN(rapid.IntRange(1, 700<<10), 0, 8).Draw(t, "sizes")
		if again := recipeOf(c, sizes...); !slices.Equal(r, again) {
			t.Fatalf("in pieces of %v it has %d chunks, in one %d", sizes, len(again), len(r))
		}
		if r.Size() != int64(len(c)) {
			t.Fatalf("size %d, want %d", r.Size(), len(c))
		}
		off := int64(0)
		for i, ch := range r {
			if !ch.Holds(c[off : off+ch.Len]) {
				t.Fatalf("chunk %d does not hold what is there", i)
			}
			off += ch.Len
		}
	})
}

func TestEncodings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := recipeOf(content(t)), recipeOf(content(t))
		if got, err := Decode(a.Encode(), nil); err != nil || !slices.Equal(got, a) {
			t.Fatalf("whole: %v, %d chunks of %d", err, len(got), len(a))
		}
		if got, err := Decode(a.EncodeAgainst(b), b); err != nil || !slices.Equal(got, a) {
			t.Fatalf("against: %v, %d chunks of %d", err, len(got), len(a))
		}
		if _, err := Decode(a.EncodeAgainst(b), append(slices.Clone(b), Chunk{Len: 1})); farm.KindOf(err) != farm.Corrupt {
			t.Fatalf("against another base: %v", err)
		}
	})
}

// TestEdits says what an edit of a large file costs.
func TestEdits(t *testing.T) {
	old := noise(1, 24<<20)
	base := recipeOf(old)
	t.Logf("%d bytes on average", len(old)/len(base))
	if n := len(old) / len(base); n < 64<<10 || n > 192<<10 {
		t.Errorf("chunks have %d bytes on average", n)
	}
	middle := bytes.Clone(old)
	copy(middle[len(old)/2:], noise(2, 1000))
	for name, edited := range map[string][]byte{
		"overwritten":     middle,
		"inserted":        append(noise(3, 1000), old...),
		"appended":        append(bytes.Clone(old), noise(4, 1<<20)...),
		"truncated":       old[:len(old)-1000],
		"grown by a hole": append(bytes.Clone(old), make([]byte, 16<<20)...),
	} {
		want := recipeOf(edited)
		steps := Plan(want, base)
		if !bytes.Equal(assemble(steps, edited, old), edited) {
			t.Errorf("%s: not put together", name)
		}
		encoded := len(want.EncodeAgainst(base))
		t.Logf("%s: %d bytes of recipe, %d to fetch, %d steps", name, encoded, remote(steps), len(steps))
		limit := int64(1 << 20)
		if name == "appended" {
			limit = 2 << 20
		}
		if encoded > 1000 || remote(steps) > limit {
			t.Errorf("%s: %d bytes of recipe, %d to fetch", name, encoded, remote(steps))
		}
	}
}

func TestPlan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want, a, b := content(t), content(t), content(t)
		steps := Plan(recipeOf(want), recipeOf(a), recipeOf(b))
		if !bytes.Equal(assemble(steps, want, a, b), want) {
			t.Fatal("not put together")
		}
		to, chunks := int64(0), 0
		for _, s := range steps {
			if s.To != to || s.First != chunks {
				t.Fatalf("step at %d, chunk %d, want %d, chunk %d", s.To, s.First, to, chunks)
			}
			to, chunks = to+s.Len, chunks+s.Count
		}
		if same := Plan(recipeOf(want), recipeOf(want)); remote(same) != 0 {
			t.Fatalf("%d bytes of itself are to be fetched", remote(same))
		}
	})
}

func TestMarks(t *testing.T) {
	old := noise(5, 32<<20)
	a := recipeOf(old).Marks()
	b := recipeOf(append(noise(6, 100<<10), old[:31<<20]...)).Marks()
	if len(a) != maxMarks {
		t.Fatalf("%d marks", len(a))
	}
	if !slices.ContainsFunc(a, func(m uint64) bool { return slices.Contains(b, m) }) {
		t.Error("what is similar shares no mark")
	}
	if c := recipeOf(noise(7, 8<<20)).Marks(); slices.ContainsFunc(a, func(m uint64) bool { return slices.Contains(c, m) }) {
		t.Error("what is not similar shares a mark")
	}
}

// TestDecodeOld reads what the first release wrote.
func TestDecodeOld(t *testing.T) {
	base := Recipe{{Len: 5, Sum: Sum{1}}, {Len: 7}, {Len: 6, Sum: Sum{2}}}
	old := "\x01" + "\x14\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "\x1d" +
		"\x18\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if got, err := Decode([]byte(old), nil); err != nil || !slices.Equal(got, base) {
		t.Errorf("%v, %v", got, err)
	}
	want := Recipe{{Len: 7}, {Len: 6, Sum: Sum{2}}, {Len: 9, Sum: Sum{3}}}
	against := want.EncodeAgainst(base)
	tail := "\x0a\x02" + "\x24\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	if !bytes.HasSuffix(against, []byte("\x1d\x06\x04"+tail[2:])) {
		t.Errorf("against: %x", against)
	}
	run := slices.Concat([]byte{2}, base.sum(), []byte(tail))
	if got, err := Decode(run, base); err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzDecode(f *testing.F) {
	base := recipeOf(noise(8, 1<<20))
	f.Add(base.Encode())
	f.Add(base.EncodeAgainst(base))
	f.Add(append(base[3:].EncodeAgainst(base), base[:2].EncodeAgainst(base)[17:]...))
	f.Add([]byte{whole, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Decode(b, base)
		if err != nil {
			if farm.KindOf(err) != farm.Corrupt {
				t.Fatal(err)
			}
			return
		}
		if len(r) > MaxChunks || r.Size() < 0 {
			t.Fatalf("%d chunks of %d bytes", len(r), r.Size())
		}
		for _, c := range r {
			if c.Len < 1 || c.Len > MaxBytes && !c.Zero() {
				t.Fatalf("chunk %+v", c)
			}
		}
		if again, err := Decode(r.Encode(), nil); err != nil || !slices.Equal(r, again) {
			t.Fatalf("again: %v", err)
		}
		Plan(r, base)
	})
}

func BenchmarkMaker(b *testing.B) {
	c := noise(9, 64<<20)
	b.SetBytes(int64(len(c)))
	for b.Loop() {
		recipeOf(c, 1<<20, 1<<20)
	}
}
