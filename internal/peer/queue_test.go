package peer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

func change(seq, bytes int) farm.Change {
	return farm.Change{Content: make([]byte, bytes), Entry: farm.Entry{Attr: farm.Attr{Size: int64(seq)}}}
}

func changes(folder farm.FolderID, n, bytes int) wire.Changes {
	m := wire.Changes{Folder: folder}
	for i := range n {
		m.List = append(m.List, change(i, bytes))
	}
	return m
}

func TestQueueTakesFoldersInTurn(t *testing.T) {
	q := newQueue()
	q.push(changes("big", 100, 60<<10))
	q.push(wire.Want{Folder: "small"})
	q.push(changes("small", 1, 10))
	q.push(wire.Have{Folder: "small"})
	var folders []farm.FolderID
	for range 6 {
		m, ok := popAny(q)
		if !ok {
			t.Fatal("empty")
		}
		f, _ := items(m)
		folders = append(folders, f)
	}
	for i, want := range []farm.FolderID{"big", "small", "big", "small", "big", "small"} {
		if folders[i] != want {
			t.Fatalf("order %v", folders)
		}
	}
}

func TestQueueKeepsOrderAndMergesUpToAFrame(t *testing.T) {
	q := newQueue()
	for i := range 10 {
		q.push(wire.Changes{Folder: "f", List: []farm.Change{change(i, 60<<10)}})
	}
	q.push(wire.Have{Folder: "f"})
	q.push(wire.Changes{Folder: "f", List: []farm.Change{change(10, 0)}})
	next, frames, haveAt := 0, 0, -1
	for {
		m, ok := popAny(q)
		if !ok {
			break
		}
		frames++
		c, ok := m.(wire.Changes)
		if !ok {
			haveAt = next
			continue
		}
		size := 0
		for _, x := range c.List {
			if int(x.Entry.Size) != next {
				t.Fatalf("change %d after %d", x.Entry.Size, next-1)
			}
			next++
			size += len(x.Content)
		}
		if size > frameBytes {
			t.Errorf("a frame of %d bytes", size)
		}
	}
	if next != 11 || haveAt != 10 || frames != 5 { // 4 + 4 + 2, Have, 1
		t.Errorf("%d changes in %d frames, Have after %d", next, frames, haveAt)
	}
	if b, n := q.size(); b != 0 || n != 0 {
		t.Errorf("empty, yet %d bytes in %d entries", b, n)
	}
}

func TestQueueIsBounded(t *testing.T) {
	q := newQueue()
	if q.push(changes("large", queueEntries+1, 0)) {
		t.Error("too many entries were taken")
	}
	if b, n := q.size(); b != 0 || n != 0 {
		t.Errorf("a message that is dropped leaves %d bytes in %d entries", b, n)
	}
	pushed := 0
	for q.push(changes("f", 10, 64<<10)) {
		pushed++
	}
	if b, _ := q.size(); b > queueBytes || b < queueBytes*9/10 {
		t.Errorf("full with %d bytes", b)
	}
	popAny(q)
	popAny(q)
	popAny(q)
	if !q.push(changes("g", 10, 64<<10)) { // f has to catch up now
		t.Error("no room after something was taken")
	}
}

func TestPushWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		done := make(chan error, 1)
		wait := func(ctx context.Context) {
			go func() { done <- q.pushWait(ctx, changes("f", queueEntries, 0)) }()
			synctest.Wait()
		}
		wait(context.Background())
		if _, n := q.size(); n != queueEntries/4 {
			t.Errorf("%d entries, want a quarter of %d", n, queueEntries)
		}
		taken := 0
		for len(done) == 0 {
			m, ok := popAny(q)
			if !ok {
				break
			}
			taken += len(m.(wire.Changes).List)
			synctest.Wait()
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, n := q.size(); taken+n != queueEntries {
			t.Errorf("%d taken and %d left of %d", taken, n, queueEntries)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		wait(ctx)
		if err := <-done; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("out of time: %v", err)
		}
		wait(context.Background())
		q.close(errLost)
		if err := <-done; !errors.Is(err, errLost) {
			t.Errorf("closed while waiting: %v", err)
		}
		if q.push(wire.Want{Folder: "f"}) {
			t.Error("a closed queue takes messages")
		}
	})
}

func TestPauseGrowsAndIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(Config{Self: "web1", Now: time.Now}, &memNet{})
		l := newLink(h, Member{ID: "web2"})
		l.ctx, l.stop = context.WithCancel(context.Background())
		pause := pauseMin
		for want := pauseMin; want < 4*pauseMax; want *= 2 {
			began := time.Now()
			bound := min(want, pauseMax)
			pause = l.rest(pause)
			if d := time.Since(began); d < bound/2 || d > bound {
				t.Errorf("rested %v, want %v to %v", d, bound/2, bound)
			}
		}
		began := time.Now()
		l.dialNow()
		l.rest(pause)
		if d := time.Since(began); d != 0 {
			t.Errorf("rested %v although it should dial now", d)
		}
		l.stop()
		l.rest(pause)
		if d := time.Since(began); d != 0 {
			t.Errorf("rested %v although it should stop", d)
		}
		h.stop()
	})
}

func TestNoticesAreRare(t *testing.T) {
	now := time.Unix(0, 0)
	var raised []farm.Event
	n := newNotices(func(e farm.Event) { raised = append(raised, e) }, func() time.Time { return now })
	raise := func(subject string) { n.raise(farm.Event{ID: farm.EventMemberRefused, Subject: subject}) }
	for range 100 {
		raise("a")
		raise("b")
	}
	if len(raised) != 2 {
		t.Errorf("%d events, want one per subject", len(raised))
	}
	now = now.Add(noticeEvery)
	raise("a")
	if len(raised) != 3 {
		t.Errorf("none after %v", noticeEvery)
	}
	for i := range 2 * maxNotices {
		raise(string(rune('A' + i)))
	}
	if len(n.last) > maxNotices || len(raised) > 3+maxNotices {
		t.Errorf("%d subjects remembered, %d events", len(n.last), len(raised))
	}
	now = now.Add(-time.Hour) // a clock set back must not silence it for an hour
	raised = nil
	raise("a")
	if len(raised) != 1 {
		t.Error("silent after the clock was set back")
	}
}

// popAny takes the next message as a session does.
func popAny(q *queue) (wire.Message, bool) {
	bulk, _ := q.next()
	return q.pop(bulk)
}
