package edge

import (
	"sync/atomic"

	"tandem/internal/farm"
)

// Policy names how the edge chooses among nodes that are equally fit.
type Policy string

const (
	RoundRobin       Policy = "round_robin"       // in turn, by weight
	LeastConnections Policy = "least_connections" // the one with the fewest requests in flight, by weight
)

// ParsePolicy returns the policy of that name; the empty name is RoundRobin.
func ParsePolicy(name string) (Policy, error) {
	switch p := Policy(name); p {
	case "":
		return RoundRobin, nil
	case RoundRobin, LeastConnections:
		return p, nil
	}
	return "", farm.Errorf("choose policy", name, farm.Invalid, "no such policy: use %s or %s", RoundRobin, LeastConnections)
}

// picker is a policy at work. It is called by many goroutines, and never with none to choose from.
type picker interface {
	pick(from []*standing) *standing
}

func (p Policy) picker() picker {
	if p == LeastConnections {
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
