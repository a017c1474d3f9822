package edge

import (
	"slices"
	"time"

	"tandem/internal/farm"
)

// view is what requests see of the nodes: immutable, replaced whenever any of it changes.
type view struct {
	healthy  []*standing
	draining []*standing
	picker   picker                 // for sites that have none of their own
	folders  map[farm.FolderID]bool // that any node speaks of
	lackFrom time.Time              // since when no node takes requests; zero: one does
	next     chan struct{}          // closed when the view is replaced
}

// standing is a node that takes requests, as it stood when the view was made.
type standing struct {
	node   *node
	weight int
	rise   int                                // how often it has come up; tells a node from itself before it failed
	has    map[farm.FolderID]farm.FolderState // as last reported
}

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
	for _, from := range [][]*standing{v.healthy, v.draining} {
		for _, s := range from {
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

// best picks the node for a request: one that has all that the session has seen, that has not failed this request
// yet, and that is not draining, in this order of importance. Nil: wait for a view that has one.
func (v *view) best(p picker, want farm.Session, t *attempts) *standing {
	covers := func(s *standing) bool { return v.covers(s, want) }
	for _, ok := range []func(*standing) bool{t.fresh, t.stale} {
		for _, from := range [][]*standing{v.healthy, v.draining} {
			if s := pick(p, from, func(s *standing) bool { return ok(s) && covers(s) }); s != nil {
				return s
			}
		}
	}
	return nil
}

// any picks a node when waiting for a better one has taken too long. Nil: there is none at all.
func (v *view) any(p picker, t *attempts) *standing {
	for _, ok := range []func(*standing) bool{t.fresh, t.stale, func(*standing) bool { return true }} {
		for _, from := range [][]*standing{v.healthy, v.draining} {
			if s := pick(p, from, ok); s != nil {
				return s
			}
		}
	}
	return nil
}

// pick lets the policy choose among those that are ok, and if possible among those that need not let it queue.
func pick(p picker, from []*standing, ok func(*standing) bool) *standing {
	fit := filter(from, ok)
	if free := filter(fit, (*standing).hasRoom); len(free) > 0 {
		fit = free
	}
	if len(fit) == 0 {
		return nil
	}
	return p.pick(fit)
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
