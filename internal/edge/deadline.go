package edge

import (
	"cmp"
	"math"
	"time"
)

// answerBy is when a node that gets the request now must have begun its answer.
func (x *exchange) answerBy(now time.Time) time.Time {
	by := now.Add(cmp.Or(x.options.AnswerTime, x.edge.limits.Load().AnswerTime))
	if left := x.left(); left < by.Sub(now) {
		by = now.Add(left)
	}
	return by
}

// left is the time until the request's deadline; endless if it has none.
func (x *exchange) left() time.Duration {
	limit := cmp.Or(x.options.Deadline, x.edge.limits.Load().Deadline)
	if limit == 0 {
		return math.MaxInt64
	}
	return limit - x.edge.cfg.Now().Sub(x.begun)
}

// late tells whether it is too late to try the request again.
func (x *exchange) late(now time.Time) bool {
	return now.Sub(x.begun) > cmp.Or(x.options.RetryTime, x.edge.limits.Load().RetryTime) || x.left() <= 0
}
