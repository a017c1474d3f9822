package edge

import (
	"math"
	"sync"
	"time"
)

const (
	// answerMemory is after what time an observation counts for a third: long enough to be calm, short enough that a node
	// that was slow is tried again.
	answerMemory = 10 * time.Second
	// unknownAnswer stands for the time that a node takes which has not answered yet but has been asked.
	unknownAnswer = time.Minute
	// failedAnswer is what a request without an answer counts for at least: who fails fast is not fast.
	failedAnswer = time.Second
)

// answerTimes expects how long a node takes to begin an answer: a moving average that a slow answer lifts at once and
// that sinks slowly, known as peak EWMA.
type answerTimes struct {
	mu   sync.Mutex
	mean float64 // nanoseconds
	at   time.Time
}

// observe takes one answer's time.
func (a *answerTimes) observe(took time.Duration, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	mean, new := a.mean, max(float64(took), 1)
	if new < mean {
		keep := math.Exp(-float64(max(now.Sub(a.at), 0)) / float64(answerMemory))
		new += (mean - new) * keep
	}
	a.mean, a.at = new, now
}

// expected is the time to expect, which sinks while nothing is observed; false: nothing was ever observed.
func (a *answerTimes) expected(now time.Time) (time.Duration, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.at.IsZero() {
		return 0, false
	}
	return time.Duration(a.mean * math.Exp(-float64(max(now.Sub(a.at), 0))/float64(answerMemory))), true
}
