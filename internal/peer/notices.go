package peer

import (
	"sync"
	"time"

	"tandem/internal/farm"
)

// notices raises events that strangers can cause at will, at most one per kind and subject in noticeEvery.
type notices struct {
	sink farm.Sink
	now  func() time.Time
	mu   sync.Mutex
	last map[notice]time.Time
}

type notice struct {
	id      farm.EventID
	subject string
}

func newNotices(sink farm.Sink, now func() time.Time) *notices {
	return &notices{sink: sink, now: now, last: make(map[notice]time.Time)}
}

func (n *notices) raise(e farm.Event) {
	if n.due(notice{e.ID, e.Subject}) {
		n.sink(e)
	}
}

func (n *notices) due(k notice) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := n.now()
	if at, ok := n.last[k]; ok && now.Sub(at) < noticeEvery && !now.Before(at) {
		return false
	}
	if len(n.last) >= maxNotices {
		n.forget(now)
	}
	if len(n.last) >= maxNotices {
		return false // a flood of subjects: what was said about the others has to do
	}
	n.last[k] = now
	return true
}

func (n *notices) forget(now time.Time) {
	for k, at := range n.last {
		if now.Sub(at) >= noticeEvery || now.Before(at) {
			delete(n.last, k)
		}
	}
}
