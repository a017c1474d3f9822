package member

import (
	"context"
	"slices"
	"testing"
	"time"

	"tandem/internal/farm"
)

// TestWhoHasIt: what every node has needs no care, what one is without does; a confirmation counts who has it, and does not
// wait for who can't get it.
func TestWhoHasIt(t *testing.T) {
	web1 := first(t, "web1")
	web2 := web1.join("web2")
	ctx, cancel := context.WithTimeout(t.Context(), settleTime)
	defer cancel()
	written := func(name string) farm.Position {
		t.Helper()
		web1.write(name, "1")
		pos, err := web1.Barrier(ctx, "www")
		if err != nil {
			t.Fatal(err)
		}
		return pos
	}
	eventually(t, "in sync", func() bool { return web1.folder().InSync })
	pos := written("a")
	for _, c := range []struct {
		n         int
		durable   bool
		have, ask int
	}{{1, false, 1, 1}, {1, true, 1, 1}, {-1, false, 1, 1}, {2, false, 1, 2}} {
		if have, want := web1.Confirm(ctx, "www", pos, c.n, c.durable); have != c.have || want != c.ask {
			t.Errorf("confirmed by %d of %d, want %+v", have, want, c)
		}
	}
	reach := web1.Reach(ctx, "www", true)
	if !reach.Covers(pos) || !web1.Reached("www", reach) || web1.Rest("www", reach).Len() > 0 {
		t.Errorf("reach is %s, of which %s needs care, after %s was written", reach, web1.Rest("www", reach), pos)
	}

	web2.end()
	eventually(t, "web2 is gone", func() bool { return !web1.Linked("web2") })
	pos = written("b")
	begun := time.Now()
	if have, want := web1.Confirm(ctx, "www", pos, 1, false); have != 0 || want != 1 || time.Since(begun) > settleTime/2 {
		t.Errorf("confirmed by %d of %d after %s, and nobody is there", have, want, time.Since(begun))
	}
	if rest := web1.Rest("www", web1.Reach(ctx, "www", false)); !rest.Equal(farm.VectorOf(pos)) {
		t.Errorf("%s needs care, want %s", rest, pos)
	}
	if web1.Reached("www", farm.VectorOf(farm.Position{Actor: pos.Actor, Seq: pos.Seq + 1})) {
		t.Error("what was never written was shown")
	}
	web2.start()
	eventually(t, "nothing needs care any more", func() bool { return web1.Rest("www", web1.Reach(ctx, "www", false)).Len() == 0 })
	if got := web1.Holders("www", pos); !slices.Equal(got, []farm.MemberID{"web2"}) {
		t.Errorf("%s has it", got)
	}
}

func TestCompany(t *testing.T) {
	var c company
	at := func(millis int) time.Time { return time.Unix(100, 0).Add(time.Duration(millis) * time.Millisecond) }
	for _, s := range []struct {
		millis      int
		own, others farm.Seq
		want        time.Duration
	}{
		{0, 5, 5, 0},
		{10, 6, 5, spreadTime},
		{40, 7, 5, spreadTime - 30*time.Millisecond},
		{60, 8, 6, spreadTime}, // they follow
		{200, 9, 6, 0},         // and then they don't
		{5000, 10, 6, 0},
		{5010, 10, 10, 0},
		{9000, 11, 10, spreadTime},
	} {
		if got := c.look(at(s.millis), s.own, s.others); got != s.want {
			t.Errorf("%+v: waits %s", s, got)
		}
	}
}
