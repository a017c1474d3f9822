package replica

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"

	"tandem/internal/farm"
)

// countedLog is a log in memory that counts what it is asked.
type countedLog struct {
	at   map[farm.Path]farm.Record
	gets int
}

func (l *countedLog) Get(p farm.Path) (farm.Record, bool, error) {
	l.gets++
	r, ok := l.at[p]
	return r, ok, nil
}

func (l *countedLog) Commit(put []farm.Record, drop []farm.Path, _ *farm.Meta) error {
	for _, p := range drop {
		delete(l.at, p)
	}
	for _, r := range put {
		l.at[r.Path] = r
	}
	return nil
}

func (l *countedLog) Empty(dir farm.Path) (bool, error) {
	for p := range l.at {
		if p != dir && p.Under(dir) {
			return false, nil
		}
	}
	return true, nil
}

func (l *countedLog) Sync() error { return nil }
func (l *countedLog) All(farm.Path) iter.Seq2[farm.Record, error] {
	return func(func(farm.Record, error) bool) {}
}
func (l *countedLog) Children(farm.Path) (map[string]farm.Disk, error) { return nil, nil }
func (l *countedLog) Live(farm.Path) (bool, error)                     { return false, nil }
func (l *countedLog) ByDigest(farm.Digest) ([]farm.Path, error)        { return nil, nil }
func (l *countedLog) Names(farm.Disk) ([]farm.Path, error)             { return nil, nil }

// TestBatchIsTheLog plays random puts, drops, commits and questions, more than are remembered, beside a plain map.
func TestBatchIsTheLog(t *testing.T) {
	log := &countedLog{at: map[farm.Path]farm.Record{}}
	b := newBatch(log)
	want := map[farm.Path]farm.Seq{}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 10 * recentRecords {
		p := farm.MustPath(fmt.Sprintf("d%d/f%d", rnd.IntN(40), rnd.IntN(2*recentRecords/20)))
		switch rnd.IntN(5) {
		case 0:
			b.Drop(p)
			delete(want, p)
		case 1, 2:
			want[p] = farm.Seq(i + 1)
			b.Put(farm.Record{Path: p, Disk: farm.Disk{Content: farm.Stamp{Dot: farm.Position{Seq: farm.Seq(i + 1)}}}})
		default:
			r, ok := b.Get(p)
			if n, there := want[p]; ok != there || r.Disk.Content.Dot.Seq != n {
				t.Fatalf("step %d: %s is %v (%v), want %v (%v)", i, p, r.Disk.Content.Dot.Seq, ok, n, there)
			}
		}
		if rnd.IntN(100) == 0 {
			b.commit()
		}
	}
	if len(b.recent.young) > recentRecords || len(b.recent.old) > recentRecords {
		t.Fatalf("remembers %d and %d records", len(b.recent.young), len(b.recent.old))
	}
}

// TestNewTreeAsksTheLogOncePerDirectory.
func TestNewTreeAsksTheLogOncePerDirectory(t *testing.T) {
	log := &countedLog{at: map[farm.Path]farm.Record{}}
	b := newBatch(log)
	for i := range 1000 {
		p := farm.MustPath(fmt.Sprintf("%s/f%d", strings.Repeat("d", 1+i%10), i))
		if _, ok := b.Get(p); ok {
			t.Fatal("found", p)
		}
		b.Put(farm.Record{Path: p})
		b.commit()
		if _, ok := b.Get(p); !ok {
			t.Fatal("lost", p)
		}
	}
	if log.gets > 10 {
		t.Fatalf("%d questions for 10 directories", log.gets)
	}
}
