package watch

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPace: a few reads in a row wait for nothing, a storm is read in portions, and after it all is as before.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		reads := func(n int, ours bool) time.Duration {
			begun := time.Now()
			for range n {
				p.next(time.Now(), ours)
			}
			return time.Since(begun)
		}
		if d := reads(paceAfter, true); d != 0 {
			t.Errorf("the first reads waited for %v", d)
		}
		if d := reads(stormAfter-paceAfter, true); d != (stormAfter-paceAfter)*paceTime {
			t.Errorf("the next reads took %v", d)
		}
		if d := reads(100, true); d != 100*stormTime {
			t.Errorf("100 reads of a storm took %v", d)
		}
		if d := reads(200, false); d > 101*stormTime+100*paceTime {
			t.Errorf("200 reads of no concern took %v", d)
		}
		if d := reads(1, true); d != paceTime {
			t.Errorf("the first of concern after them took %v", d)
		}
		time.Sleep(2 * paceGap)
		if d := reads(paceAfter, true); d != 0 {
			t.Errorf("after the storm reads waited for %v", d)
		}
	})
}
