package edge

import (
	"sync/atomic"

	"tandem/internal/config"
)

// picker is a policy at work. It is called by many goroutines, and never with none to choose from.
type picker interface {
	pick(from []*standing) *standing
}

// newPicker is the policy at work; the empty one is RoundRobin.
func newPicker(p config.Policy) picker {
	if p == config.LeastConnections {
		return &leastConnections{}
	}
	return &roundRobin{}
}

// roundRobin gives each node as many turns in a round as it has weight.
type roundRobin struct{ turn atomic.Uint64 }

func (p *roundRobin) pick(from []*standing) *standing {
	var round uint64
	for _, s := range from {
		round += uint64(s.weight)
	}
	at := p.turn.Add(1) % round
	for _, s := range from {
		if at < uint64(s.weight) {
			return s
		}
		at -= uint64(s.weight)
	}
	return from[0]
}

// leastConnections compares requests in flight per weight. Equals take turns, so that an idle farm is used evenly.
type leastConnections struct{ turn atomic.Uint64 }

func (p *leastConnections) pick(from []*standing) *standing {
	start := int(p.turn.Add(1) % uint64(len(from)))
	best := from[start]
	for i := 1; i < len(from); i++ {
		s := from[(start+i)%len(from)]
		if s.node.gate.inFlight()*int64(best.weight) < best.node.gate.inFlight()*int64(s.weight) {
			best = s
		}
	}
	return best
}
