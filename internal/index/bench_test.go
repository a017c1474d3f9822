package index

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// benchPath is a path as a shop with a million photos has them: 500 directories of 2,000 files.
func benchPath(i int) string {
	return fmt.Sprintf("wp-content/uploads/%04d/%02d/photo-%07d.jpg", 2000+i/24_000, i/2_000%12+1, i)
}

func fill(b *testing.B, x *Index, from, to, size int) {
	b.Helper()
	batch := Batch{Meta: &farm.Meta{}}
	for i := from; i < to; i++ {
		batch.Put = append(batch.Put, photo(benchPath(i), i))
		if len(batch.Put) == size || i == to-1 {
			batch.Meta.Seq = farm.Seq(i)
			commit(b, x, batch)
			batch.Put = batch.Put[:0]
		}
	}
}

// BenchmarkCommit changes one file of 20,000: what stands between a change and its being sent.
func BenchmarkCommit(b *testing.B) {
	x := openTest(b, b.TempDir())
	fill(b, x, 0, 20_000, 1000)
	m := farm.Meta{Actor: web1}
	var took []time.Duration
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		m.Seq++
		batch := Batch{Put: []farm.Record{photo(benchPath(n*7919%20_000), n)}, Meta: &m}
		began := time.Now()
		commit(b, x, batch)
		took = append(took, time.Since(began))
		if n%1000 == 0 { // the group sync of the runner
			if err := x.Sync(); err != nil {
				b.Fatal(err)
			}
		}
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkCommitDurable is a commit and its sync.
func BenchmarkCommitDurable(b *testing.B) {
	x := openTest(b, b.TempDir())
	fill(b, x, 0, 20_000, 1000)
	for n := 0; b.Loop(); n++ {
		commit(b, x, Batch{Put: []farm.Record{photo(benchPath(n*7919%20_000), n)}})
		if err := x.Sync(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSeed stores 20,000 files in batches.
func BenchmarkSeed(b *testing.B) {
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("by ", size), func(b *testing.B) {
			for b.Loop() {
				x := openTest(b, b.TempDir())
				fill(b, x, 0, 20_000, size)
				closeTest(b, x)
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	x := openTest(b, b.TempDir())
	fill(b, x, 0, 20_000, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok, err := x.Get(farm.MustPath(benchPath(rand.IntN(20_000)))); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

// BenchmarkChildren lists the directory above 20,000 files in ten directories: ten seeks.
func BenchmarkChildren(b *testing.B) {
	x := openTest(b, b.TempDir())
	fill(b, x, 0, 20_000, 1000)
	for b.Loop() {
		if _, err := x.Children(farm.MustPath("wp-content/uploads/2000")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	r := photo(benchPath(1), 1)
	v := encodeRecord(nil, r)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			v = encodeRecord(v[:0], r)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := decodeRecord(r.Path, v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkMillion fills an index with a million files once and reports what it then needs: memory at rest, disk, the
// time to open and to read all.
func BenchmarkMillion(b *testing.B) {
	const files = 1_000_000
	dir := b.TempDir()
	x := openTest(b, dir)
	fill(b, x, 0, files, 1000)
	closeTest(b, x)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			closeTest(b, openTest(b, dir))
		}
	})
	x = openTest(b, dir)
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			n := 0
			for _, err := range x.All(farm.Path{}) {
				if err != nil {
					b.Fatal(err)
				}
				n++
			}
			if n != files {
				b.Fatal(n)
			}
		}
		debug.FreeOSMemory()
		b.ReportMetric(residentMB(), "MB-at-rest")
		if i, err := os.Stat(dir + "/" + databaseName); err == nil {
			b.ReportMetric(float64(i.Size())/1e6, "MB-on-disk")
		}
	})
}

// residentMB is the process's resident anonymous memory, or 0 where the system does not tell.
func residentMB() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kb float64
	_, rest, _ := strings.Cut(string(text), "RssAnon:")
	fmt.Sscan(rest, &kb)
	return kb / 1e3
}
