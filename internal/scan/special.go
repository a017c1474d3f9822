package scan

import (
	"errors"
	"maps"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// Kinds of what is seen in a tree and not replicated as it is. Further ones are vfs.Stat.Other: "fifo", "socket",
// "device".
const (
	mount    = "mount"     // another file system
	hardLink = "hard link" // a file of several names: each is replicated as a file of its own
)

// special is the cause of an error that says what stands at a path instead of something that is replicated. A caller
// finds the kind with errors.As and an interface of this one method.
type special string

func (s special) SpecialKind() string { return string(s) }

func (s special) Error() string {
	if s == mount {
		return "another file system is mounted there, which is not replicated"
	}
	return "it is a " + string(s) + ", which is not replicated"
}

// maxSpecials bounds the paths of a census. What is found beyond it is counted until the next whole walk, whatever becomes of it.
const maxSpecials = 10_000

// census counts by kind what is seen and not replicated as it is. Of FIFOs, sockets and devices it knows the paths, so
// that each look at one brings it up to date. It is guarded by the scanner's counting.
type census struct {
	counts map[string]int64
	at     map[farm.Path]string
}

func (c *census) set(p farm.Path, kind string) {
	if old := c.at[p]; old == kind {
		return
	} else if old != "" {
		delete(c.at, p)
		if c.counts[old]--; c.counts[old] == 0 {
			delete(c.counts, old)
		}
	}
	if kind == "" {
		return
	}
	c.counts[kind]++
	if len(c.at) < maxSpecials {
		c.at[p] = kind
	}
}

// Seen counts by kind what is not replicated as it is: as the last walk of the whole folder saw it and, of FIFOs, sockets
// and devices, all looks since. The map is the caller's.
func (s *Scanner) Seen() map[string]int64 {
	s.counting.Lock()
	defer s.counting.Unlock()
	if s.seen == nil {
		return nil
	}
	return maps.Clone(s.seen.counts)
}

func (s *Scanner) beginCensus() *census {
	s.counting.Lock()
	defer s.counting.Unlock()
	s.next = &census{counts: map[string]int64{}, at: map[farm.Path]string{}}
	return s.next
}

func (s *Scanner) endCensus(c *census) {
	s.counting.Lock()
	defer s.counting.Unlock()
	s.seen = c
	if s.next == c {
		s.next = nil
	}
}

// noted brings the counts up to date with a look at p: it is of that special kind; empty: of none.
func (s *Scanner) noted(p farm.Path, kind string) {
	s.counting.Lock()
	defer s.counting.Unlock()
	for _, c := range []*census{s.seen, s.next} {
		if c != nil {
			c.set(p, kind)
		}
	}
}

// notedGone says that p, which was a directory, is none any more.
func (s *Scanner) notedGone(p farm.Path) {
	s.counting.Lock()
	defer s.counting.Unlock()
	for _, c := range []*census{s.seen, s.next} {
		if c == nil {
			continue
		}
		for q := range c.at {
			if q.Under(p) {
				c.set(q, "")
			}
		}
	}
}

// examined brings the counts up to date with what Examine found.
func (s *Scanner) examined(p farm.Path, prior farm.Disk, o farm.Observation, err error) {
	var kind special
	if farm.KindOf(err) == farm.Unsupported && errors.As(err, &kind) {
		s.noted(p, string(kind))
	} else if err == nil {
		s.noted(p, "")
	} else {
		return
	}
	if prior.Type == farm.Dir && o.Attr.Type != farm.Dir {
		s.notedGone(p)
	}
}

// special notes what an entry is besides what is replicated of it.
func (w *walk) special(p farm.Path, st vfs.Stat, err error) {
	if err == nil {
		w.noted(p, st.Other)
	}
	if w.seen == nil {
		return
	}
	kind := ""
	switch {
	case farm.KindOf(err) == farm.Conflict:
		kind = mount
	case err == nil && st.Type == farm.File && st.Links > 1:
		kind = hardLink
	default:
		return
	}
	w.counting.Lock()
	defer w.counting.Unlock()
	w.seen.counts[kind]++
}
