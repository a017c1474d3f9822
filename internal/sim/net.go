package sim

import (
	"time"

	"tandem/internal/farm"
	"tandem/internal/replica"
)

// wire is one direction of a session: messages arrive in order, each after a delay of its own; a cut loses what is
// under way.
type wire struct {
	from, to *node
	up       bool
	life     int       // counts sessions: what was sent in another one never arrives
	last     time.Time // arrival of the latest message
	slow     time.Duration
}

func (f *sim) wire(a, b *node) *wire { return f.wires[[2]farm.MemberID{a.id, b.id}] }

// send delivers in to the other side.
func (w *wire) send(f *sim, in replica.Input) {
	if !w.up {
		return
	}
	f.messages++
	at := f.now.Add(f.between(50*time.Microsecond, 4*time.Millisecond) + w.slow)
	if at.Before(w.last) {
		at = w.last
	}
	w.last = at
	life, to := w.life, w.to.life
	f.after(at.Sub(f.now), func() {
		w.to.unlessStalled(func() {
			if w.up && w.life == life && w.to.life == to {
				w.to.note(in)
				w.to.step(in)
			}
		})
	})
}

// link sets the session between a and b up or down, both ways.
func (f *sim) link(a, b *node, up bool) {
	if a == b {
		return
	}
	ab, ba := f.wire(a, b), f.wire(b, a)
	if ab.up == up || up && !(a.up && b.up) {
		return
	}
	f.logf("link %s %s %v", a.id, b.id, up)
	for _, w := range []*wire{ab, ba} {
		w.up, w.last = up, f.now
		w.life++
	}
	for _, pair := range [][2]*node{{a, b}, {b, a}} {
		n, other := pair[0], pair[1]
		if up {
			n.step(replica.PeerUp{Peer: other.id})
			f.wire(n, other).send(f, n.says())
		} else {
			n.step(replica.PeerDown{Peer: other.id})
		}
	}
}

// linked are the nodes that n has a session with.
func (f *sim) linked(n *node) []*node {
	var out []*node
	for _, o := range f.nodes {
		if o != n && f.wire(n, o).up {
			out = append(out, o)
		}
	}
	return out
}
