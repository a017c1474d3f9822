package replica

import (
	"context"
	"sync"
)

// inboxBytes is how much content may wait in an inbox before those who look at the disk wait themselves.
const inboxBytes = 2 << 20

// inbox takes the answers of workers. It never blocks who answers: the machine bounds it, because a path has at most one
// question out. All that has come is taken at once, so that under load one commit serves many.
type inbox struct {
	mu    sync.Mutex
	list  []Input
	spare []Input       // taken before, and done with
	bytes int           // of content in list
	ready chan struct{} // has a token when there may be something to take
	taken chan struct{} // closed when the list is taken; nil if nobody waits for it
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (b *inbox) put(answers ...Input) {
	b.mu.Lock()
	b.list = append(b.list, answers...)
	for _, in := range answers {
		if o, ok := in.(Observed); ok {
			b.bytes += len(o.Seen.Content)
		}
	}
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

func (b *inbox) len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.list)
}

// take returns what has come. It is valid until the next call.
func (b *inbox) take() []Input {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.spare) // contents are large
	got := b.list
	b.list, b.spare, b.bytes = b.spare[:0], got, 0
	if b.taken != nil {
		close(b.taken)
		b.taken = nil
	}
	return got
}

// room waits while much content waits to be taken: what follows from it has to go to others, and what does not fit into
// the queue to them would have to be read a second time.
func (b *inbox) room(ctx context.Context) {
	for {
		b.mu.Lock()
		if b.bytes < inboxBytes {
			b.mu.Unlock()
			return
		}
		if b.taken == nil {
			b.taken = make(chan struct{})
		}
		taken := b.taken
		b.mu.Unlock()
		select {
		case <-taken:
		case <-ctx.Done():
			return
		}
	}
}
