package scan

import (
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

// Seen counts by kind what the last walk of the whole folder saw and what is not replicated as it is. The map is the
// caller's.
func (s *Scanner) Seen() map[string]int64 {
	if p := s.seen.Load(); p != nil {
		return maps.Clone(*p)
	}
	return nil
}

// special notes what an entry is besides what is replicated of it.
func (w *walk) special(st vfs.Stat, err error) {
	switch {
	case farm.KindOf(err) == farm.Conflict:
		w.seen[mount]++
	case err != nil:
	case st.Type == farm.Absent:
		w.seen[st.Other]++
	case st.Type == farm.File && st.Links > 1:
		w.seen[hardLink]++
	}
}
