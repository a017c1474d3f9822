package edge

import (
	"testing"

	"tandem/internal/farm"
)

func TestAttainable(t *testing.T) {
	const old, now = farm.Epoch(10), farm.Epoch(11) // a and b in base 36
	web1 := func(e farm.Epoch) farm.Actor { return farm.Actor{Member: "web1", Epoch: e} }
	web2 := farm.Actor{Member: "web2", Epoch: old}
	for _, c := range []struct {
		name   string
		states []farm.FolderState
		want   farm.Seq
	}{
		{"nobody to ask", nil, 7},
		{"the epoch goes on", []farm.FolderState{{Actor: web1(old)}, {Actor: web2}}, 7},
		{"ended, nobody knows it", []farm.FolderState{{Actor: web1(now)}, {Actor: web2}}, 0},
		{"ended, a part is known", []farm.FolderState{
			{Actor: web1(now), Known: farm.VectorOf(farm.Position{Actor: web1(old), Seq: 3})}, {Actor: web2},
		}, 3},
		{"ended, another knows it", []farm.FolderState{
			{Actor: web1(now)}, {Actor: web2, Known: farm.VectorOf(farm.Position{Actor: web1(old), Seq: 9})},
		}, 7},
		{"ended, its writer is away", []farm.FolderState{
			{Actor: web2, Known: farm.VectorOf(farm.Position{Actor: web1(now), Seq: 1})},
		}, 0},
		{"another's newer epoch", []farm.FolderState{{Actor: farm.Actor{Member: "web2", Epoch: now}}}, 7},
	} {
		p := farm.Position{Actor: web1(old), Seq: 7}
		if got := Attainable(p, c.states); got.Seq != c.want || got.Actor != p.Actor {
			t.Errorf("%s: got %v, want %d", c.name, got, c.want)
		}
	}
}
