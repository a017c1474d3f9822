package peer

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// Bulk goes at the rate, what is live ahead of it, and bulk pays for both.
func TestLimiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, piece = 1 << 20, 64 << 10
		var l limiter
		l.set(rate)
		begin, sent := time.Now(), 0
		for ; sent < 4*rate; sent += piece {
			if err := l.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.spend(piece, false)
			if sent%rate == 0 { // a live message never waits for bulk
				if d := l.delay(true); d > 0 {
					t.Errorf("a live message waits %v", d)
				}
				l.spend(1024, true)
			}
		}
		if took := time.Since(begin); took < 3700*time.Millisecond || took > 4200*time.Millisecond {
			t.Errorf("4 s of bulk took %v", took)
		}
		begin = time.Now()
		for sent = 0; sent < 4*rate; sent += piece { // live messages alone keep to the rate, too
			time.Sleep(l.delay(true))
			l.spend(piece, true)
		}
		if took := time.Since(begin); took < 3*time.Second || took > 4200*time.Millisecond {
			t.Errorf("4 s of live messages took %v", took)
		}
	})
}

// A limit that is lifted lets go of what waits at once.
func TestLimitIsLifted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l limiter
		l.set(1000)
		l.spend(1_000_000, false)
		begin := time.Now()
		go func() {
			time.Sleep(time.Second)
			l.set(0)
		}()
		if err := l.wait(t.Context()); err != nil || time.Since(begin) != time.Second {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		if l.delay(false) != 0 || l.chunk(1<<20) != 1<<20 {
			t.Error("there is a limit still")
		}
	})
}

// A live change overtakes what a member is caught up with, and does not starve it.
func TestLiveOvertakesBulk(t *testing.T) {
	q := newQueue()
	for i := range 20 {
		if err := q.pushWait(t.Context(), changeOf(i, 200<<10)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 40 {
		q.push(wire.Want{Folder: farm.FolderID(fmt.Sprint("f", i))})
	}
	order := ""
	for range 30 {
		m, ok := popAny(q)
		if !ok {
			t.Fatal("it is empty")
		}
		if _, bulk := m.(wire.Changes); bulk {
			order += "b"
		} else {
			order += "l"
		}
	}
	if want := "llllllllbllllllllbllllllllblll"; order != want {
		t.Errorf("%s, want %s", order, want)
	}
}
