package replica

import (
	"testing"
	"time"

	"tandem/internal/farm"
)

// TestSilenceOfAPeerThatIsNotHeard: a member that has no room for what a peer sends does not ask for it again.
func TestSilenceOfAPeerThatIsNotHeard(t *testing.T) {
	for _, full := range []bool{false, true} {
		m := New(Config{Folder: "shop", Meta: farm.Meta{Actor: farm.Actor{Member: "a", Epoch: 1}}}, newBatch(nil))
		p := m.peer("b")
		p.linked = true
		p.state.Known = farm.VectorOf(farm.Position{Actor: farm.Actor{Member: "b", Epoch: 1}, Seq: 9})
		at, asked := time.Unix(1000, 0), 0
		p.aheadSince, m.lastSweep = at, at
		for range 20 {
			at = at.Add(tickEvery)
			m.now, m.out = at, nil
			m.askThoseAhead(full)
			asked += len(m.out)
		}
		if asked > 1 || full != (asked == 0) {
			t.Errorf("full %v: asked %d times", full, asked)
		}
	}
}
