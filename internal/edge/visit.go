package edge

import (
	"net/http"
	"strings"
	"time"

	"tandem/internal/farm"
)

// moment is how long a request waits for a node that has what the visitor has seen, as far as it is not the visitor's own,
// and for any if nobody can say whether what the visitor asks for exists.
const moment = 100 * time.Millisecond

// wanted is what the visitor brings, by cookie or header. proven: the farm has signed it. Without the key it is a hint,
// which the nodes judge.
func (e *Edge) wanted(r *http.Request) (want farm.Visit, proven bool) {
	key := e.cfg.VisitKey
	for _, value := range r.Header[farm.SessionHeader] {
		v, _ := farm.OpenVisit(value, key) // what is malformed says nothing
		want = want.Join(v)
	}
	for _, line := range r.Header["Cookie"] {
		if !strings.Contains(line, farm.SessionCookie) {
			continue
		}
		for _, c := range r.CookiesNamed(farm.SessionCookie) {
			v, _ := farm.OpenVisit(c.Value, key)
			want = want.Join(v)
		}
		break
	}
	return want, key != nil
}

// fits tells whether the node has all that the visitor has written and seen: applied, or shown before.
func (v *view) fits(s *standing, want farm.Visit) bool {
	return want.IsZero() || s.node.id == want.At || v.covers(s, want.Wrote) && v.covers(s, want.Saw)
}

// lookFor picks a node that has all that the visitor has written and seen; what is only seen is waited for a moment. Nil:
// there is none now, and it makes sense to wait for the rest.
func (x *exchange) lookFor(v *view) (*standing, error) {
	s := x.best(v)
	if s != nil || len(x.want.Saw) == 0 {
		return s, nil
	}
	changed, err := x.await(v, moment)
	if !changed && err == nil {
		x.want = farm.Visit{Wrote: x.want.Wrote}
		s = x.best(v)
	}
	return s, err
}

// coverTime is how long to wait for a node that has what the visitor has written.
func (x *exchange) coverTime(v *view) time.Duration {
	if !x.proven && !x.want.IsZero() && v.lackFrom.IsZero() {
		return moment
	}
	return CoverTime
}
