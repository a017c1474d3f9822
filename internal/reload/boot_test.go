package reload

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestBootAlone(t *testing.T) {
	for name, lose := range map[string][]string{
		"nothing lost":       nil,
		"revisions lost":     {"farm"},
		"directory lost":     {"config"},
		"state lost":         {"state"},
		"all but state lost": {"farm", "config"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, stop := begun(t)
				g.save("sites/a.caddy", "two\n")
				pass(200 * time.Millisecond)
				head := g.Head().Digest
				stop()
				for _, dir := range lose {
					must(t, os.RemoveAll(filepath.Join(g.dir, dir)))
				}
				g.cfg.Found = false
				g.restart()
				if err := g.Boot(t.Context()); err != nil {
					t.Fatal(err)
				}
				g.wantLive("sites/a.caddy", "two\n")
				g.run()
				pass(5 * time.Second)
				if g.Head().Digest != head {
					t.Error("the head is another one")
				}
				wantSame(g)
				g.save("sites/a.caddy", "three\n")
				pass(200 * time.Millisecond)
				g.wantLive("sites/a.caddy", "three\n")
				if rev := g.Head(); len(rev.Parents) != 1 || rev.Parents[0] != head {
					t.Errorf("head is %+v", rev.Header())
				}
			})
		})
	}
}

func TestBootWithoutAnything(t *testing.T) {
	g := newRig(t, "web1")
	if err := g.Boot(t.Context()); farm.KindOf(err) != farm.NotFound {
		t.Errorf("boot: %v", err)
	}
	g = newRig(t, "web2")
	if err := g.Boot(t.Context()); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("boot: %v", err)
	}
	g = newRig(t, "web1")
	g.write("farm.toml", "[")
	if err := g.Boot(t.Context()); farm.KindOf(err) != farm.Invalid {
		t.Errorf("boot: %v", err)
	}
	if g.Current() != nil || !g.Head().Digest.IsZero() || g.Status().Revision != (farm.Digest{}) {
		t.Error("something is live")
	}
}

func TestBootFallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		good := a.Status().Revision
		a.part.set("port 80", "")
		b.save("sites/a.caddy", "port 80\n")
		pass(200 * time.Millisecond)
		link(a, b)
		a.Reloader.mu.Lock() // as if it were killed here
		defer a.Reloader.mu.Unlock()
		a.restart()
		a.part.set("port 80", "")
		must(t, a.Boot(t.Context()))
		a.wantLive("sites/a.caddy", "one\n")
		if v := a.Status(); v.Revision != good || v.Wanted != b.Head().Digest || len(v.Faults) != 1 {
			t.Errorf("verdict is %+v", v)
		}
	})
}

// TestCrashWhileWriting: a directory that is partly the former and partly the new revision is not an edit.
func TestCrashWhileWriting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, stop := begun(t)
		stop()
		files := map[string][]byte{"farm.toml": []byte(farmToml + "# new\n"), "sites/a.caddy": []byte("two\n"), "sites/b.caddy": []byte("b\n")}
		rev, err := config.NewRevision(g.History()[0].Parents, "web2", g.History()[0].Time+1<<20, "x", files)
		must(t, err)
		rev, err = config.NewRevision([]farm.Digest{g.Head().Digest}, "web2", rev.Time, "x", files)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(g.cfg.RevisionDir, rev.FileName()), rev.Encode(), 0o644))
		g.write("sites/a.caddy", "two\n")
		g.write("sites/"+tempPrefix+"1"+tempSuffix, "left by the crash")
		g.restart()
		g.run()
		pass(5 * time.Second)
		if g.Head().Digest != rev.Digest || len(g.revisions()) != 2 {
			t.Errorf("head is %+v", g.Head().Header())
		}
		wantSame(g)
	})
}

func TestEditWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		stopped := newRig(t, "web3")
		stop := stopped.run()
		link(a, b, stopped)
		pass(time.Second)
		wantSame(a, b, stopped)
		stop()
		stopped.save("sites/a.caddy", "typed while down\n")
		b.write("sites/b.caddy", "b\n")
		pass(200 * time.Millisecond)
		link(a, b, stopped)
		stopped.restart()
		stopped.run()
		pass(5 * time.Second)
		link(a, b, stopped)
		pass(time.Second)
		wantSame(a, b, stopped)
		a.wantLive("sites/a.caddy", "typed while down\n")
		a.wantLive("sites/b.caddy", "b\n")
	})
}

func TestManyRevisionsDoNotGrow(t *testing.T) {
	g := newRig(t, "web1")
	g.write("farm.toml", farmToml)
	must(t, g.Boot(t.Context()))
	goroutines := runtime.NumGoroutine()
	for i := range 500 {
		if _, err := g.Update(t.Context(), "", addSite("sites/a.caddy", strings.Repeat("x", i%7+1))); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(g.revisions()); n > historySize+historySlack || n < historySize {
		t.Errorf("%d revisions are kept", n)
	}
	if n := len(g.History()); n != len(g.revisions()) || g.History()[0].Digest != g.Head().Digest {
		t.Errorf("the history has %d", n)
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	for _, dir := range []string{"state", "config", "config/sites"} {
		entries, err := os.ReadDir(filepath.Join(g.dir, dir))
		must(t, err)
		if len(entries) > 2 {
			t.Errorf("%s holds %v", dir, entries)
		}
	}
	if g.part.open != 0 {
		t.Errorf("%d preparations are open", g.part.open)
	}
	// The last good revision and the head are still to be had after a restart.
	head := g.Head().Digest
	g.restart()
	must(t, g.Boot(t.Context()))
	if g.Head().Digest != head {
		t.Error("the head is another one")
	}
}
