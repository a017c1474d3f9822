package chunk

// Where a step's bytes are, besides the index of a content at hand.
const (
	Remote = -1 // to be fetched
	Zeros  = -2 // nowhere: they are zeros
)

// Step is a part of the wanted content that is had in one go.
type Step struct {
	From  int   // index of a content at hand, Remote or Zeros
	At    int64 // offset in that content
	To    int64 // offset in the wanted content
	Len   int64
	First int // index of its first chunk in the wanted recipe
	Count int // of its chunks
}

// Plan says where each part of the wanted content is to be had, in its order: from one of the contents at hand if it can
// be, in runs as long as can be.
func Plan(want Recipe, have ...Recipe) []Step {
	type place struct{ content, index int }
	at := map[Sum]place{}
	offsets := make([][]int64, len(have))
	for c, r := range have {
		offsets[c] = make([]int64, len(r))
		off := int64(0)
		for i, ch := range r {
			offsets[c][i] = off
			off += ch.Len
			if _, ok := at[ch.Sum]; !ok && !ch.Zero() {
				at[ch.Sum] = place{c, i}
			}
		}
	}
	var steps []Step
	last := place{content: Remote}
	to := int64(0)
	for i, ch := range want {
		s := Step{From: Remote, At: to, To: to, Len: ch.Len, First: i, Count: 1}
		p := place{content: Remote}
		switch {
		case ch.Zero():
			s.From, p.content = Zeros, Zeros
		case last.content >= 0 && last.index+1 < len(have[last.content]) && have[last.content][last.index+1] == ch:
			p = place{last.content, last.index + 1}
		default:
			if q, ok := at[ch.Sum]; ok && have[q.content][q.index] == ch {
				p = q
			}
		}
		if p.content >= 0 {
			s.From, s.At = p.content, offsets[p.content][p.index]
		}
		if n := len(steps) - 1; n >= 0 && steps[n].From == s.From && (s.From < 0 || steps[n].At+steps[n].Len == s.At) {
			steps[n].Len += s.Len
			steps[n].Count++
		} else {
			steps = append(steps, s)
		}
		last = p
		to += ch.Len
	}
	return steps
}
