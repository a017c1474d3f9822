package install

import (
	"cmp"
	"slices"

	"tandem/internal/farm"
)

// shelf holds what was taken out of the tree, in the order in which it was, and finds removed files by their content: of
// thousands, one may be wanted for each file that is created.
type shelf struct {
	last  uint64 // ticket given out
	first uint64 // none that is held is lower
	held  map[uint64]leftover
	same  map[farm.Digest][]uint64 // removed files, oldest first
}

func newShelf() shelf {
	return shelf{first: 1, held: map[uint64]leftover{}, same: map[farm.Digest][]uint64{}}
}

// put adds l as the newest, or, if it was here before, where it was.
func (s *shelf) put(l leftover) {
	if l.ticket == 0 {
		s.last++
		l.ticket = s.last
	}
	s.first = min(s.first, l.ticket)
	s.held[l.ticket] = l
	if l.in.Op == opRemove {
		d := l.in.expect.Digest
		s.same[d] = append(s.same[d], l.ticket)
	}
}

// take takes a leftover out.
func (s *shelf) take(ticket uint64) leftover {
	l := s.held[ticket]
	delete(s.held, ticket)
	if l.in.Op != opRemove {
		return l
	}
	d := l.in.expect.Digest
	if s.same[d] = slices.DeleteFunc(s.same[d], func(t uint64) bool { return t == ticket }); len(s.same[d]) == 0 {
		delete(s.same, d)
	}
	return l
}

// oldest takes out what has been here longest. The shelf is not empty.
func (s *shelf) oldest() leftover {
	for {
		if _, ok := s.held[s.first]; ok {
			return s.take(s.first)
		}
		s.first++
	}
}

// claim takes out the newest removed file of that content that suits.
func (s *shelf) claim(d farm.Digest, suits func(leftover) bool) (leftover, bool) {
	for _, ticket := range slices.Backward(s.same[d]) {
		if suits(s.held[ticket]) {
			return s.take(ticket), true
		}
	}
	return leftover{}, false
}

// all takes out everything, oldest first.
func (s *shelf) all() []leftover {
	list := make([]leftover, 0, len(s.held))
	for _, l := range s.held {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b leftover) int { return cmp.Compare(a.ticket, b.ticket) })
	clear(s.held)
	clear(s.same)
	s.first = s.last + 1
	return list
}
