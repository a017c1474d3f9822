package edge

import (
	"errors"
	"time"
)

const (
	// CoverTime is how long a request waits for a node that has all that the visitor has seen, or for any node at
	// all. Then any node gets it, whose own handler knows more than the edge, or the visitor gets an apology.
	CoverTime = 2 * time.Second
	// queueTime is how long a request waits for a place at a node that has all the requests it may have.
	queueTime = 5 * time.Second
	// maxWaiting is how many requests may wait for a node at once; more don't wait.
	maxWaiting = 4096
)

var errNoNode = errors.New("no node takes requests")

// choose returns the node to try next. x.place is taken there, which whoever asked gives back.
func (x *exchange) choose() (*standing, error) {
	for {
		v := x.edge.view.Load()
		var none bool
		if x.shun, none = x.site.shun(v, x.edge.cfg.Now()); none {
			return nil, errNoNode
		}
		s, err := x.lookFor(v)
		if err != nil {
			return nil, err
		}
		if s == nil {
			if changed, err := x.await(v, x.coverTime(v)); err != nil {
				return nil, err
			} else if changed {
				continue
			}
			if s = x.any(v); s == nil {
				return nil, errNoNode
			}
		}
		err = x.enter(s.node)
		if errors.Is(err, errMoved) {
			continue
		}
		return s, err
	}
}

// await waits for another view, and tells whether there is one. All waiting of a request together takes as long as limit
// at most; when no node takes requests, only as long as that is news.
func (x *exchange) await(v *view, limit time.Duration) (changed bool, err error) {
	now := x.edge.cfg.Now()
	if x.waits.IsZero() {
		x.waits = now
	}
	left := x.waits.Add(limit).Sub(now)
	if !v.lackFrom.IsZero() {
		left = min(left, v.lackFrom.Add(CoverTime).Sub(now))
	}
	if left <= 0 {
		return false, nil
	}
	defer x.edge.waiting.Add(-1)
	if x.edge.waiting.Add(1) > maxWaiting {
		return false, nil
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-v.next:
		return true, nil
	case <-timer.C:
		return false, nil
	case <-x.r.Context().Done():
		return false, x.r.Context().Err()
	}
}
