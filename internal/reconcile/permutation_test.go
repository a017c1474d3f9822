package reconcile

import (
	"slices"
	"testing"

	"tandem/internal/farm"
)

// Five members write one path without having heard of each other, and a sixth version has seen two of them: whatever the
// order of arrival, the same versions remain, and the same wins and loses.
func TestEveryOrderOfArrival(t *testing.T) {
	types := []farm.Type{farm.File, farm.Dir, farm.Symlink, farm.Absent, farm.File}
	for skip := range types { // each kind once left out, so that another wins
		w := newWriter()
		first := w.write("a", farm.File, 9, false)
		members := []farm.MemberID{"a", "b", "c", "d", "e"}
		for _, m := range members[1:] {
			w.hear(m, first)
		}
		for i, m := range members {
			if i != skip {
				w.write(m, types[i], byte(i), i == 4)
			}
		}
		if skip != 1 {
			w.hear("c", w.known["b"][0])
			w.write("c", farm.File, 7, false)
		}
		all := w.all[1:]
		var want State
		var remain []farm.Entry
		orders := 0
		permute(slices.Clone(all), 0, func(order []farm.Entry) {
			known := Merge(nil, first)
			for _, e := range order {
				known = Merge(known, e)
			}
			got := Decide(known, false)
			if orders++; orders == 1 {
				want, remain = got, known
				return
			}
			same := got.Attr == want.Attr && got.Content == want.Content && got.Meta == want.Meta && got.Context.Equal(want.Context) &&
				slices.Equal(got.LostDots, want.LostDots) && len(got.Lost) == len(want.Lost) && len(known) == len(remain)
			if !same {
				t.Fatalf("without the %dth: %d orders were equal, this is not:\n%+v\n%+v", skip, orders-1, got, want)
			}
		})
		t.Logf("%d orders", orders)
	}
}

// permute calls do with every order of es.
func permute(es []farm.Entry, from int, do func([]farm.Entry)) {
	if from == len(es) {
		do(es)
		return
	}
	for i := from; i < len(es); i++ {
		es[from], es[i] = es[i], es[from]
		permute(es, from+1, do)
		es[from], es[i] = es[i], es[from]
	}
}
