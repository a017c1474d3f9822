package install

import (
	"testing"

	"tandem/internal/farm"
)

func TestShelf(t *testing.T) {
	s := newShelf()
	put := func(name string, op op, digest byte) {
		s.put(leftover{in: intent{Name: name, Op: op, expect: farm.Attr{Digest: farm.Digest{digest}}}})
	}
	all := func(leftover) bool { return true }
	names := func(list []leftover) (text string) {
		for _, l := range list {
			text += l.in.Name
		}
		return text
	}
	put("a", opRemove, 1)
	put("b", opReplace, 1)
	put("c", opRemove, 2)
	put("d", opRemove, 1)
	if _, ok := s.claim(farm.Digest{3}, all); ok {
		t.Error("claimed what is not there")
	}
	if l, ok := s.claim(farm.Digest{1}, all); !ok || l.in.Name != "d" {
		t.Errorf("claimed %v, want the newest that was removed", l.in.Name)
	}
	if _, ok := s.claim(farm.Digest{1}, func(l leftover) bool { return l.in.Name != "a" }); ok {
		t.Error("claimed what does not suit")
	}
	work := s.all()
	if names(work) != "abc" || len(s.held)+len(s.same) != 0 {
		t.Fatalf("all: %q", names(work))
	}
	put("e", opRemove, 2)
	s.put(work[1]) // what was older stays older
	s.put(work[2])
	if l := s.oldest(); l.in.Name != "b" {
		t.Errorf("oldest: %q", l.in.Name)
	}
	if l := s.oldest(); l.in.Name != "c" {
		t.Errorf("then %q", l.in.Name)
	}
	if l, ok := s.claim(farm.Digest{2}, all); !ok || l.in.Name != "e" || len(s.held)+len(s.same) != 0 {
		t.Errorf("last %q, %d left", l.in.Name, len(s.held))
	}
}
