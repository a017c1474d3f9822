package reconcile

import (
	"slices"

	"tandem/internal/farm"
)

// Merge returns the causally maximal versions among known and e, ordered by dot. It is known itself when e says nothing
// new. Known is not altered.
func Merge(known []farm.Entry, e farm.Entry) []farm.Entry {
	for _, k := range known {
		if k.Version.Vector.Covers(e.Version.Dot) {
			return known
		}
	}
	next := make([]farm.Entry, 0, len(known)+1)
	for _, k := range known {
		if !e.Version.Vector.Covers(k.Version.Dot) {
			next = append(next, k)
		}
	}
	next = append(next, e)
	slices.SortFunc(next, func(a, b farm.Entry) int { return byDot(a.Version.Dot, b.Version.Dot) })
	return next
}

func byDot(a, b farm.Position) int { return farm.Stamp{Dot: a}.Compare(farm.Stamp{Dot: b}) }

// State is what a path should be.
type State struct {
	farm.Attr                 // what should be on disk; Absent keeps the mode and owner of what was deleted
	Content   farm.Stamp      // the write that set type and content
	Meta      farm.Stamp      // the write that set mode, owner and extended attributes
	Context   farm.Vector     // all versions that the state takes in
	Lost      []farm.Entry    // versions whose content lost just now, among those known
	LostDots  []farm.Position // the latest content of each member that is in Context and lost; ordered
}

// Decide says what a path should be. liveChild tells that something lives below it: then it is a directory, whatever is
// known of the path itself, because an edit beats the deletion of what it was made in. No versions: Absent.
func Decide(known []farm.Entry, liveChild bool) State {
	var s State
	for _, e := range known {
		s.Context = s.Context.Join(e.Version.Vector)
	}
	winner := pick(known)
	if winner == nil {
		return s
	}
	s.Attr, s.Content, s.Meta = winner.Attr, winner.Version.Content, winner.Version.Meta
	settleMeta(&s, known)
	if liveChild && s.Type != farm.Dir {
		s.Attr = impliedDir(s.Attr)
		winner = nil
	}
	for _, e := range known {
		if lost(e, winner, s.Attr) {
			s.Lost = append(s.Lost, e)
		}
	}
	s.LostDots = lostDots(known, s.Lost)
	return s
}

// pick returns the version whose content wins; of deletions only, the latest.
func pick(known []farm.Entry) *farm.Entry {
	var best *farm.Entry
	for i := range known {
		if !replaced(&known[i], known) && (best == nil || beats(&known[i], best)) {
			best = &known[i]
		}
	}
	return best
}

// replaced tells whether another's writer had e's content before its eyes and put something else, or nothing, in its
// place. E is then a change of attributes made elsewhere at the same time: it can't bring back a content that by now may
// be on no disk any more.
func replaced(e *farm.Entry, known []farm.Entry) bool {
	content := e.Version.Content
	for i := range known {
		v := &known[i].Version
		if v.Content != content && v.Content.Compare(content) > 0 && v.Vector.Covers(content.Dot) && !slices.Contains(v.Lost, content.Dot) {
			return true
		}
	}
	return false
}

// overwritten tells whether the writer of any of the versions had the content before its eyes and put another in its place.
func overwritten(content farm.Position, known []farm.Entry) bool {
	for i := range known {
		v := &known[i].Version
		if v.Content.Dot != content && v.Vector.Covers(content) && !slices.Contains(v.Lost, content) {
			return true
		}
	}
	return false
}

// beats orders maximal versions totally: life, directory, then the time of the content. Content times never contradict
// causality, and among maximal versions only concurrent ones differ in the first two.
func beats(a, b *farm.Entry) bool {
	if la, lb := a.Type != farm.Absent, b.Type != farm.Absent; la != lb {
		return la
	}
	if da, db := a.Type == farm.Dir, b.Type == farm.Dir; da != db {
		return da
	}
	if c := a.Version.Content.Compare(b.Version.Content); c != 0 {
		return c > 0
	}
	return a.Version.Stamp().Compare(b.Version.Stamp()) > 0
}

// settleMeta takes mode, owner and extended attributes from the latest that set them among versions of the winning type, and the
// modification time from the latest among those with the winning content.
func settleMeta(s *State, known []farm.Entry) {
	touched := s.Meta
	for _, e := range known {
		if e.Type != s.Type {
			continue
		}
		if e.Version.Meta.Compare(s.Meta) > 0 {
			s.Mode, s.Owner, s.XAttrs, s.Meta = e.Mode, e.Owner, e.XAttrs, e.Version.Meta
		}
		if e.Version.Content == s.Content && e.Version.Meta.Compare(touched) > 0 {
			s.MTime, touched = e.MTime, e.Version.Meta
		}
	}
}

// impliedDir is the directory that holds a live child although its own last version is a deletion or no directory.
func impliedDir(was farm.Attr) farm.Attr {
	dir := farm.Attr{Type: farm.Dir, Mode: was.Mode, Owner: was.Owner, XAttrs: was.XAttrs}
	if was.Type != farm.Absent || dir.Mode == 0 {
		dir.Mode, dir.XAttrs = 0o755, farm.XAttrs{}
	}
	return dir
}

// lost tells whether e's content is neither what should be on disk nor something that the winner's writer overwrote
// knowingly. A nil winner is an implied directory, which nobody wrote.
func lost(e farm.Entry, winner *farm.Entry, is farm.Attr) bool {
	if e.Type != farm.File && e.Type != farm.Symlink || e.Attr.SameContent(is) {
		return false
	}
	if winner == nil {
		return true
	}
	dot := e.Version.Content.Dot
	return !winner.Version.Vector.Covers(dot) || slices.Contains(winner.Version.Lost, dot)
}

// lostDots names the contents that lost. Of one member's only the latest counts: when it wrote that, the earlier ones had
// left its disk, overwritten knowingly or preserved. So the list is as short as the farm is small. What one version calls
// lost and the writer of another has overwritten knowingly is gone for good: called lost any longer, it would come back
// by a change of its mode.
func lostDots(known, lost []farm.Entry) []farm.Position {
	var dots []farm.Position
	for _, e := range known {
		for _, dot := range e.Version.Lost {
			if !overwritten(dot, known) {
				dots = append(dots, dot)
			}
		}
	}
	for _, e := range lost {
		dots = append(dots, e.Version.Content.Dot)
	}
	slices.SortFunc(dots, byDot)
	latest := dots[:0]
	for i, d := range dots {
		if i == len(dots)-1 || dots[i+1].Actor.Member != d.Actor.Member {
			latest = append(latest, d)
		}
	}
	return latest[max(0, len(latest)-farm.MaxLost):]
}
