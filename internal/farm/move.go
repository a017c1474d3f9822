package farm

import "time"

// Move is the rename of a directory with all that is in it, as one value. It stands for 2*Count changes of one member: the
// creation of each entry where it is now, parents first, and then the deletion of each where it was, children first.
type Move struct {
	From, To Path
	First    Position // of the changes
	Count    int      // entries that were moved, From among them
	Time     HLC      // of all changes
	Digest   Digest   // of the entries as they were, and of what was seen at the new paths; package replica makes it
	Sent     time.Time
}

// Last is the position of the last change that m stands for.
func (m Move) Last() Position {
	return Position{m.First.Actor, m.First.Seq + 2*Seq(m.Count) - 1}
}

// At is where p, which is From or lies under it, is after the move. The path may become too long.
func (m Move) At(p Path) (Path, error) { return ParsePath(m.To.s + p.s[len(m.From.s):]) }

// Touches tells whether p is one of the two names, or lies under one.
func (m Move) Touches(p Path) bool {
	return p == m.From || p == m.To || p.Under(m.From) || p.Under(m.To)
}

// Made is the creation at the path to of the i-th entry, in the order of their paths; seen is what the writer had before
// its eyes there.
func (m Move) Made(was Entry, i int, to Path, seen Vector) Entry {
	return Entry{Path: to, Attr: was.Attr, Version: m.version(Seq(i), seen)}
}

// Gone is the deletion of the i-th entry.
func (m Move) Gone(was Entry, i int) Entry {
	a := Attr{Mode: was.Mode, Owner: was.Owner}
	if was.Type == Dir {
		a.XAttrs = was.XAttrs
	}
	return Entry{Path: was.Path, Attr: a, Version: m.version(Seq(2*m.Count-1-i), was.Version.Vector)}
}

// version is that of the change which is n numbers behind the first.
func (m Move) version(n Seq, seen Vector) Version {
	own := Stamp{Dot: Position{m.First.Actor, m.First.Seq + n}, Time: m.Time}
	return Version{Dot: own.Dot, Vector: seen.With(own.Dot), Time: m.Time, Content: own, Meta: own}
}
