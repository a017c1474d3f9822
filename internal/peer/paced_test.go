package peer

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// TestPartsArePaced sends parts at the rate of the link's limit, and counts what goes over the wire.
func TestPartsArePaced(t *testing.T) {
	for _, tt := range []struct {
		name      string
		rate      int64
		squeeze   int // what is sent is smaller by that factor
		low, high time.Duration
	}{
		{"no limit", 0, 1, 0, 0},
		{"limit", 100_000, 1, 9 * time.Second, 11 * time.Second},
		{"compressed", 100_000, 4, 2 * time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &link{}
				l.limit.set(tt.rate)
				began, got := time.Now(), 0
				err := paced(t.Context(), l, bytes.NewReader(make([]byte, 1_000_000)), make([]byte, 64<<10), func(b []byte) (int, error) {
					got += len(b)
					return len(b) / tt.squeeze, nil
				})
				took := time.Since(began)
				if err != nil || got != 1_000_000 || took < tt.low || took > tt.high {
					t.Errorf("%d bytes in %v, %v", got, took, err)
				}
			})
		})
	}
}
