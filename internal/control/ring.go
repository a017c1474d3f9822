package control

import (
	"slices"
	"sort"
)

// ring keeps the latest events in the order in which they came. Events are numbered by their place, from 0, since the
// journal was opened; places have no gaps, unlike sequence numbers. It is guarded by its journal.
type ring struct {
	events []Recorded
	next   uint64 // place of the event to come
}

func newRing(size int) *ring { return &ring{events: make([]Recorded, size)} }

func (r *ring) add(e Recorded) {
	*r.at(r.next) = e
	r.next++
}

func (r *ring) at(place uint64) *Recorded { return &r.events[place%uint64(len(r.events))] }

// oldest is the place of the oldest event that is kept.
func (r *ring) oldest() uint64 { return r.next - min(r.next, uint64(len(r.events))) }

// take returns up to limit events from place on, how many from there are no longer kept, and the place after them.
func (r *ring) take(place uint64, limit int) (events []Recorded, missed, next uint64) {
	if o := r.oldest(); place < o {
		missed, place = o-place, o
	}
	end := min(r.next, place+uint64(limit))
	for ; place < end; place++ {
		events = append(events, *r.at(place))
	}
	return events, missed, place
}

// matching returns the events that q asks for, oldest first and without regard to its limit.
func (r *ring) matching(q Query) []Recorded {
	var found []Recorded
	for p := r.oldest(); p < r.next; p++ {
		if q.matches(r.at(p)) {
			found = append(found, *r.at(p))
		}
	}
	return found
}

// placeAfter is the place of the first event whose sequence number is greater than seq.
func (r *ring) placeAfter(seq uint64) uint64 {
	o := r.oldest()
	return o + uint64(sort.Search(int(r.next-o), func(i int) bool { return r.at(o+uint64(i)).Seq > seq }))
}

// limited returns what is left of events under q's limit: the first ones after a cursor, otherwise the latest ones.
func (q Query) limited(events []Recorded) []Recorded {
	n := q.limit()
	switch {
	case len(events) <= n:
		return events
	case q.After > 0:
		return events[:n]
	}
	return slices.Clone(events[len(events)-n:])
}
