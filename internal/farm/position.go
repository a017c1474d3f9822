package farm

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Epoch tells the lives of a member's index apart. A new index, or one that may have been set back, takes a new epoch; see
// docs/adr/0012. The value is the wall clock at that moment in milliseconds since 1970, or later: see Next.
type Epoch uint64

// Next is the epoch that begins now, after e. Behind a clock that is behind e it is some moments after e: how many says draw,
// which is any number that was drawn, so that two lives which both went on from e, because of a snapshot, differ.
func (e Epoch) Next(now time.Time, draw uint16) Epoch {
	return max(Epoch(now.UnixMilli()), e+1+Epoch(draw))
}

// Seq numbers the changes of one member in one epoch and one folder: 1, 2, 3, ... without gaps.
type Seq uint64

// Actor is who writes: one life of one member's index.
type Actor struct {
	Member MemberID
	Epoch  Epoch
}

// Compare orders actors by member, then epoch.
func (a Actor) Compare(b Actor) int {
	return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Epoch, b.Epoch))
}

// Position is a point in an actor's feed. It names the change at that point (then it is the dot of a version) and all
// before it (then it is the read-your-writes token).
type Position struct {
	Actor Actor
	Seq   Seq
}

// IsZero tells whether p is no position at all.
func (p Position) IsZero() bool { return p == Position{} }

// String is "member.epoch.seq" with the numbers in base 36.
func (p Position) String() string {
	return string(p.Actor.Member) + "." + strconv.FormatUint(uint64(p.Actor.Epoch), 36) + "." + strconv.FormatUint(uint64(p.Seq), 36)
}

// ParsePosition is the inverse of String.
func ParsePosition(s string) (Position, error) {
	f := strings.Split(s, ".")
	if len(f) != 3 {
		return Position{}, fmt.Errorf("%q is not a position: want member.epoch.seq", s)
	}
	m, err := ParseMemberID(f[0])
	if err != nil {
		return Position{}, err
	}
	e, err1 := strconv.ParseUint(f[1], 36, 64)
	q, err2 := strconv.ParseUint(f[2], 36, 64)
	if err1 != nil || err2 != nil {
		return Position{}, fmt.Errorf("%q is not a position: want member.epoch.seq with numbers in base 36", s)
	}
	return Position{Actor{m, Epoch(e)}, Seq(q)}, nil
}

// Vector is a version vector: for each actor the sequence up to which its feed is included. The zero value includes
// nothing. A Vector is immutable: With and Join return new ones.
//
// Parker et al., "Detection of mutual inconsistency in distributed systems", 1983.
type Vector struct{ at []Position }

// VectorOf returns the vector that includes each of the positions.
func VectorOf(ps ...Position) Vector {
	var v Vector
	for _, p := range ps {
		v = v.With(p)
	}
	return v
}

// At is the sequence up to which a's feed is included; 0 is none of it.
func (v Vector) At(a Actor) Seq {
	if i, ok := v.find(a); ok {
		return v.at[i].Seq
	}
	return 0
}

func (v Vector) find(a Actor) (int, bool) {
	return slices.BinarySearchFunc(v.at, a, func(p Position, a Actor) int { return p.Actor.Compare(a) })
}

// Len is the number of actors of which something is included.
func (v Vector) Len() int { return len(v.at) }

// All yields one position per actor, ordered by actor.
func (v Vector) All() iter.Seq[Position] { return slices.Values(v.at) }

// Covers tells whether p is included. The zero position is in every vector.
func (v Vector) Covers(p Position) bool { return p.Seq == 0 || v.At(p.Actor) >= p.Seq }

// CoversAll tells whether all that w includes is included in v.
func (v Vector) CoversAll(w Vector) bool {
	for _, p := range w.at {
		if !v.Covers(p) {
			return false
		}
	}
	return true
}

// Equal tells whether v and w include the same.
func (v Vector) Equal(w Vector) bool { return slices.Equal(v.at, w.at) }

// With returns v with p included.
func (v Vector) With(p Position) Vector {
	if v.Covers(p) {
		return v
	}
	i, ok := v.find(p.Actor)
	at := make([]Position, 0, len(v.at)+1)
	at = append(at, v.at[:i]...)
	at = append(at, p)
	if ok {
		i++
	}
	return Vector{append(at, v.at[i:]...)}
}

// Capped returns v with a's sequence lowered to at most max; 0 takes the actor out.
func (v Vector) Capped(a Actor, max Seq) Vector {
	i, ok := v.find(a)
	if !ok || v.at[i].Seq <= max {
		return v
	}
	at := slices.Clone(v.at)
	if max == 0 {
		return Vector{slices.Delete(at, i, i+1)}
	}
	at[i].Seq = max
	return Vector{at}
}

// Join returns the vector that includes what v or w includes.
func (v Vector) Join(w Vector) Vector {
	if v.CoversAll(w) {
		return v
	}
	if w.CoversAll(v) {
		return w
	}
	at := make([]Position, 0, len(v.at)+len(w.at))
	i, j := 0, 0
	for i < len(v.at) || j < len(w.at) {
		switch {
		case j == len(w.at):
			at = append(at, v.at[i])
			i++
		case i == len(v.at):
			at = append(at, w.at[j])
			j++
		default:
			switch c := v.at[i].Actor.Compare(w.at[j].Actor); {
			case c < 0:
				at = append(at, v.at[i])
				i++
			case c > 0:
				at = append(at, w.at[j])
				j++
			default:
				at = append(at, Position{v.at[i].Actor, max(v.at[i].Seq, w.at[j].Seq)})
				i, j = i+1, j+1
			}
		}
	}
	return Vector{at}
}

// String is the positions joined by "+"; nothing is "-".
func (v Vector) String() string {
	if len(v.at) == 0 {
		return "-"
	}
	var b strings.Builder
	for i, p := range v.at {
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// ParseVector is the inverse of String.
func ParseVector(s string) (Vector, error) {
	var v Vector
	if s == "" || s == "-" {
		return v, nil
	}
	for f := range strings.SplitSeq(s, "+") {
		p, err := ParsePosition(f)
		if err != nil {
			return Vector{}, err
		}
		v = v.With(p)
	}
	return v, nil
}

// MarshalText and UnmarshalText give positions and vectors their String form in JSON.
func (p Position) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (p *Position) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePosition(string(b))
	return err
}

// MarshalText gives a vector its String form in JSON.
func (v Vector) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (v *Vector) UnmarshalText(b []byte) (err error) { *v, err = ParseVector(string(b)); return err }
