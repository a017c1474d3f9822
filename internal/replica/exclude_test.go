package replica

import (
	"iter"
	"slices"
	"testing"
	"time"

	"tandem/internal/farm"
)

// rows is a catalogue for a single machine.
type rows map[string]farm.Record

func (c rows) Get(p farm.Path) (farm.Record, bool)   { r, ok := c[p.String()]; return r, ok }
func (c rows) Put(r farm.Record)                     { c[r.Path.String()] = r }
func (c rows) Drop(p farm.Path)                      { delete(c, p.String()) }
func (c rows) SetMeta(farm.Meta)                     {}
func (c rows) Live(farm.Path) bool                   { return false }
func (c rows) Under(farm.Path) iter.Seq[farm.Record] { return slices.Values(c.all()) }

func (c rows) all() (all []farm.Record) {
	for _, r := range c {
		all = append(all, r)
	}
	return all
}

// What others send of an excluded path counts as visible, is never installed, and is not forgotten: once the path is
// excluded no more, it is looked at.
func TestExcludedIsRememberedAndLeftAlone(t *testing.T) {
	path, err := farm.ParsePath("cache")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0)
	self := farm.Actor{Member: "web1", Epoch: 1}
	dot := farm.Position{Actor: farm.Actor{Member: "web2", Epoch: 1}, Seq: 1}
	change := farm.Change{Entry: farm.Entry{Path: path, Attr: farm.Attr{Type: farm.Dir, Mode: 0o755},
		Version: farm.Version{Dot: dot, Vector: farm.VectorOf(dot)}}}

	db := rows{}
	m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: self}, Rules: Rules{Excluded: func(p farm.Path) bool { return p == path }}}, db)
	m.Step(now, Start{})
	for _, e := range m.Step(now, Arrived{From: "web2", Change: change}) {
		if _, ok := e.(Raise); !ok {
			t.Errorf("effect %#v", e)
		}
	}
	if s := m.State(); !s.Applied.Covers(dot) || s.Waiting != 0 {
		t.Errorf("applied %v, waiting %d", s.Applied, s.Waiting)
	}

	for _, excluded := range []bool{true, false} {
		m = New(Config{Folder: "shop", Meta: farm.Meta{Actor: self, Known: farm.VectorOf(dot)},
			Rules: Rules{Excluded: func(p farm.Path) bool { return excluded && p == path }}}, db)
		m.Step(now, Start{})
		if looked := m.Waiting() > 0; looked == excluded {
			t.Errorf("excluded %v: waiting %d", excluded, m.Waiting())
		}
	}
}
