package sim

import (
	"fmt"
	"testing"
	"time"
)

// Hubs and rings keep every promise that a mesh keeps.
func TestTopologies(t *testing.T) {
	n := *seeds
	if n == 0 {
		n = 16
		if testing.Short() {
			n = 6
		}
	}
	for seed := *firstSeed; seed < *firstSeed+n; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			opt := Mix(seed)
			opt.Nodes, opt.Topology = 3+int(seed%4), Hub
			if seed%2 == 1 {
				opt.Topology, opt.Nodes = Ring, opt.Nodes+1
			}
			trace, err := Run(opt)
			if *traceAll {
				t.Log("\n" + trace)
			}
			if err != nil {
				t.Errorf("seed %d, %+v: %v\nreplay: go test ./internal/sim -run TestTopologies -seed %d -seeds 1 -story", seed, opt, err, seed)
			}
		})
	}
}

// Twenty nodes, each linked with all, in quiet and in trouble.
func TestTwenty(t *testing.T) {
	opt := Mix(4)
	opt.Nodes, opt.Operations, opt.Partitions = 20, 60, true
	if _, err := Run(opt); err != nil {
		t.Error(err)
	}
}

// In a mesh whose links all hold nothing is passed on, whatever happens; on a ring it is.
func TestMeshPassesNothingOn(t *testing.T) {
	for _, topology := range []Topology{Mesh, Ring} {
		opt := Mix(8)
		opt.Nodes, opt.Topology, opt.Partitions, opt.Crashes, opt.PowerCuts = 6, topology, false, false, false
		f := newSim(opt)
		f.build()
		f.run(f.now.Add(100 * time.Millisecond)) // until all know that they are linked
		f.relays = 0
		f.play()
		if err := f.settle(); err != nil {
			t.Fatal(err)
		}
		if (topology == Mesh) != (f.relays == 0) {
			t.Errorf("topology %d: %d changes were passed on", topology, f.relays)
		}
	}
}
