package peer

import (
	"context"
	"slices"
	"sync"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// queue holds what waits to be sent to one member: a lane per folder, taken in turn, so that a folder with much to say
// does not hold up the others. Order is kept within a lane.
type queue struct {
	mu      sync.Mutex
	lanes   map[lane][]item
	turn    [2][]lane // lanes that are not empty, next first: what is live, then bulk
	lives   int       // live messages taken since bulk had its turn
	bytes   int
	entries int
	lags    map[farm.FolderID]gap // of which a change did not fit: further ones would only widen it
	closed  error
	ready   chan struct{} // has a token when there may be something to take
	room    chan struct{} // closed when something was taken; nil if nobody waits
}

// lane is what waits in order: the live messages of a folder, or what it is caught up with. Catching up may take long, and
// what is new must not wait for it; the receiver takes changes in any order.
type lane struct {
	folder farm.FolderID
	bulk   bool
}

func (l lane) kind() int {
	if l.bulk {
		return 1
	}
	return 0
}

// gap is the first number of each actor that was not taken.
type gap map[farm.Actor]farm.Seq

// widen adds what is not taken.
func (g gap) widen(list []item) {
	for _, it := range list {
		dot := farm.Position{}
		switch m, moves := it.other.(wire.Move); {
		case moves:
			dot = m.First
		case it.change != nil:
			dot = it.change.Entry.Version.Dot
		default:
			continue
		}
		if first, ok := g[dot.Actor]; !ok || dot.Seq < first {
			g[dot.Actor] = dot.Seq
		}
	}
}

// livesInARow is how many live messages are sent before one of bulk that waits.
const livesInARow = 8

// item is one change, or another message of a folder.
type item struct {
	change *farm.Change
	other  wire.Message
	bytes  int
}

// otherBytes is what a Want or Have counts as besides its vector.
const otherBytes = 128

func newQueue() *queue {
	return &queue{lanes: make(map[lane][]item), lags: make(map[farm.FolderID]gap), ready: make(chan struct{}, 1)}
}

// items are the parts of a message that can be sent one by one.
func items(m wire.Message) (farm.FolderID, []item) {
	switch m := m.(type) {
	case wire.Changes:
		list := make([]item, len(m.List))
		for i := range m.List {
			list[i] = item{change: &m.List[i], bytes: wire.Size(&m.List[i])}
		}
		return m.Folder, list
	case wire.Want:
		return m.Folder, []item{{other: m, bytes: otherBytes + m.Known.Len()*16}}
	case wire.Have:
		return m.Folder, []item{{other: m, bytes: otherBytes + m.Known.Len()*16}}
	case wire.Move:
		return m.Folder, []item{{other: m, bytes: otherBytes + len(m.From.String()) + len(m.To.String())}}
	case wire.Heard:
		return "", []item{{other: m, bytes: heardBytes(m)}}
	}
	return "", nil
}

// heardBytes is about what another member's state takes.
func heardBytes(m wire.Heard) int {
	n := otherBytes
	for _, f := range m.Folders {
		n += otherBytes + 16*(f.Known.Len()+f.Applied.Len()+f.Durable.Len())
	}
	return n
}

// token puts a token into a channel that holds one: the other side has something to look at.
func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// push adds the whole message, or nothing if that would be more than the queue holds. Once changes of a folder did not fit,
// no others are taken before the next begin: the receiver will ask for all behind the gap, so they would come twice.
func (q *queue) push(m wire.Message) bool {
	folder, list := items(m)
	q.mu.Lock()
	defer q.mu.Unlock()
	bytes := 0
	for _, it := range list {
		bytes += it.bytes
	}
	changes := isChange(m)
	lags := changes && q.lags[folder] != nil
	if q.closed != nil || lags || q.bytes+bytes > queueBytes || q.entries+len(list) > queueEntries {
		if changes {
			q.gap(folder).widen(list)
		}
		return false
	}
	q.add(lane{folder, false}, list, bytes)
	return true
}

// isChange tells whether the receiver finds a gap if m is not sent.
func isChange(m wire.Message) bool {
	switch m.(type) {
	case wire.Changes, wire.Move:
		return true
	}
	return false
}

func (q *queue) add(l lane, list []item, bytes int) {
	if len(list) == 0 {
		return
	}
	if len(q.lanes[l]) == 0 {
		q.turn[l.kind()] = append(q.turn[l.kind()], l)
	}
	q.lanes[l] = append(q.lanes[l], list...)
	q.bytes += bytes
	q.entries += len(list)
	token(q.ready)
}

// pushWait adds the message part by part and waits for room. It leaves three quarters of the queue to push: catching up
// must not crowd out what is new.
func (q *queue) pushWait(ctx context.Context, m wire.Message) error {
	folder, list := items(m)
	for len(list) > 0 {
		room, err := q.pushSome(ctx, folder, &list)
		if err != nil || room == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-room:
		}
	}
	return nil
}

// pushSome moves as much of the list into the queue as there is room for, and returns what tells of more room.
func (q *queue) pushSome(ctx context.Context, folder farm.FolderID, list *[]item) (<-chan struct{}, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil { // a newer question was answered meanwhile, perhaps: see begin
		return nil, err
	}
	if q.closed != nil {
		return nil, q.closed
	}
	n, bytes := 0, 0
	for n < len(*list) && q.bytes+bytes < queueBytes/4 && q.entries+n < queueEntries/4 {
		bytes += (*list)[n].bytes
		n++
	}
	q.add(lane{folder, true}, (*list)[:n], bytes)
	if *list = (*list)[n:]; len(*list) == 0 {
		return nil, nil
	}
	return q.awaitRoom(), nil
}

// awaitRoom is closed when something was taken. The caller holds mu.
func (q *queue) awaitRoom() <-chan struct{} {
	if q.room == nil {
		q.room = make(chan struct{})
	}
	return q.room
}

// begin starts the answer to a question for all that the receiver does not know of a folder: what it asked for before and
// has not been sent is in this answer as well, and what is pushed from now on is behind no gap. The caller has ended the
// context of the earlier answer.
func (q *queue) begin(folder farm.FolderID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return
	}
	delete(q.lags, folder)
	l := lane{folder, true}
	for _, it := range q.lanes[l] {
		q.bytes -= it.bytes
		q.entries--
	}
	delete(q.lanes, l)
	q.turn[1] = slices.DeleteFunc(q.turn[1], func(t lane) bool { return t == l })
	q.tookSome()
}

// behind tells whether a change of the folder was not taken since the last begin, and the number of the first that the
// actor has written; 0: it was none of the actor's.
func (q *queue) behind(folder farm.FolderID, actor farm.Actor) (first farm.Seq, is bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	g, is := q.lags[folder]
	return g[actor], is
}

// gap is the folder's, which it has from now on. The caller holds mu.
func (q *queue) gap(folder farm.FolderID) gap {
	if q.lags[folder] == nil {
		q.lags[folder] = gap{}
	}
	return q.lags[folder]
}

// tookSome wakes those who wait for room. The caller holds mu.
func (q *queue) tookSome() {
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// lag says that the folder's receiver is too slow to wait for: it will have to catch up.
func (q *queue) lag(folder farm.FolderID) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.gap(folder)
}

// crowded tells whether the folder's next changes had better wait, and until when; nil if not. The other half is for
// those that have been read already.
func (q *queue) crowded(folder farm.FolderID) <-chan struct{} {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil || q.lags[folder] != nil || q.bytes < queueBytes/2 && q.entries < queueEntries/2 {
		return nil
	}
	return q.awaitRoom()
}

// next tells whether the next message would be bulk; ok is false when there is none. Live messages go first, but bulk has
// its turn after some of them.
func (q *queue) next() (bulk, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	live := len(q.turn[0]) > 0
	bulk = len(q.turn[1]) > 0 && (!live || q.lives >= livesInARow)
	return bulk, live || bulk
}

// pop takes what fits into the next frame, live or bulk: changes of one folder, or one other message.
func (q *queue) pop(bulk bool) (wire.Message, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	turn := &q.turn[lane{bulk: bulk}.kind()]
	if len(*turn) == 0 {
		return nil, false
	}
	if q.lives++; bulk {
		q.lives = 0
	}
	l := (*turn)[0]
	items := q.lanes[l]
	m, n, bytes := front(l.folder, items)
	clear(items[:n]) // the backing array lives on; what was sent must not
	*turn = (*turn)[1:]
	if items = items[n:]; len(items) == 0 {
		delete(q.lanes, l)
	} else {
		q.lanes[l] = items
		*turn = append(*turn, l)
	}
	q.bytes -= bytes
	q.entries -= n
	q.tookSome()
	return m, true
}

// front is the first message of a lane, with as many changes merged as a frame should have.
func front(folder farm.FolderID, lane []item) (m wire.Message, n, bytes int) {
	if lane[0].other != nil {
		return lane[0].other, 1, lane[0].bytes
	}
	for n < len(lane) && n < wire.MaxEntries && lane[n].change != nil && (n == 0 || bytes+lane[n].bytes <= frameBytes) {
		bytes += lane[n].bytes
		n++
	}
	list := make([]farm.Change, n)
	for i := range list {
		list[i] = *lane[i].change
	}
	return wire.Changes{Folder: folder, List: list}, n, bytes
}

// close empties the queue; what waits for room gets the error.
func (q *queue) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return
	}
	q.closed = err
	q.lanes, q.turn, q.bytes, q.entries = nil, [2][]lane{}, 0, 0
	q.tookSome()
}

func (q *queue) size() (bytes, entries int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes, q.entries
}
