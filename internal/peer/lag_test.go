package peer

import (
	"fmt"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

func changeOf(i, size int) wire.Changes {
	return wire.Changes{Folder: "www", List: []farm.Change{{Content: make([]byte, size), Entry: farm.Entry{
		Path: farm.MustPath(fmt.Sprintf("f%d", i)), Attr: farm.Attr{Type: farm.File}}}}}
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
	if !q.push(changeOf(i+1, 1)) {
		t.Fatal("no change is taken after the catching up began")
	}
}
