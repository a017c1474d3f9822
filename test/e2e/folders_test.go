//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"tandem/internal/control"
)

// seedEnv is how many files TestProbeBesideSeed writes.
const (
	seedEnv   = "TANDEM_SEED_FILES"
	seedFiles = 6000
)

// second adds a folder to a farm that runs, at a place of its own on each member.
func (f *farmUnderTest) second(name string) {
	f.t.Helper()
	add := func(path, text string) {
		src, err := os.ReadFile(path)
		if err != nil {
			f.t.Fatal(err)
		}
		f.write(path, string(src)+text)
	}
	for _, n := range f.order {
		f.stop(n)
		add(filepath.Join(f.members[n].dir, "config", "member.toml"), fmt.Sprintf("\n[folder.%s]\npath = %q\n", name, filepath.Join(f.members[n].dir, name)))
		f.start(n)
	}
	add(filepath.Join(f.members[f.order[0]].dir, "config", "farm.toml"), fmt.Sprintf("\n[folder.%s]\npath = \"/var/%s\"\n", name, name))
	f.await(20*time.Second, "all hold "+name, func() error {
		for _, n := range f.order {
			st, err := f.status(n)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(st.Folders, func(fo control.Folder) bool { return string(fo.ID) == name && fo.InSync }) {
				return fmt.Errorf("%s: %+v", n, st.Folders)
			}
		}
		return nil
	})
}

// TestProbeBesideSeed measures how long a small file of one folder takes to the other node while another folder is filled
// with thousands: the figures of docs/benchmarks.md. It fails when a small file waits until the others are through.
func TestProbeBesideSeed(t *testing.T) {
	need(t, "rsync")
	files := seedFiles
	if n, err := strconv.Atoi(os.Getenv(seedEnv)); err == nil {
		files = n
	}
	f := newFarm(t, "web1", "web2")
	f.found("\n[folder.www]\npath = \"/var/www\"\n", nil)
	f.second("quick")
	began, written := time.Now(), make(chan error, 1)
	go func() { written <- fillWith(f.folder("web1"), files) }()
	last := filepath.Join(f.folder("web2"), name(files-1))
	arrived := func() bool { _, err := os.Stat(last); return err == nil }
	rounds, quicker := 0, 0
	for ; rounds == 0 || !arrived() && time.Since(began) < 2*time.Minute; rounds++ {
		var result control.ProbeResult
		if err := json.Unmarshal(f.tandem("web1", "folder", "probe", "quick", "--count", "5", "--json"), &result); err != nil {
			t.Fatal(err)
		}
		p := result.Targets[0]
		t.Logf("%.1f s: p50 %.2f ms, p99 %.2f ms, max %.2f ms", time.Since(began).Seconds(), p.P50MS, p.P99MS, p.MaxMS)
		if p.Lost != 0 {
			t.Errorf("%d were lost: %s", p.Lost, p.Problem)
		}
		if !arrived() {
			quicker += 5
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files: %d small files of the other folder before the last of them, %.1f s in all", files, quicker, time.Since(began).Seconds())
	if quicker < 5 {
		t.Error("the small files waited for all others")
	}
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
}

func name(i int) string { return fmt.Sprintf("d%d/%d", i/200, i) }

// fillWith writes that many files of 13 KB, 200 to a directory.
func fillWith(root string, files int) error {
	for i := range files {
		path := filepath.Join(root, name(i))
		if i%200 == 0 {
			if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte{byte(i), byte(i >> 8), 'x'}, 4400), 0o644); err != nil {
			return err
		}
	}
	return nil
}
