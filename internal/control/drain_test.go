package control

import (
	"context"
	"testing"

	"tandem/internal/farm"
)

func (b *fakeBackend) Drain(_ context.Context, name farm.MemberID, verb DrainVerb) (Drain, error) {
	return Drain{Member: name, Draining: verb == DrainOn, Safe: verb == DrainShow}, b.err
}

func TestDrain(t *testing.T) {
	c, _ := serveTest(t, &fakeBackend{})
	for _, verb := range []DrainVerb{DrainOn, DrainOff, DrainShow} {
		d, err := c.Drain(t.Context(), "web2", verb)
		if want := (Drain{Member: "web2", Draining: verb == DrainOn, Safe: verb == DrainShow}); err != nil || d.Member != want.Member || d.Draining != want.Draining || d.Safe != want.Safe {
			t.Errorf("%s: %+v, %v", verb, d, err)
		}
	}
	if _, err := c.Drain(t.Context(), "web2", "flood"); farm.KindOf(err) != farm.NotFound {
		t.Errorf("an unknown verb: %v", err)
	}
	if _, err := c.Drain(t.Context(), "No Name", DrainOn); farm.KindOf(err) != farm.Invalid {
		t.Errorf("no name of a member: %v", err)
	}
}
