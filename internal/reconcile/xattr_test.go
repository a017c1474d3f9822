package reconcile

import (
	"testing"

	"tandem/internal/farm"
)

// Extended attributes go with mode and owner: the latest that set one of them wins, whoever wrote the content.
func TestXAttrsAreOfTheMetaStamp(t *testing.T) {
	x, err := farm.MakeXAttrs([]farm.XAttr{{Name: "user.note", Value: "kept"}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(m string, seq farm.Seq) farm.Stamp {
		return farm.Stamp{Dot: farm.Position{Actor: farm.Actor{Member: farm.MemberID(m), Epoch: 1}, Seq: seq}, Time: farm.HLC(seq)}
	}
	base := at("a", 1)
	version := func(own, content, meta farm.Stamp) farm.Version {
		return farm.Version{Dot: own.Dot, Vector: farm.VectorOf(base.Dot, own.Dot), Time: own.Time, Content: content, Meta: meta}
	}
	edit, note := at("a", 3), at("b", 2)
	edited := farm.Entry{Attr: farm.Attr{Type: farm.File, Mode: 0o600, Digest: farm.Digest{2}}, Version: version(edit, edit, base)}
	noted := farm.Entry{Attr: farm.Attr{Type: farm.File, Mode: 0o600, Digest: farm.Digest{1}, XAttrs: x}, Version: version(note, base, note)}
	s := Decide([]farm.Entry{edited, noted}, false)
	if s.Digest != edited.Digest || s.XAttrs != x || s.Meta != note {
		t.Errorf("decided %+v", s)
	}
}
