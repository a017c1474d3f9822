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
		reads := func(n int) time.Duration {
			begun := time.Now()
			for range n {
				p.next(time.Now())
			}
			return time.Since(begun)
		}
		if d := reads(paceAfter); d != 0 {
			t.Errorf("the first reads waited for %v", d)
		}
		if d := reads(100); d != 100*paceTime {
			t.Errorf("100 reads of a storm took %v", d)
		}
		time.Sleep(2 * paceGap)
		if d := reads(paceAfter); d != 0 {
			t.Errorf("after the storm reads waited for %v", d)
		}
	})
}
