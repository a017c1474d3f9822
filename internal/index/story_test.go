package index

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"tandem/internal/farm"
)

// The story is a fixed sequence of batches, so that after any crash the state tells how much of it happened: Meta.Seq is
// the number of batches, and all else follows from it.

const storyFiles = 40 // paths that the story writes again and again

func storyBatch(n int) Batch {
	b := Batch{Meta: &farm.Meta{Actor: web1, Seq: farm.Seq(n)}}
	for i := range 1 + n%3 {
		b.Put = append(b.Put, photo(storyPath(7*n+i), n))
	}
	if n%5 == 0 {
		b.Drop = []farm.Path{farm.MustPath(storyPath(3 * n))}
	}
	return b
}

func storyPath(i int) string { return fmt.Sprintf("dir-%d/file-%d", i%3, i%storyFiles) }

// storyState is what an index holds after n batches.
func storyState(n int) []farm.Record {
	m := map[farm.Path]farm.Record{}
	for i := 1; i <= n; i++ {
		b := storyBatch(i)
		for _, p := range b.Drop {
			delete(m, p)
		}
		for _, r := range b.Put {
			m[r.Path] = r
		}
	}
	var rs []farm.Record
	for _, r := range m {
		rs = append(rs, r)
	}
	slices.SortFunc(rs, func(a, b farm.Record) int { return a.Path.Compare(b.Path) })
	return rs
}

// checkStory returns how many batches x holds, and fails unless they are at least least and x holds them exactly.
func checkStory(t testing.TB, x *Index, least int) int {
	t.Helper()
	m, err := x.Meta()
	if err != nil {
		t.Fatal(err)
	}
	n := int(m.Seq)
	if n < least {
		t.Fatalf("only the first %d batches are there, of %d that were promised", n, least)
	}
	want := storyState(n)
	if got := all(t, x, farm.Path{}); !reflect.DeepEqual(got, want) {
		t.Fatalf("after %d batches:\n got %v\nwant %v", n, got, want)
	}
	var bytes int64
	asked := map[farm.Digest]bool{}
	for _, r := range want {
		bytes += r.Disk.Size
		if asked[r.Disk.Digest] {
			continue
		}
		asked[r.Disk.Digest] = true
		if ps, err := x.ByDigest(r.Disk.Digest); err != nil || !slices.Contains(ps, r.Path) {
			t.Fatalf("%s is not found by its digest: %v, %v", r.Path, ps, err)
		}
	}
	wantCounts(t, x, int64(len(want)), bytes)
	return n
}
