package history

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// Missing is the number that a read has when the file did not exist, Torn when its content is of no write.
const (
	Missing = 0
	Torn    = -1
)

// Op is one request of a session, with what came of it.
type Op struct {
	Session int
	ID      string // of a write, unique; also in the application's log
	Key     string
	Write   bool
	Number  int // that was written, or read
	Start   time.Time
	End     time.Time
	Status  int    // of the answer; 0: there was none
	Node    string // that answered, as far as known
	Note    string // error, for people
	Sure    bool   // of a write: the answer says that it is confirmed
}

func (o Op) String() string {
	verb := "read"
	if o.Write {
		verb = "write"
	}
	return fmt.Sprintf("%s session %d: %s %s of %s by %q in %s: number %d, status %d %s", o.Start.Format("05.000"), o.Session, verb, o.ID, o.Key,
		o.Node, o.End.Sub(o.Start).Round(time.Millisecond), o.Number, o.Status, o.Note)
}

// outcome is what is known of a write.
type outcome int

const (
	refused outcome = iota // it did not happen
	unknown                // it may have happened
	done                   // it happened
)

// outcome: whoever says 503 or 4xx says that nothing has happened; a gateway that lost its node, an application that failed
// half-way, and a connection that broke say nothing.
func (o Op) outcome() outcome {
	switch {
	case o.Status >= 200 && o.Status < 400:
		return done
	case o.Status >= 400 && o.Status < 500, o.Status == 503:
		return refused
	}
	return unknown
}

// Log collects requests.
type Log struct {
	mu  sync.Mutex
	ops []Op
}

// Add records a request that is over.
func (l *Log) Add(o Op) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ops = append(l.ops, o)
}

// Ops are the requests so far, in the order of their beginning.
func (l *Log) Ops() []Op {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.SortedStableFunc(slices.Values(l.ops), func(a, b Op) int { return a.Start.Compare(b.Start) })
}

// Len is how many there are.
func (l *Log) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ops)
}
