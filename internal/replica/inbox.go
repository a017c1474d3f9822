package replica

import "sync"

// inbox takes the answers of workers. It never blocks who answers: the machine bounds it, because a path has at most one
// question out. All that has come is taken at once, so that under load one commit serves many.
type inbox struct {
	mu    sync.Mutex
	list  []Input
	spare []Input       // taken before, and done with
	ready chan struct{} // has a token when there may be something to take
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (b *inbox) put(in Input) {
	b.mu.Lock()
	b.list = append(b.list, in)
	b.mu.Unlock()
	select {
	case b.ready <- struct{}{}:
	default:
	}
}

// take returns what has come. It is valid until the next call.
func (b *inbox) take() []Input {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.spare) // contents are large
	got := b.list
	b.list, b.spare = b.spare[:0], got
	return got
}
