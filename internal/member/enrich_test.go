package member

import (
	"testing"

	"tandem/internal/farm"
)

func TestAttributesThatAnOldMemberDoesNotKnow(t *testing.T) {
	web1, web2 := farm.Actor{Member: "web1", Epoch: 1}, farm.Actor{Member: "web2", Epoch: 1}
	first, second, theirs := farm.Position{Actor: web1, Seq: 1}, farm.Position{Actor: web1, Seq: 2}, farm.Position{Actor: web2, Seq: 1}
	attrs, err := farm.MakeXAttrs([]farm.XAttr{{Name: "user.a", Value: "1"}})
	if err != nil {
		t.Fatal(err)
	}
	entry := func(typ farm.Type, mode uint32, dot farm.Position, on ...farm.Position) farm.Entry {
		v := farm.Version{Dot: dot, Vector: farm.VectorOf(append(on, dot)...), Time: farm.HLC(dot.Seq)}
		v.Content, v.Meta = v.Stamp(), v.Stamp()
		return farm.Entry{Path: farm.MustPath("a"), Attr: farm.Attr{Type: typ, Mode: mode}, Version: v}
	}
	with := func(e farm.Entry) farm.Entry { e.XAttrs = attrs; return e }
	for name, x := range map[string]struct {
		known []farm.Entry
		came  farm.Entry
		attrs bool
		mode  uint32
	}{
		"rewritten":         {[]farm.Entry{with(entry(farm.File, 0o4755, first))}, entry(farm.File, 0o755, theirs, first), true, 0o4755},
		"another mode":      {[]farm.Entry{with(entry(farm.File, 0o4755, first))}, entry(farm.File, 0o700, theirs, first), true, 0o700},
		"concurrent":        {[]farm.Entry{with(entry(farm.File, 0o4755, first))}, entry(farm.File, 0o755, theirs), false, 0o755},
		"another type":      {[]farm.Entry{with(entry(farm.Dir, 0o755, first))}, entry(farm.File, 0o755, theirs, first), false, 0o755},
		"the later's":       {[]farm.Entry{entry(farm.File, 0o755, first), with(entry(farm.File, 0o755, second))}, entry(farm.File, 0o755, theirs, first, second), true, 0o755},
		"nothing was known": {nil, entry(farm.File, 0o755, theirs), false, 0o755},
	} {
		t.Run(name, func(t *testing.T) {
			enrichBy(&x.came, x.known)
			if got := len(x.came.XAttrs.Encoded()) > 0; got != x.attrs || x.came.Mode != x.mode {
				t.Errorf("attributes %v, mode %o", got, x.came.Mode)
			}
		})
	}
}
