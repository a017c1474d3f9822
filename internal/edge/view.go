package edge

import (
	"cmp"
	"slices"
	"time"

	"tandem/internal/farm"
)

// view is what requests see of the nodes: immutable, replaced whenever any of it changes.
type view struct {
	tiers    [][]*standing          // that take requests; those of a tier are equally fit, those of the next one less
	picker   picker                 // for sites that have none of their own
	known    farm.Session           // all that any node has been heard to know
	revision farm.Digest            // of the configuration that all nodes run; zero: they differ
	folders  map[farm.FolderID]bool // that any node speaks of
	lackFrom time.Time              // since when no node takes requests; zero: one does
	slow     time.Duration          // how long a node takes to its whole share
	slowTo   time.Time              // when all have their whole share
	next     chan struct{}          // closed when the view is replaced
}

// rank says how fit a node is; the less the better.
type rank uint8

const (
	rankFit rank = iota
	rankStrained
	rankSpare
	rankStrainedSpare
	rankDraining
)

// standing is a node that takes requests, as it stood when the view was made.
type standing struct {
	node   *node
	rank   rank
	weight int
	spare  bool
	mark   string                             // in affinity cookies
	rise   int                                // how often it has come up; tells a node from itself before it failed
	up     time.Time                          // when it has come up
	since  time.Time                          // since when it drains, if it does
	has    map[farm.FolderID]farm.FolderState // as last reported
}

// rankOf is the rank of a node that takes requests.
func rankOf(h Health, spare bool) rank {
	r := rankFit
	switch h {
	case Draining:
		return rankDraining
	case Strained:
		r = rankStrained
	}
	if spare {
		r += rankSpare
	}
	return r
}

// newView is a view of the nodes; those that take no requests don't stand in it.
func newView(all []*standing, p picker, slow time.Duration) *view {
	v := &view{picker: p, folders: map[farm.FolderID]bool{}, slow: slow, next: make(chan struct{})}
	slices.SortStableFunc(all, func(a, b *standing) int { return cmp.Compare(a.rank, b.rank) })
	for _, s := range all {
		if last := len(v.tiers) - 1; last >= 0 && v.tiers[last][0].rank == s.rank {
			v.tiers[last] = append(v.tiers[last], s)
		} else {
			v.tiers = append(v.tiers, []*standing{s})
		}
		if full := s.up.Add(slow); full.After(v.slowTo) {
			v.slowTo = full
		}
	}
	return v
}

// takesNew tells whether a node takes new visitors.
func (v *view) takesNew() bool { return len(v.tiers) > 0 && v.tiers[0][0].rank != rankDraining }

// covers tells whether all that the session has seen is applied there. Folders that no node speaks of any more can't
// be waited for, nor can what nobody knows any more.
func (v *view) covers(s *standing, want farm.Session) bool {
	for f, vector := range want {
		applied := s.has[f].Applied
		if !v.folders[f] || applied.CoversAll(vector) {
			continue
		}
		states := v.states(f)
		for p := range vector.All() {
			if !applied.Covers(Attainable(p, states)) {
				return false
			}
		}
	}
	return true
}

// states are what the nodes that take requests say of the folder.
func (v *view) states(f farm.FolderID) []farm.FolderState {
	var all []farm.FolderState
	for _, tier := range v.tiers {
		for _, s := range tier {
			all = append(all, s.has[f])
		}
	}
	return all
}

// Attainable is the position that a visitor who has seen p may wait for, given the states of all members that can be
// asked. That is p, except when its writer has begun a new epoch since, as after the loss of its index: what of the old
// one nobody knows now will never come, and waiting for it would lock the visitor out.
func Attainable(p farm.Position, states []farm.FolderState) farm.Position {
	ended := func(a farm.Actor) bool { return a.Member == p.Actor.Member && a.Epoch > p.Actor.Epoch }
	over, most := false, farm.Seq(0)
	for _, s := range states {
		over = over || ended(s.Actor)
		for q := range s.Known.All() {
			over = over || ended(q.Actor)
		}
		most = max(most, s.Known.At(p.Actor))
	}
	if over {
		p.Seq = min(p.Seq, most)
	}
	return p
}

// attempts remembers where one request has been.
type attempts struct {
	failed map[standingKey]bool // true: only a connection that had been idle broke, which says little about the node
}

type standingKey struct {
	node *node
	rise int
}

func (t *attempts) note(s *standing, stale bool) {
	if t.failed == nil {
		t.failed = map[standingKey]bool{}
	}
	k := standingKey{s.node, s.rise}
	_, before := t.failed[k]
	t.failed[k] = stale && !before
}

func (t *attempts) fresh(s *standing) bool {
	_, tried := t.failed[standingKey{s.node, s.rise}]
	return !tried
}

func (t *attempts) stale(s *standing) bool { return t.failed[standingKey{s.node, s.rise}] }

// best picks the node for a request: one that has all that the visitor has written and seen, that has not failed this
// request yet, and that is as fit as can be, in this order of importance. Nil: wait for a view that has one.
func (x *exchange) best(v *view) *standing {
	if s := x.bound(v); s != nil {
		return s
	}
	fits := func(s *standing) bool { return v.fits(s, x.want) }
	for _, ok := range []func(*standing) bool{x.tried.fresh, x.tried.stale} {
		for _, tier := range v.tiers {
			if s := x.pick(v, tier, func(s *standing) bool { return ok(s) && fits(s) }); s != nil {
				return s
			}
		}
	}
	return nil
}

// any picks a node when waiting for a better one has taken too long. Nil: there is none at all.
func (x *exchange) any(v *view) *standing {
	for _, ok := range []func(*standing) bool{x.tried.fresh, x.tried.stale, func(*standing) bool { return true }} {
		for _, tier := range v.tiers {
			if s := x.pick(v, tier, ok); s != nil {
				return s
			}
		}
	}
	return nil
}

// shuns tells whether the site is out on the node.
func (x *exchange) shuns(s *standing) bool {
	_, out := x.shun[s.node]
	return out
}

// pick lets the policy choose among those that are ok, and if possible among those that need not let it queue and that
// have got used to their visitors.
func (x *exchange) pick(v *view, from []*standing, ok func(*standing) bool) *standing {
	fit := filter(from, func(s *standing) bool { return ok(s) && !x.shuns(s) })
	if free := filter(fit, x.hasRoom); len(free) > 0 {
		fit = free
	}
	if len(fit) == 0 {
		return nil
	}
	if now := x.edge.cfg.Now(); now.Before(v.slowTo) {
		fit = x.edge.slowStart(v, fit, now)
	}
	return x.site.picker(v).pick(fit, x)
}

// slowStart leaves out, by chance, nodes that have come up lately: the less often the longer they are up. It never leaves
// out all.
func (e *Edge) slowStart(v *view, fit []*standing, now time.Time) []*standing {
	ready := filter(fit, func(s *standing) bool {
		return e.random() < float64(now.Sub(s.up))/float64(v.slow)
	})
	if len(ready) == 0 {
		return fit
	}
	return ready
}

// filter returns those that are ok. Mostly that is all, which costs no memory.
func filter(from []*standing, ok func(*standing) bool) []*standing {
	for i, s := range from {
		if !ok(s) {
			fit := slices.Clone(from[:i])
			for _, s := range from[i+1:] {
				if ok(s) {
					fit = append(fit, s)
				}
			}
			return fit
		}
	}
	return from
}

func (s *standing) hasRoom() bool { return s.node.gate.hasRoom() }
