package index

import (
	"math/rand/v2"
	"testing"

	"tandem/internal/farm"
)

// TestPowerCut cuts the power after each single operation on the disk. What was synced is there, and of what was not a
// prefix: never a part of a batch, never a later batch without the one before it.
func TestPowerCut(t *testing.T) {
	f := newTape(t)
	x, err := open(quickDir(t), "shop", f.name)
	if err != nil {
		t.Fatal(err)
	}
	x.logCheckpoint = 40 << 10 // several checkpoints and new beginnings of the log in this short story
	const batches, syncEvery = 30, 4
	for n := 1; n <= batches; n++ {
		f.add(op{kind: opBegun, off: int64(n)})
		commit(t, x, storyBatch(n))
		if n%syncEvery == 0 {
			if err := x.Sync(); err != nil {
				t.Fatal(err)
			}
			f.add(op{kind: opSynced, off: int64(n)})
		}
	}
	closeTest(t, x)
	f.add(op{kind: opSynced, off: batches})
	lost := 0
	for n := len(f.ops); n >= 0; n -= sample {
		dir := quickDir(t)
		least, most := f.cut(t, n, dir, rand.New(rand.NewPCG(uint64(n), 1)))
		x, err := Open(dir, "shop")
		if err != nil {
			t.Fatalf("after operation %d: %v", n, err)
		}
		got := checkStory(t, x, least)
		if got > most {
			t.Fatalf("after operation %d: %d batches, and only %d were begun", n, got, most)
		}
		lost += most - got
		if err := x.Commit(storyBatch(got + 1)); err != nil { // and it goes on
			t.Fatal(err)
		}
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d operations, %.1f batches lost on average", len(f.ops), float64(lost)/float64(len(f.ops)))
}

// TestFull lets the disk be full from each single write on. The commit fails as a whole and says why; with space it
// succeeds.
func TestFull(t *testing.T) {
	f := newTape(t)
	x, err := open(quickDir(t), "shop", f.name)
	if err != nil {
		t.Fatal(err)
	}
	defer closeTest(t, x)
	x.logLimit = 40 << 10
	n := 0
	for after := 1; n < 80/sample; after = after%12 + 1 {
		f.setFull(after)
		err := x.Commit(storyBatch(n + 1))
		f.setFull(0)
		if err == nil {
			n++ // it took fewer writes
			continue
		}
		if farm.KindOf(err) != farm.Full {
			t.Fatalf("batch %d, full after %d writes: %v", n+1, after, err)
		}
		if got := checkStory(t, x, n); got != n {
			t.Fatalf("%d batches after batch %d failed", got, n+1)
		}
		commit(t, x, storyBatch(n+1))
		n++
	}
	checkStory(t, x, n)
}

// TestSyncFails: after a sync that failed, the next does not rely on what the system has kept of the log.
func TestSyncFails(t *testing.T) {
	f := newTape(t)
	x, err := open(quickDir(t), "shop", f.name)
	if err != nil {
		t.Fatal(err)
	}
	defer closeTest(t, x)
	commit(t, x, storyBatch(1))
	f.syncFails.Store(true)
	for range 2 {
		if err := x.Sync(); farm.KindOf(err) != farm.Other {
			t.Fatalf("sync: %v", err)
		}
	}
	f.syncFails.Store(false)
	f.ops = nil
	for range 2 {
		if err := x.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	synced := ""
	for _, o := range f.ops {
		if o.kind == opSync {
			synced += o.file + " "
		}
	}
	// The first of the two carries over, the second is an ordinary one.
	if want := "index.db-wal index.db index.db-wal "; synced != want {
		t.Errorf("synced %q, want %q", synced, want)
	}
	checkStory(t, x, 1)
}
