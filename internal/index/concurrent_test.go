package index

import (
	"fmt"
	"sync"
	"testing"

	"tandem/internal/farm"
)

// TestConcurrent reads in all ways while batches that rewrite everything are committed and synced: every reader sees one
// batch, never two.
func TestConcurrent(t *testing.T) {
	const files, batches, readers = 30, 60, 4
	x := openTest(t, quickDir(t))
	x.logCheckpoint = 100 << 10
	write := func(n int) {
		b := Batch{Meta: &farm.Meta{Seq: farm.Seq(n)}}
		for i := range files {
			b.Put = append(b.Put, photo(fmt.Sprintf("d/%d/f", i), n))
		}
		if err := x.Commit(b); err != nil {
			t.Error(err)
		}
	}
	write(1)
	done := make(chan struct{})
	var readersDone, syncerDone sync.WaitGroup
	for range readers {
		readersDone.Go(func() {
			for last := 0; ; {
				select {
				case <-done:
					return
				default:
					last = readOnce(t, x, files, last)
				}
			}
		})
	}
	syncerDone.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if err := x.Sync(); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for n := 2; n <= batches; n++ {
		write(n)
	}
	close(done)
	readersDone.Wait()
	syncerDone.Wait()
	wantCounts(t, x, files, files*batches)
}

// readOnce checks that all ways of reading see whole batches, none older than last, and returns the one it saw.
func readOnce(t *testing.T, x *Index, files, last int) int {
	n, seen := 0, 0
	for r, err := range x.All(farm.Path{}) {
		if err != nil {
			t.Error(err)
			return last
		}
		if n == 0 {
			n = int(r.Disk.Size)
		}
		if int(r.Disk.Size) != n {
			t.Errorf("%s is of batch %d, others are of %d", r.Path, r.Disk.Size, n)
		}
		seen++
	}
	if seen != files || n < last {
		t.Errorf("%d files of batch %d after batch %d", seen, n, last)
	}
	if r, ok, err := x.Get(farm.MustPath("d/7/f")); !ok || err != nil || int(r.Disk.Size) < n {
		t.Errorf("get: %v %v, batch %d after %d", ok, err, r.Disk.Size, n)
	}
	if m, err := x.Meta(); err != nil || int(m.Seq) < n {
		t.Errorf("meta: %v, batch %d after %d", err, m.Seq, n)
	}
	if live, err := x.Live(farm.MustPath("d/7")); !live || err != nil {
		t.Errorf("live: %v %v", live, err)
	}
	if c, err := x.Children(farm.MustPath("d/7")); len(c) != 1 || err != nil {
		t.Errorf("children: %v %v", c, err)
	}
	return n
}

// TestCloseWaits: Close lets an iteration end, and what begins after it fails.
func TestCloseWaits(t *testing.T) {
	x := openTest(t, quickDir(t))
	commit(t, x, Batch{Put: []farm.Record{photo("a", 1), photo("b", 1), photo("c", 1)}})
	closed := make(chan error, 1)
	started := false
	n := 0
	for _, err := range x.All(farm.Path{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		if !started {
			started = true
			go func() { closed <- x.Close() }()
			for { // until Close has been heard
				if _, _, err := x.Get(farm.MustPath("a")); farm.KindOf(err) == farm.Unavailable {
					break
				}
			}
		}
	}
	if err := <-closed; err != nil || n != 3 {
		t.Errorf("closed with %v after %d records", err, n)
	}
}
