package edge

import (
	"cmp"
	"time"
)

// Limits bound what the edge lets the nodes do.
type Limits struct {
	MaxPerNode int           // requests in flight to one node, at least 1
	MaxQueue   int           // requests that wait for such a place, per node
	AnswerTime time.Duration // how long a node may take to begin its answer
	SlowStart  time.Duration // how long a node takes to its whole share after it has come up; 0: it has that at once
	KeepBody   int64         // bytes of a request's body that are read before a node is chosen
	RetryTime  time.Duration // after its beginning in which a request is tried again
	Deadline   time.Duration // after its beginning in which a request is answered; 0: AnswerTime alone bounds it
	HideNode   bool          // leave the header Tandem-Node out of answers
}

// Defaults of Limits.
const (
	DefaultMaxPerNode = 512
	DefaultMaxQueue   = 1024
	DefaultAnswerTime = time.Minute
	DefaultRetryTime  = 10 * time.Second
)

func (l Limits) orDefault() Limits {
	l.MaxPerNode = cmp.Or(l.MaxPerNode, DefaultMaxPerNode)
	l.MaxQueue = cmp.Or(l.MaxQueue, DefaultMaxQueue)
	l.AnswerTime = cmp.Or(l.AnswerTime, DefaultAnswerTime)
	l.KeepBody = cmp.Or(l.KeepBody, KeptBodyBytes)
	l.RetryTime = cmp.Or(l.RetryTime, DefaultRetryTime)
	return l
}

// SetDraining says whether visitors should come to other edges: then the edge calls itself unfit to a balancer before it,
// and no connection carries another request. Who comes nevertheless is served.
func (e *Edge) SetDraining(on bool) { e.drains.Store(on) }

// SetLeaving says whether visitors are about to meet another edge at their address: no connection carries another request then,
// since it would break.
func (e *Edge) SetLeaving(on bool) { e.leaving.Store(on) }

// SetLimits changes the limits, as they are given: a MaxQueue of 0 lets no request wait. Requests that a node works on go
// on, and those that wait keep their place; a time that runs already is not changed.
func (e *Edge) SetLimits(l Limits) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.limits.Store(&l)
	for _, n := range e.nodes {
		n.gate.resize(l.MaxPerNode, l.MaxQueue)
	}
	e.renew()
}
