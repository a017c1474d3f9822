//go:build linux

package e2e

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"tandem/internal/control"
)

// bulkEnv is how many MB TestProbeBesideBulk copies; descriptorsMax is what a daemon has open at most meanwhile.
const (
	bulkEnv        = "TANDEM_BULK_MB"
	bulkMB         = 128
	descriptorsMax = 200
)

// TestProbeBesideBulk measures how long a small file takes to the other node while a large one is copied into the folder
// and travels: the figures of docs/benchmarks.md. It fails when small files are lost or too much is open.
func TestProbeBesideBulk(t *testing.T) {
	need(t, "rsync")
	mb := bulkMB
	if n, err := strconv.Atoi(os.Getenv(bulkEnv)); err == nil {
		mb = n
	}
	f := newFarm(t, "web1", "web2")
	f.found(notesFarm, nil)
	f.inSync("web1", "web2")

	began, copied := time.Now(), make(chan error, 1)
	go func() {
		file, err := os.Create(filepath.Join(f.folder("web1"), "bulk"))
		if err == nil {
			_, err = io.CopyN(file, rand.Reader, int64(mb)<<20)
			err = errors.Join(err, file.Close())
		}
		copied <- err
	}()
	arrived := func() bool {
		info, err := os.Stat(filepath.Join(f.folder("web2"), "bulk"))
		return err == nil && info.Size() == int64(mb)<<20
	}
	var worst control.ProbeTarget
	rounds, most := 0, 0
	for ; rounds == 0 || !arrived() && time.Since(began) < time.Minute; rounds++ {
		var result control.ProbeResult
		if err := json.Unmarshal(f.tandem("web1", "folder", "probe", "www", "--count", "100", "--json"), &result); err != nil {
			t.Fatal(err)
		}
		p := result.Targets[0]
		t.Logf("%.1f s: p50 %.2f ms, p99 %.2f ms, max %.2f ms", time.Since(began).Seconds(), p.P50MS, p.P99MS, p.MaxMS)
		if p.Lost != 0 {
			t.Errorf("%d were lost: %s", p.Lost, p.Problem)
		}
		if p.P99MS > worst.P99MS {
			worst = p
		}
		for _, n := range f.order {
			open, err := os.ReadDir("/proc/" + strconv.Itoa(f.members[n].cmd.Process.Pid) + "/fd")
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, len(open))
		}
	}
	if err := <-copied; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d MB: %d rounds of 100, worst round p50 %.2f ms, p99 %.2f ms, max %.2f ms; %d descriptors at most; %.1f s in all",
		mb, rounds, worst.P50MS, worst.P99MS, worst.MaxMS, most, time.Since(began).Seconds())
	if most > descriptorsMax {
		t.Errorf("%d descriptors are open in a daemon, want %d at most", most, descriptorsMax)
	}
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
}
