package peer

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

func changeOf(i, size int) wire.Changes {
	return wire.Changes{Folder: "www", List: []farm.Change{{Content: make([]byte, size), Entry: farm.Entry{
		Path: farm.MustPath(fmt.Sprintf("f%d", i)), Attr: farm.Attr{Type: farm.File}}}}}
}

func isBehind(q *queue, folder farm.FolderID) bool {
	_, is := q.behind(folder, farm.Actor{})
	return is
}

// TestQueueKnowsTheGap: the first change of each actor that was not taken.
func TestQueueKnowsTheGap(t *testing.T) {
	q := newQueue()
	a, b := farm.Actor{Member: "a", Epoch: 1}, farm.Actor{Member: "b", Epoch: 1}
	push := func(actor farm.Actor, n farm.Seq) bool {
		m := changeOf(int(n), 1)
		m.List[0].Entry.Version.Dot = farm.Position{Actor: actor, Seq: n}
		return q.push(m)
	}
	if !push(a, 1) || !push(b, 7) {
		t.Fatal("not taken")
	}
	q.lag("www")
	for _, n := range []farm.Seq{3, 2, 4} {
		if push(a, n) {
			t.Fatal("taken behind the gap")
		}
	}
	if first, is := q.behind("www", a); first != 2 || !is {
		t.Errorf("%d, %v", first, is)
	}
	if first, is := q.behind("www", b); first != 0 || !is {
		t.Errorf("of another: %d, %v", first, is)
	}
	q.begin("www")
	if first, is := q.behind("www", a); first != 0 || is {
		t.Errorf("after the answer has begun: %d, %v", first, is)
	}
}

// TestQueueLags: after a change that did not fit none is taken until the receiver catches up, even when there is room.
func TestQueueLags(t *testing.T) {
	q := newQueue()
	if q.crowded("www") != nil {
		t.Fatal("an empty queue is crowded")
	}
	i := 0
	for ; q.push(changeOf(i, 1<<20)); i++ {
	}
	if q.crowded("www") != nil {
		t.Fatal("waiting does not help one who has to catch up")
	}
	room := q.crowded("other")
	if room == nil {
		t.Fatal("a full queue is not crowded")
	}
	for {
		if _, ok := popAny(q); !ok {
			break
		}
	}
	<-room
	if q.push(changeOf(i, 1)) {
		t.Fatal("a change behind the gap was taken")
	}
	if !q.push(wire.Want{Folder: "www"}) || !q.push(wire.Changes{Folder: "other", List: changeOf(i, 1).List}) {
		t.Fatal("the gap holds up what is not behind it")
	}
	if err := q.pushWait(t.Context(), changeOf(0, 1)); err != nil {
		t.Fatal(err)
	}
	if q.push(changeOf(i, 1)) || !isBehind(q, "www") {
		t.Fatal("an answer that has begun before the gap closes it")
	}
	q.begin("www")
	if !q.push(changeOf(i+1, 1)) || isBehind(q, "www") {
		t.Fatal("no change is taken after the catching up began")
	}
}

// TestQueueAnswersOnce: what waits of an answer is dropped when the next one begins, and its sender adds no more.
func TestQueueAnswersOnce(t *testing.T) {
	q := newQueue()
	ctx, cancel := context.WithCancel(t.Context())
	if err := q.pushWait(ctx, changeOf(0, 1000)); err != nil {
		t.Fatal(err)
	}
	if err := q.pushWait(t.Context(), wire.Changes{Folder: "other", List: changeOf(1, 1000).List}); err != nil {
		t.Fatal(err)
	}
	cancel()
	q.begin("www")
	if err := q.pushWait(ctx, changeOf(2, 1000)); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if m, ok := popAny(q); !ok || m.(wire.Changes).Folder != "other" {
		t.Fatalf("%v", m)
	}
	if b, n := q.size(); b != 0 || n != 0 {
		t.Fatalf("%d bytes in %d entries", b, n)
	}
}
