package peer_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zeebo/blake3"

	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/peer/peertest"
	"tandem/internal/wire"
)

// virtual runs a test with two members in memory and in virtual time.
func virtual(t *testing.T, a, b peer.Config, test func(t *testing.T, w memoryWorld, x, y *peertest.Node)) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld{peer.NewNet()}
		x, y := peertest.Pair(t, w, a, b)
		test(t, w, x, y)
		x.Stop()
		y.Stop()
	})
}

// between fails unless the time since began lies between the two.
func between(t *testing.T, what string, began time.Time, least, most time.Duration) {
	t.Helper()
	if d := time.Since(began); d < least || d > most {
		t.Errorf("%s took %v, want %v to %v", what, d, least, most)
	}
}

func TestSilenceIsDeath(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		pass(10 * time.Second) // virtual: heartbeats keep it alive
		began := time.Now()
		w.Silence("web1", "web2")
		x.UntilDown("web2")
		y.UntilDown("web1")
		between(t, "noticing silence", began, 500*time.Millisecond, time.Second)
		pass(time.Minute)
		for _, st := range x.Stats() {
			if st.State == peer.Live || st.Reason == "" && st.State == peer.Lost {
				t.Errorf("stats %+v", st)
			}
		}
		began = time.Now()
		w.Heal("web1", "web2")
		x.UntilUp("web2", 2)
		y.UntilUp("web1", 2)
		between(t, "coming back", began, 0, 5*time.Second)
		if e := x.UntilEvent(farm.EventMemberUp, "web2"); e.Severity != farm.Info || x.Events(farm.EventMemberUp) != 2 {
			t.Errorf("first event %+v, %d in all", e, x.Events(farm.EventMemberUp))
		}
	})
}

func TestCutIsNoticedAtOnce(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		began := time.Now()
		w.Cut("web1", "web2")
		x.UntilDown("web2")
		y.UntilDown("web1")
		between(t, "noticing", began, 0, 0)
		w.Heal("web1", "web2")
		x.UntilUp("web2", 2)
		between(t, "coming back", began, 0, 100*time.Millisecond)
	})
}

// TestOneDirection: one of the two can't dial the other, whichever it is.
func TestOneDirection(t *testing.T) {
	for _, blocked := range []farm.MemberID{"web1", "web2"} {
		t.Run(string(blocked)+" can't dial", func(t *testing.T) {
			files := oneFile("0123456789")
			virtual(t, peer.Config{Content: files}, peer.Config{Content: files}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
				other := farm.MemberID("web1")
				if blocked == other {
					other = "web2"
				}
				w.Block(blocked, other)
				began := time.Now()
				w.Freeze("web1", "web2")
				x.UntilUp("web2", 2)
				y.UntilUp("web1", 2)
				between(t, "a new session", began, 0, 4*time.Second)
				for _, d := range []struct{ to, from *peertest.Node }{{x, y}, {y, x}} {
					r, err := d.to.Fetch(context.Background(), d.from.ID, "gallery", farm.MustPath("a"), blake3.Sum256([]byte(files)), 10)
					if err != nil {
						t.Fatal(err)
					}
					if b, err := io.ReadAll(r); err != nil || string(b) != string(files) {
						t.Errorf("fetched %q, %v", b, err)
					}
					if err := r.Close(); err != nil {
						t.Error(err)
					}
				}
			})
		})
	}
}

type oneFile string

func (f oneFile) Open(_ context.Context, _ farm.MemberID, _ farm.FolderID, _ farm.Path, _ farm.Digest, offset int64) (io.ReadCloser, int64, error) {
	return io.NopCloser(bytes.NewReader([]byte(f)[offset:])), int64(len(f)), nil
}

// TestRestartBeforeTheLossIsNoticed: the old session looks live when the restarted member dials. It is no twin.
func TestRestartBeforeTheLossIsNoticed(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		began := time.Now()
		w.Freeze("web1", "web2")
		y.Stop()
		again := peertest.Start(t, w, peer.Config{Self: "web2"})
		peertest.Meet(x, again)
		x.UntilUp("web2", 2)
		again.UntilUp("web1", 1)
		between(t, "coming back", began, 500*time.Millisecond, 3*time.Second)
		if n := x.Events(farm.EventMemberTwin); n != 0 {
			t.Errorf("%d events say that it has a twin", n)
		}
		again.Stop()
	})
}

func TestTwin(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		twin := peertest.Start(t, w, peer.Config{Self: "web2"})
		twin.SetMembers([]peer.Member{{ID: "web1", Address: x.Addr()}})
		x.UntilEvent(farm.EventMemberTwin, "web2")
		twin.UntilEvent(farm.EventMemberTwin, "web2")
		pass(5 * time.Second)
		if n := x.Events(farm.EventMemberTwin); n != 1 {
			t.Errorf("%d events within 10 s", n)
		}
		if n := x.Events(farm.EventMemberDown); n != 0 {
			t.Errorf("the first session was lost")
		}
		y.Stop()
		twin.UntilUp("web1", 1) // now the name is free
		twin.UntilHealed(farm.EventMemberTwin, "web2")
		pass(20 * time.Second)
		x.UntilHealed(farm.EventMemberTwin, "web2")
		twin.Stop()
	})
}

// TestSlowHandler: a handler that takes its time is no reason to end a session, nor to miss its end.
func TestSlowHandler(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		defer y.Hold()()
		x.Send("web2", wire.Want{Folder: "gallery"})
		pass(time.Minute)
		if n := x.Events(farm.EventMemberDown) + y.Events(farm.EventMemberDown); n != 0 {
			t.Errorf("the session ended %d times", n)
		}
		began := time.Now()
		x.Stop()
		y.UntilDown("web1")
		between(t, "noticing while the handler is busy", began, 0, 0)
	})
}

func TestClockSkew(t *testing.T) {
	skew := 5 * time.Second
	ahead := func() time.Time { return time.Now().Add(skew) }
	virtual(t, peer.Config{}, peer.Config{Now: ahead}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		e := x.UntilEvent(farm.EventClockSkew, "web2")
		if e.Severity != farm.Warning || e.Fields["ahead"] != "5s" {
			t.Errorf("event %+v", e)
		}
		if e := y.UntilEvent(farm.EventClockSkew, "web1"); e.Fields["ahead"] != "-5s" {
			t.Errorf("event %+v", e)
		}
		pass(time.Minute)
		if n := x.Events(farm.EventClockSkew); n != 1 {
			t.Errorf("%d events for one fault", n)
		}
	})
}

func TestAnotherFarmsHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := memoryWorld{peer.NewNet()}
		x := peertest.Start(t, w, peer.Config{Self: "web1"})
		y := peertest.Start(t, w, peer.Config{Self: "web2", Farm: "sha256:another"})
		peertest.Meet(x, y)
		x.UntilEvent(farm.EventMemberRefused, "web2")
		y.UntilEvent(farm.EventMemberRefused, "web1")
		pass(time.Minute)
		for _, n := range []*peertest.Node{x, y} {
			if got := n.Events(farm.EventMemberRefused); got < 2 || got > 7 {
				t.Errorf("%d events in a minute, want one per 10 s", got)
			}
			if n.Events(farm.EventMemberUp) != 0 {
				t.Error("it was let in")
			}
		}
		x.Stop()
		y.Stop()
	})
}

// Connections that are offered for calls and not used must not be offered again and again.
func TestQuietMembersDoNotDial(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		pass(time.Minute)
		began := w.Dials()
		pass(10 * time.Minute)
		if n := w.Dials() - began; n > 0 {
			t.Errorf("%d dials in ten quiet minutes", n)
		}
	})
}

func TestRoundTripTimeIsMeasured(t *testing.T) {
	virtual(t, peer.Config{}, peer.Config{}, func(t *testing.T, w memoryWorld, x, y *peertest.Node) {
		pass(time.Second)
		st := x.Stats()[0]
		if st.State != peer.Live || st.RTT < 0 || st.RTT > time.Millisecond || st.SentBytes == 0 || st.ReceivedBytes == 0 {
			t.Errorf("stats %+v", st)
		}
	})
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }
