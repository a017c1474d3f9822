package edge

import (
	"math/rand/v2"
	"sync/atomic"

	"tandem/internal/config"
)

// picker is a policy at work. It is called by many goroutines, and never with none to choose from.
type picker interface {
	pick(from []*standing, x *exchange) *standing
}

// newPicker is the policy at work; the empty one is RoundRobin.
func newPicker(p config.Policy) picker {
	switch p {
	case config.LeastConnections:
		return &least{cost: connections}
	case config.LeastTime:
		return &least{cost: timeToAnswer}
	case config.TwoChoices:
		return twoChoices{rand.IntN}
	}
	if by, name := p.Hash(); by != "" {
		return &hash{by: by, name: name}
	}
	return &roundRobin{}
}

// roundRobin gives each node as many turns in a round as it has weight.
type roundRobin struct{ turn atomic.Uint64 }

func (p *roundRobin) pick(from []*standing, _ *exchange) *standing {
	return atWeight(from, int(p.turn.Add(1)%uint64(allWeight(from))))
}

func allWeight(from []*standing) int {
	all := 0
	for _, s := range from {
		all += s.weight
	}
	return all
}

// atWeight finds the node at a place below allWeight, where each takes as much room as it has weight.
func atWeight(from []*standing, at int) *standing {
	for _, s := range from {
		if at < s.weight {
			return s
		}
		at -= s.weight
	}
	return from[0]
}

// least takes the node of the least cost. Equals take turns, so that an idle farm is used evenly.
type least struct {
	cost func(*standing) float64
	turn atomic.Uint64
}

func (p *least) pick(from []*standing, _ *exchange) *standing {
	start := int(p.turn.Add(1) % uint64(len(from)))
	best := from[start]
	lowest := p.cost(best)
	for i := 1; i < len(from); i++ {
		s := from[(start+i)%len(from)]
		if c := p.cost(s); c < lowest {
			best, lowest = s, c
		}
	}
	return best
}

// connections are the requests in flight per weight.
func connections(s *standing) float64 { return float64(s.node.gate.inFlight()) / float64(s.weight) }

// timeToAnswer is how long one more request would wait for its answer, per weight. A node of which nothing is known gets
// one request at a time.
func timeToAnswer(s *standing) float64 {
	expected, known := s.node.answers.expected(s.node.now())
	busy := float64(s.node.gate.inFlight())
	if !known && busy > 0 {
		expected = unknownAnswer
	}
	return float64(expected) * (busy + 1) / float64(s.weight)
}

// twoChoices compares two nodes that chance has picked. Many edges that know little of each other do not all rush to the
// same node then.
type twoChoices struct{ random func(n int) int }

func (p twoChoices) pick(from []*standing, _ *exchange) *standing {
	all := allWeight(from)
	a := atWeight(from, p.random(all))
	if all == a.weight {
		return a
	}
	at := p.random(all - a.weight) // among the others
	for _, b := range from {
		switch {
		case b == a:
		case at >= b.weight:
			at -= b.weight
		case connections(b) < connections(a):
			return b
		default:
			return a
		}
	}
	return a
}
