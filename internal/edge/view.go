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
	picker   picker
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
// be waited for.
func (s *standing) covers(want farm.Session, folders map[farm.FolderID]bool) bool {
	for f, v := range want {
		if folders[f] && !s.has[f].Applied.CoversAll(v) {
			return false
		}
	}
	return true
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
func (v *view) best(want farm.Session, t *attempts) *standing {
	covers := func(s *standing) bool { return s.covers(want, v.folders) }
	for _, ok := range []func(*standing) bool{t.fresh, t.stale} {
		for _, from := range [][]*standing{v.healthy, v.draining} {
			if s := v.pick(from, func(s *standing) bool { return ok(s) && covers(s) }); s != nil {
				return s
			}
		}
	}
	return nil
}

// any picks a node when waiting for a better one has taken too long. Nil: there is none at all.
func (v *view) any(t *attempts) *standing {
	for _, ok := range []func(*standing) bool{t.fresh, t.stale, func(*standing) bool { return true }} {
		for _, from := range [][]*standing{v.healthy, v.draining} {
			if s := v.pick(from, ok); s != nil {
				return s
			}
		}
	}
	return nil
}

// pick lets the policy choose among those that are ok, and if possible among those that need not let it queue.
func (v *view) pick(from []*standing, ok func(*standing) bool) *standing {
	fit := filter(from, ok)
	if free := filter(fit, (*standing).hasRoom); len(free) > 0 {
		fit = free
	}
	if len(fit) == 0 {
		return nil
	}
	return v.picker.pick(fit)
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
