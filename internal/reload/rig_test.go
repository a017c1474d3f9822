package reload

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakePart refuses what it is told to refuse, and checks that each preparation ends once.
type fakePart struct {
	mu       sync.Mutex
	refuse   string // a text in a file that refuses the whole
	bad      string // a text in a site that refuses the site
	open     int    // prepared and neither committed nor discarded
	prepares int
	live     *config.Config
	onCommit func()
}

func (p *fakePart) Prepare(_ context.Context, old, next *config.Config) (Prepared, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prepares++
	if old != p.live {
		return nil, errors.New("old is not what is live")
	}
	sites := config.SiteFaults{}
	for _, s := range next.Sites {
		if p.refuse != "" && strings.Contains(s.Source, p.refuse) {
			return nil, errors.New("port 80 is in use")
		}
		if p.bad != "" && strings.Contains(s.Source, p.bad) {
			sites[s.File] = config.Faults{{File: s.File, Line: 1, Message: "the site does not compile"}}
		}
	}
	p.open++
	if len(sites) > 0 {
		return &fakePrepared{part: p, config: next}, sites
	}
	return &fakePrepared{part: p, config: next}, nil
}

func (p *fakePart) set(refuse, bad string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse, p.bad = refuse, bad
}

type fakePrepared struct {
	part   *fakePart
	config *config.Config
	over   bool
}

func (p *fakePrepared) end() func() {
	p.part.mu.Lock()
	defer p.part.mu.Unlock()
	if p.over {
		panic("committed or discarded twice")
	}
	p.over = true
	p.part.open--
	return p.part.onCommit
}

func (p *fakePrepared) Commit() {
	then := p.end()
	p.part.mu.Lock()
	p.part.live = p.config
	p.part.mu.Unlock()
	if then != nil {
		then()
	}
}

func (p *fakePrepared) Discard() { p.end() }

// rig is a member for a test.
type rig struct {
	t    *testing.T
	dir  string
	cfg  Config
	part *fakePart
	*Reloader

	mu     sync.Mutex
	events []farm.Event
}

func newRig(t *testing.T, name farm.MemberID) *rig {
	t.Helper()
	g := &rig{t: t, dir: tempDir(t)}
	g.cfg = Config{
		Self:        name,
		ConfigDir:   filepath.Join(g.dir, "config"),
		RevisionDir: filepath.Join(g.dir, "farm"),
		StateDir:    filepath.Join(g.dir, "state"),
		Found:       name == "web1",
		Sink: func(e farm.Event) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.events = append(g.events, e)
		},
	}
	g.restart()
	return g
}

// tempDir is in memory where that can be: these tests sync thousands of files.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tandem-reload-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { must(t, os.RemoveAll(dir)) })
	return dir
}

// restart is what a new process begins with.
func (g *rig) restart() {
	g.part = &fakePart{}
	g.cfg.Parts = []Part{g.part, &fakePart{}}
	g.Reloader = New(g.cfg)
}

// run starts Run; it ends with the test if it was not stopped before.
func (g *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := g.Run(ctx); err != nil {
			g.t.Errorf("Run returned %v", err)
		}
	}()
	synctest.Wait()
	var once sync.Once
	stop = func() { once.Do(func() { g.end(cancel, done) }) }
	g.t.Cleanup(stop)
	return stop
}

func (g *rig) end(cancel func(), done chan struct{}) {
	cancel()
	<-done
	g.part.mu.Lock()
	defer g.part.mu.Unlock()
	if g.part.open != 0 {
		g.t.Errorf("%d preparations were neither committed nor discarded", g.part.open)
	}
}

// pass lets time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (g *rig) path(name string) string { return filepath.Join(g.cfg.ConfigDir, name) }

// write writes a file in place.
func (g *rig) write(name, text string) {
	g.t.Helper()
	must(g.t, os.MkdirAll(filepath.Dir(g.path(name)), 0o755))
	must(g.t, os.WriteFile(g.path(name), []byte(text), 0o644))
	g.Touched()
}

// save writes a file as most editors do: whole, by rename.
func (g *rig) save(name, text string) {
	g.t.Helper()
	temp := filepath.Join(g.dir, "editor")
	must(g.t, os.WriteFile(temp, []byte(text), 0o644))
	must(g.t, os.Rename(temp, g.path(name)))
	g.Touched()
}

func (g *rig) read(name string) string {
	b, err := os.ReadFile(g.path(name))
	if err != nil {
		return "<" + errors.Unwrap(err).Error() + ">"
	}
	return string(b)
}

// revisions is the names of the files in the folder .farm.
func (g *rig) revisions() []string {
	names, err := filepath.Glob(filepath.Join(g.cfg.RevisionDir, "*"+config.RevisionSuffix))
	must(g.t, err)
	return names
}

// got returns the events of that id and severity, and forgets them all.
func (g *rig) got(id farm.EventID, severity farm.Severity) []farm.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []farm.Event
	for _, e := range g.events {
		if e.ID == id && e.Severity == severity {
			all = append(all, e)
		}
	}
	g.events = nil
	return all
}

func (g *rig) wantEvents(id farm.EventID, severity farm.Severity, n int) []farm.Event {
	g.t.Helper()
	g.mu.Lock()
	all := slices.Clone(g.events)
	g.mu.Unlock()
	events := g.got(id, severity)
	if len(events) != n {
		g.t.Fatalf("%d events %s of severity %s, want %d, among %v", len(events), id, severity, n, all)
	}
	return events
}

// wantLive checks that the site with that text is live.
func (g *rig) wantLive(file, text string) {
	g.t.Helper()
	c := g.Current()
	if c == nil {
		g.t.Fatalf("%s: nothing is live; verdict %+v", g.cfg.Self, g.Status())
	}
	for _, s := range c.Sites {
		if s.File == file {
			if s.Source != text {
				g.t.Fatalf("%s: %s is %q, want %q", g.cfg.Self, file, s.Source, text)
			}
			g.part.mu.Lock()
			defer g.part.mu.Unlock()
			if g.part.live != c || c.Revision != g.Status().Revision {
				g.t.Fatalf("%s: the part and the verdict do not agree with what is live", g.cfg.Self)
			}
			return
		}
	}
	g.t.Fatalf("%s: there is no %s, want %q", g.cfg.Self, file, text)
}

// copyTo brings the revisions of g to h, as replication would.
func (g *rig) copyTo(h *rig) {
	must(g.t, os.MkdirAll(h.cfg.RevisionDir, 0o755))
	for _, name := range g.revisions() {
		to := filepath.Join(h.cfg.RevisionDir, filepath.Base(name))
		if _, err := os.Stat(to); err == nil {
			continue
		}
		b, err := os.ReadFile(name)
		must(g.t, err)
		must(g.t, os.WriteFile(to, b, 0o644))
	}
	h.Arrived()
}

// link copies both ways until nothing changes.
func link(rigs ...*rig) {
	for range 6 {
		for _, g := range rigs {
			for _, h := range rigs {
				if g != h {
					g.copyTo(h)
				}
			}
		}
		pass(time.Millisecond)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// farmToml is a farm of three nodes.
var farmToml = farmOf("web1", "web2", "web3")

func farmOf(names ...string) string {
	var b strings.Builder
	b.WriteString("# our farm\n[farm]\nname = \"test\"\n")
	for _, name := range names {
		i := int(name[len(name)-1] - '0')
		fmt.Fprintf(&b, "\n[member.%s]\naddress = \"192.0.2.%d:7443\"\nkey = \"sha256:%s\"\n", name, i, bytes.Repeat([]byte{'0' + byte(i)}, 64))
	}
	return b.String()
}
