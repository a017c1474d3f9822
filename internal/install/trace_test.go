package install

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

var update = flag.Bool("update", false, "rewrite the golden traces in testdata")

// TestTrace pins the order in which a plan touches the disk.
func TestTrace(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			b := newBox(vfs.MemConfig{})
			b.cfg.KeepDeleted = s.gone
			check(b.app.Mkdir(path("dir"), 0o755))
			s.before(b.app)
			s.want.Owner = farm.Owner{}
			b.now = b.now.Add(time.Second)
			var out strings.Builder
			armed := false
			fs := vfs.Trace(b.mem, writerFunc(func(p []byte) (int, error) {
				if armed {
					out.Write(p)
				}
				return len(p), nil
			}))
			check(b.start(fs))
			armed = true
			plan := s.plan(b.mem)
			r := b.k.Install(context.Background(), plan, s.src)
			out.WriteString("-- " + r.Outcome.String() + " --\n")
			b.k.Sweep(context.Background())

			file := filepath.Join("testdata", strings.ReplaceAll(strings.ReplaceAll(s.name, ",", ""), " ", "-")+".trace")
			if *update {
				check(os.MkdirAll("testdata", 0o755), os.WriteFile(file, []byte(out.String()), 0o644))
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if out.String() != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s\nIs the new order right, run the test with -update.", out.String(), want)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
