package edge

import (
	"hash/fnv"
	"math"
	"net/netip"

	"tandem/internal/config"
)

// visitorBits is how much of an IPv6 address tells visitors apart: one changes the rest at will.
const visitorBits = 64

// hash sends requests that are equal in one respect to the same node, on all edges and after a restart. A node that goes
// moves only its own visitors, and one that comes takes its share from each of the others: rendezvous hashing.
type hash struct {
	by     config.By
	name   string
	others roundRobin // for requests without the header or cookie
}

func (p *hash) pick(from []*standing, x *exchange) *standing {
	key, ok := x.keyOf(p.by, p.name)
	if !ok {
		return p.others.pick(from, x)
	}
	return rendezvous(from, key)
}

// keyOf is the request's hash by a property; false: it does not have it.
func (x *exchange) keyOf(by config.By, name string) (key uint64, ok bool) {
	switch by {
	case config.ByURI:
		return hashOf(x.r.URL.RequestURI()), true
	case config.ByHeader:
		v := x.r.Header.Get(name)
		return hashOf(v), v != ""
	case config.ByCookie:
		v := x.cookie(name)
		return hashOf(v), v != ""
	}
	a := x.address()
	if a.Is6() {
		a = netip.PrefixFrom(a, visitorBits).Masked().Addr()
	}
	return hashOf(string(a.AsSlice())), a.IsValid()
}

// address is the visitor's; invalid: not known.
func (x *exchange) address() netip.Addr { return x.client.Addr }

// cookie is the value of the first cookie of that name; empty: there is none.
func (x *exchange) cookie(name string) string {
	for _, c := range x.r.CookiesNamed(name) {
		return c.Value
	}
	return ""
}

func hashOf(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// rendezvous finds the node that scores highest for the key. Scores are spread so that each node wins in proportion to its
// weight.
//
// Schindelhauer and Schomaker, Weighted Distributed Hash Tables, 2005.
func rendezvous(from []*standing, key uint64) *standing {
	best, highest := from[0], math.Inf(-1)
	for _, s := range from {
		u := (float64(mix(key^s.node.seed)>>11) + 0.5) / (1 << 53) // between 0 and 1, both excluded
		if score := -float64(s.weight) / math.Log(u); score > highest {
			best, highest = s, score
		}
	}
	return best
}

// mix spreads a change of any bit over all: the last step of splitmix64.
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
