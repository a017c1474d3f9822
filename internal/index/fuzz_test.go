package index

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzRecover damages the file of an index that was closed: the bits of mask are flipped at one place, and the rest from
// cut on is missing. Whatever is read then is right, or called corrupt.
func FuzzRecover(f *testing.F) {
	dir, err := os.MkdirTemp("", "index-fuzz-")
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { os.RemoveAll(dir) })
	x, err := Open(dir, "shop")
	if err != nil {
		f.Fatal(err)
	}
	for n := 1; n <= storyEnd; n++ {
		if err := x.Commit(storyBatch(n)); err != nil {
			f.Fatal(err)
		}
	}
	if err := x.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		f.Fatal(err)
	}
	for _, at := range []uint32{0, 16, 18, 24, 28, 56, 60, 96, 100, pageBytes - 1, pageBytes, 3*pageBytes + 7} {
		f.Add(at, uint64(1), uint32(0))
		f.Add(at, ^uint64(0), uint32(0))
		f.Add(uint32(0), uint64(0), at+1)
	}
	f.Fuzz(func(t *testing.T, at uint32, mask uint64, cut uint32) {
		b := append([]byte(nil), good...)
		for i := range 8 {
			b[(int(at)+i)%len(b)] ^= byte(mask >> (8 * i))
		}
		if cut > 0 { // a file that is empty is an index that is new
			b = b[:1+int(cut-1)%len(b)]
		}
		d := quickDir(t)
		if err := os.WriteFile(filepath.Join(d, databaseName), b, 0o600); err != nil {
			t.Fatal(err)
		}
		readAll(t, d)
	})
}
