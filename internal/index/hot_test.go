package index

import (
	"errors"
	"testing"

	"tandem/internal/farm"
)

// FuzzRecoverUnclean damages what a process that was killed has left of its index, the log or the database: the bits of
// mask are flipped at one place, and the rest from cut on is missing. What is read then is a beginning of what was
// committed, or called corrupt.
func FuzzRecoverUnclean(f *testing.F) {
	files, batches := uncleanStory(f)
	for _, at := range []uint32{0, 8, 12, 16, 24, 28, 31, 32, 36, 40, 56, 60, 4151, 4152, 4152 + 4120, 9999} {
		f.Add(true, at, uint64(1), uint32(0))
		f.Add(true, at, ^uint64(0), uint32(0))
		f.Add(true, uint32(0), uint64(0), at+1)
		f.Add(false, at, uint64(1), uint32(0))
		f.Add(false, uint32(0), uint64(0), at+1)
	}
	f.Fuzz(func(t *testing.T, log bool, at uint32, mask uint64, cut uint32) {
		name := databaseName
		if log {
			name += walSuffix
		}
		b := append([]byte(nil), files[name]...)
		for i := range 8 {
			b[(int(at)+i)%len(b)] ^= byte(mask >> (8 * i))
		}
		if cut > 0 { // a file that is empty is an index that is new
			b = b[:1+int(cut-1)%len(b)]
		}
		both := map[string][]byte{databaseName: files[databaseName], databaseName + walSuffix: files[databaseName+walSuffix]}
		both[name] = b
		x, err := Open(put(t, both), "shop")
		n := 0
		if err == nil {
			n, err = tellTrue(x)
			_ = x.Close() // may fail, since what it writes back may lie on a bad page
		}
		switch {
		case errors.Is(err, errUntrue) || err != nil && farm.KindOf(err) != farm.Corrupt:
			t.Fatalf("not called corrupt: %v", err)
		case err == nil && n > batches:
			t.Fatalf("%d batches, and there were only %d", n, batches)
		}
	})
}
