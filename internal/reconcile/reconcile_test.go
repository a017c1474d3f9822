package reconcile

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

// writer simulates members that write one path, each seeing some of the versions that exist.
type writer struct {
	clock map[farm.MemberID]*farm.Clock
	seq   map[farm.MemberID]farm.Seq
	known map[farm.MemberID][]farm.Entry
	all   []farm.Entry
}

func newWriter() *writer {
	return &writer{clock: map[farm.MemberID]*farm.Clock{}, seq: map[farm.MemberID]farm.Seq{}, known: map[farm.MemberID][]farm.Entry{}}
}

// write makes a version on top of all that m has heard of, as the machine does.
func (w *writer) write(m farm.MemberID, typ farm.Type, content byte, metaOnly bool) farm.Entry {
	if w.clock[m] == nil {
		w.clock[m] = &farm.Clock{}
	}
	s := Decide(w.known[m], false)
	for _, e := range w.known[m] {
		w.clock[m].Observe(e.Version.Time)
	}
	w.seq[m]++
	dot := farm.Position{Actor: farm.Actor{Member: m, Epoch: 1}, Seq: w.seq[m]}
	own := farm.Stamp{Dot: dot, Time: w.clock[m].Now(farm.HLC(0).Wall())}
	e := farm.Entry{Path: farm.MustPath("x")}
	e.Attr = farm.Attr{Type: typ, Mode: 0o600 + uint32(content%8)}
	e.Version = farm.Version{Dot: dot, Vector: s.Context.With(dot), Time: own.Time, Content: own, Meta: own, Lost: s.LostDots}
	if metaOnly && s.Type != farm.Absent {
		e.Attr = s.Attr
		e.Mode = 0o700 + uint32(content%8)
		e.Version.Content = s.Content
	} else if typ == farm.File {
		e.Digest[0], e.Size = content, 1
		if s.Type == farm.File {
			e.Mode, e.Version.Meta = s.Mode, s.Meta
		}
	}
	w.hear(m, e)
	w.all = append(w.all, e)
	return e
}

func (w *writer) hear(m farm.MemberID, e farm.Entry) { w.known[m] = Merge(w.known[m], e) }

func drawHistory(t *rapid.T) []farm.Entry {
	w := newWriter()
	members := []farm.MemberID{"a", "b", "c"}
	for range rapid.IntRange(1, 10).Draw(t, "writes") {
		m := rapid.SampledFrom(members).Draw(t, "member")
		for _, e := range w.all {
			if rapid.Bool().Draw(t, "hears") {
				w.hear(m, e)
			}
		}
		typ := rapid.SampledFrom([]farm.Type{farm.Absent, farm.File, farm.File, farm.Dir, farm.Symlink}).Draw(t, "type")
		w.write(m, typ, rapid.Byte().Draw(t, "content"), rapid.Bool().Draw(t, "meta"))
	}
	return w.all
}

// Whatever the order and repetition in which versions are heard, the same set and the same state come out.
func TestMergeIsIndependentOfOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawHistory(t)
		var one, two []farm.Entry
		for _, e := range all {
			one = Merge(one, e)
		}
		for _, e := range rapid.Permutation(append(slices.Clone(all), all...)).Draw(t, "order") {
			two = Merge(two, e)
		}
		if len(one) != len(two) {
			t.Fatalf("%d and %d versions remain", len(one), len(two))
		}
		a, b := Decide(one, false), Decide(two, false)
		if a.Attr != b.Attr || !a.Context.Equal(b.Context) || a.Content != b.Content || a.Meta != b.Meta || !slices.Equal(a.LostDots, b.LostDots) {
			t.Fatalf("decided differently:\n%+v\n%+v", a, b)
		}
	})
}

// A content that was written is current, or was seen by somebody who overwrote it, or its author keeps it when another
// takes its place and it is named as lost.
func TestNothingIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWriter()
		seen := map[farm.Position]bool{} // contents that a writer had before its eyes when it wrote other content
		kept := map[farm.Position]bool{} // contents that their author has preserved
		hear := func(m farm.MemberID, e farm.Entry) {
			before := Decide(w.known[m], false)
			w.hear(m, e)
			after := Decide(w.known[m], false)
			dot := before.Content.Dot
			if dot.Actor.Member == m && after.Content.Dot != dot && slices.Contains(after.LostDots, dot) {
				kept[dot] = true
			}
		}
		members := []farm.MemberID{"a", "b", "c"}
		var contents []farm.Entry
		for i := range rapid.IntRange(1, 12).Draw(t, "writes") {
			m := rapid.SampledFrom(members).Draw(t, "member")
			for _, e := range w.all {
				if rapid.Bool().Draw(t, "hears") {
					hear(m, e)
				}
			}
			seen[Decide(w.known[m], false).Content.Dot] = true
			contents = append(contents, w.write(m, farm.File, byte(i), false))
		}
		for _, m := range members {
			for _, e := range w.all {
				hear(m, e)
			}
		}
		s := Decide(w.known["a"], false)
		for _, e := range contents {
			dot := e.Version.Content.Dot
			if dot != s.Content.Dot && !seen[dot] && !kept[dot] {
				t.Fatalf("%v is gone without a trace; current %v, lost %v", dot, s.Content.Dot, s.LostDots)
			}
		}
	})
}

func TestDecide(t *testing.T) {
	type step struct {
		m     farm.MemberID
		typ   farm.Type
		c     byte
		meta  bool
		hears []int // indices of earlier steps
	}
	tests := []struct {
		name  string
		steps []step
		child bool
		typ   farm.Type
		c     byte // expected content
		mode  uint32
		lost  []int
	}{
		{name: "later wins", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 2, false, nil}}, typ: farm.File, c: 2, mode: 0o602, lost: []int{0}},
		{name: "descendant wins", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 2, false, []int{0}}}, typ: farm.File, c: 2, mode: 0o601},
		{name: "equal content is no conflict", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 1, false, nil}}, typ: farm.File, c: 1, mode: 0o601},
		{name: "edit beats delete", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 2, false, []int{0}}, {"a", farm.Absent, 0, false, nil}}, typ: farm.File, c: 2, mode: 0o601},
		{name: "mode and content merge", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 5, true, []int{0}}, {"a", farm.File, 3, false, nil}}, typ: farm.File, c: 3, mode: 0o705},
		{name: "delete beats a change of mode", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 5, true, []int{0}}, {"a", farm.Absent, 0, false, nil}}, typ: farm.Absent, mode: 0o600},
		{name: "a file in place of a directory beats a change of mode", steps: []step{{"a", farm.Dir, 1, false, nil}, {"b", farm.Dir, 5, true, []int{0}}, {"a", farm.File, 3, false, nil}}, typ: farm.File, c: 3, mode: 0o603},
		{name: "a change of mode does not bring an overwritten content back", steps: []step{{"a", farm.File, 1, false, nil}, {"b", farm.File, 5, true, []int{0}}, {"c", farm.Symlink, 0, false, []int{0}}, {"a", farm.Absent, 0, false, []int{2}}}, typ: farm.Absent, mode: 0o600},
		{name: "what one has overwritten knowingly is called lost by nobody", steps: []step{{"b", farm.File, 1, false, nil}, {"d", farm.File, 2, false, nil}, {"d", farm.File, 3, false, []int{0}}, {"b", farm.Absent, 0, false, nil}, {"c", farm.File, 5, true, []int{0}}, {"d", farm.Absent, 0, false, []int{3}}}, typ: farm.Absent, mode: 0o600},
		{name: "directory beats file", steps: []step{{"a", farm.Dir, 1, false, nil}, {"b", farm.File, 2, false, nil}}, typ: farm.Dir, mode: 0o601, lost: []int{1}},
		{name: "deleted directory with a live child", steps: []step{{"a", farm.Dir, 1, false, nil}, {"a", farm.Absent, 1, false, nil}}, child: true, typ: farm.Dir, mode: 0o601},
		{name: "file over a live child", steps: []step{{"a", farm.File, 1, false, nil}}, child: true, typ: farm.Dir, mode: 0o755, lost: []int{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newWriter()
			// Clocks agree: later steps have later times.
			shared := &farm.Clock{}
			for _, s := range tt.steps {
				w.clock[s.m] = shared
				for _, i := range s.hears {
					w.hear(s.m, w.all[i])
				}
				w.write(s.m, s.typ, s.c, s.meta)
			}
			var known []farm.Entry
			for _, e := range w.all {
				known = Merge(known, e)
			}
			s := Decide(known, tt.child)
			if s.Type != tt.typ || s.Digest[0] != tt.c || s.Mode != tt.mode {
				t.Errorf("got %v content %d mode %o, want %v %d %o", s.Type, s.Digest[0], s.Mode, tt.typ, tt.c, tt.mode)
			}
			var lost []int
			for i, e := range w.all {
				if slices.ContainsFunc(s.Lost, func(l farm.Entry) bool { return l.Version.Dot == e.Version.Dot }) {
					lost = append(lost, i)
				}
			}
			if !slices.Equal(lost, tt.lost) {
				t.Errorf("lost %v, want %v", lost, tt.lost)
			}
		})
	}
}
