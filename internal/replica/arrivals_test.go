package replica

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
)

func TestArrivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a Arrivals
		p, q := farm.MustPath("a/b"), farm.MustPath("a/c")
		dot := func(n farm.Seq) farm.Vector {
			return farm.VectorOf(farm.Position{Actor: farm.Actor{Member: "web1", Epoch: 1}, Seq: n})
		}
		if _, _, pending := a.Of(p); pending || a.Any() {
			t.Error("something is on its way in the beginning")
		}
		a.expect(time.Now(), p, dot(1))
		a.expect(time.Now(), p, dot(3))
		a.expect(time.Now(), q, dot(2))
		if want, since, pending := a.Of(p); !pending || !want.Equal(dot(3)) || !since.Equal(time.Now()) {
			t.Errorf("of %s: %s since %s, %v", p, want, since, pending)
		}
		ctx, cancel := context.WithCancel(t.Context())
		late, here := make(chan error, 1), make(chan error, 1)
		go func() { late <- a.Wait(ctx, q) }()
		go func() { here <- a.Wait(t.Context(), p) }()
		synctest.Wait()
		a.settle(p)
		if err := <-here; err != nil {
			t.Error(err)
		}
		if _, _, pending := a.Of(p); pending || !a.Any() {
			t.Error("one that has arrived is on its way, or the other is not")
		}
		cancel()
		if err := <-late; farm.KindOf(err) != farm.Unavailable {
			t.Errorf("waiting ended with %v", err)
		}
		a.settle(p)
		a.settle(q)
		if err := a.Wait(t.Context(), q); a.Any() || err != nil {
			t.Errorf("in the end: any %v, %v", a.Any(), err)
		}
	})
}
