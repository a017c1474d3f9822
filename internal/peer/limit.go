package peer

import (
	"context"
	"sync"
	"time"
)

// A link may have a limit on what is sent, counted over the session and the content that is fetched beside it. Bulk (what
// is caught up with, and content) waits until all that was sent is paid for. What is live (changes as they are made,
// questions, states) waits only for its own kind, and heartbeats never: so a limit delays what can wait. Together
// that is more than the rate for a moment, which bulk then pays back.
const (
	limitAhead    = 250 * time.Millisecond // of live messages that may be sent before they are paid for
	limitSaved    = 250 * time.Millisecond // of the rate that is saved up in quiet times
	minChunkBytes = 4 << 10                // content per message under a limit
	chunkTime     = 100 * time.Millisecond // that a message of content may take under a limit, above that
)

// limiter is the limit of one link; the zero value has none. It may be used by any goroutine.
type limiter struct {
	mu      sync.Mutex
	rate    float64       // bytes a second; 0: no limit
	all     float64       // bytes that may be sent now, negative: that are to be paid for
	live    float64       // the same, of what is live alone
	at      time.Time     // when both were right
	changed chan struct{} // closed when the rate changes; nil if nobody waits
}

func (l *limiter) set(bytesPerSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == float64(bytesPerSecond) {
		return
	}
	l.refill(time.Now())
	l.rate = float64(bytesPerSecond)
	l.all, l.live = 0, 0
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// refill brings what may be sent up to now. The lock is held.
func (l *limiter) refill(now time.Time) {
	earned := now.Sub(l.at).Seconds() * l.rate
	most := l.rate * limitSaved.Seconds()
	l.all, l.live, l.at = min(l.all+earned, most), min(l.live+earned, most), now
}

// delay is how long the next message must wait; 0: not at all.
func (l *limiter) delay(live bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delayLocked(live)
}

func (l *limiter) delayLocked(live bool) time.Duration {
	if l.rate == 0 {
		return 0
	}
	l.refill(time.Now())
	lacks := -l.all
	if live {
		lacks = -l.live - l.rate*limitAhead.Seconds()
	}
	if lacks <= 0 {
		return 0
	}
	return max(time.Duration(lacks/l.rate*float64(time.Second)), time.Millisecond)
}

// spend counts what is sent.
func (l *limiter) spend(bytes int, live bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return
	}
	l.refill(time.Now())
	if l.all -= float64(bytes); live {
		l.live -= float64(bytes)
	}
}

// wait returns when bulk may be sent.
func (l *limiter) wait(ctx context.Context) error {
	for {
		l.mu.Lock()
		d := l.delayLocked(false)
		if d > 0 && l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		if d == 0 {
			return nil
		}
		t := time.NewTimer(d)
		select {
		case <-t.C:
		case <-changed:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
		t.Stop()
	}
}

// chunk is how much content should go into one message.
func (l *limiter) chunk(most int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rate == 0 {
		return most
	}
	return min(most, max(minChunkBytes, int(l.rate*chunkTime.Seconds())))
}

// limited tells whether there is a limit, and which, in bytes a second.
func (l *limiter) limited() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(l.rate)
}
