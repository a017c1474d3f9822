package replica

import (
	"fmt"
	"testing"
	"time"

	"tandem/internal/farm"
)

// BenchmarkMachine is what the decisions about one new file cost, from the first notification to its rest.
func BenchmarkMachine(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	attr := farm.Attr{Type: farm.File, Mode: 0o644, Size: 4096}
	other := farm.Actor{Member: "web2", Epoch: 1}
	machine := func() *Machine {
		m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: farm.Actor{Member: "web1", Epoch: 1}}}, newBatch(&countedLog{at: map[farm.Path]farm.Record{}}))
		m.Step(now, Start{})
		return m
	}
	b.Run("local", func(b *testing.B) {
		m := machine()
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			p := farm.MustPath(fmt.Sprint("f", n%recentRecords))
			attr.MTime = int64(n)
			m.Step(now, Dirty{Paths: []farm.Path{p}})
			m.Step(now, Observed{Path: p, Seen: farm.Observation{Path: p, Attr: attr}})
		}
	})
	b.Run("remote", func(b *testing.B) {
		m := machine()
		b.ReportAllocs()
		for n := 0; b.Loop(); n++ {
			p := farm.MustPath(fmt.Sprint("f", n%recentRecords))
			dot := farm.Position{Actor: other, Seq: farm.Seq(n + 1)}
			own := farm.Stamp{Dot: dot, Time: farm.HLC(n)}
			attr.MTime = int64(n)
			effects := m.Step(now, Arrived{From: "web2", Change: farm.Change{Entry: farm.Entry{Path: p, Attr: attr,
				Version: farm.Version{Dot: dot, Vector: farm.VectorOf(dot), Time: own.Time, Content: own, Meta: own}}}})
			for _, e := range effects {
				if in, ok := e.(Install); ok {
					m.Step(now, Installed{farm.Installed{Plan: in.Plan, Outcome: farm.Done, Attr: in.Plan.Want}})
				}
			}
		}
	})
}
