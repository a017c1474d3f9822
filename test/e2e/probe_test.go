//go:build linux

package e2e

import (
	"encoding/json"
	"testing"

	"tandem/internal/control"
)

// Bounds that hold on any machine, also a busy one. docs/benchmarks.md has what a quiet one does.
const (
	probeP50MS = 20
	probeP99MS = 100
)

// TestProbe measures how long a small file takes to the other node, by the command that admins use.
func TestProbe(t *testing.T) {
	need(t, "rsync")
	f := newFarm(t, "web1", "web2")
	f.found(notesFarm, nil)
	f.inSync("web1", "web2")
	var result control.ProbeResult
	if err := json.Unmarshal(f.tandem("web1", "folder", "probe", "www", "--count", "300", "--json"), &result); err != nil {
		t.Fatal(err)
	}
	if len(result.Targets) != 1 || result.Targets[0].Member != "web2" {
		t.Fatalf("it measured %+v, want web2", result.Targets)
	}
	p := result.Targets[0]
	t.Logf("%d files of %d bytes to %s: p50 %.2f ms, p95 %.2f ms, p99 %.2f ms, max %.2f ms",
		p.Arrived, result.SizeBytes, p.Member, p.P50MS, p.P95MS, p.P99MS, p.MaxMS)
	if p.Arrived != 300 || p.Lost != 0 {
		t.Errorf("%d of 300 arrived, %d were lost: %s", p.Arrived, p.Lost, p.Problem)
	}
	if p.P50MS > probeP50MS || p.P99MS > probeP99MS {
		t.Errorf("p50 %.2f ms, p99 %.2f ms, want %d and %d at most", p.P50MS, p.P99MS, probeP50MS, probeP99MS)
	}
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	if kept := f.conflicts("web1").List; len(kept) > 0 {
		t.Errorf("%d files of the probe are preserved", len(kept))
	}
}
