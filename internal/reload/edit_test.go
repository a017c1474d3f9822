package reload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// begun is a member with a running farm of one site.
func begun(t *testing.T) (*rig, func()) {
	g := newRig(t, "web1")
	g.write("farm.toml", farmToml)
	g.write("sites/a.caddy", "one\n")
	stop := g.run()
	g.wantLive("sites/a.caddy", "one\n")
	g.wantEvents(farm.EventConfigLive, farm.Info, 1)
	return g, stop
}

func TestEditGoesLive(t *testing.T) {
	for name, c := range map[string]struct {
		edit  func(g *rig)
		quiet time.Duration
		want  string
	}{
		"saved by rename":  {func(g *rig) { g.save("sites/a.caddy", "two\n") }, quietReplaced, "two\n"},
		"written in place": {func(g *rig) { g.write("sites/a.caddy", "two\n") }, quietInPlace, "two\n"},
		"made longer":      {func(g *rig) { g.write("sites/a.caddy", "one\ntwo\n") }, quietInPlace, "one\ntwo\n"},
		"cut short":        {func(g *rig) { g.write("sites/a.caddy", "on") }, quietTorn, "on"},
		"vim: backup, then a new file": {func(g *rig) {
			must(t, os.Rename(g.path("sites/a.caddy"), g.path("sites/a.caddy~")))
			g.Touched()
			pass(5 * time.Millisecond)
			g.write("sites/a.caddy", "two\n")
			must(t, os.Remove(g.path("sites/a.caddy~")))
		}, quietReplaced, "two\n"},
		"removed and made anew": {func(g *rig) {
			must(t, os.Remove(g.path("sites/a.caddy")))
			g.Touched()
			pass(50 * time.Millisecond)
			g.write("sites/a.caddy", "two\n")
		}, quietInPlace, "two\n"},
		"truncated, then written slowly": {func(g *rig) {
			for i := range 5 {
				g.write("sites/a.caddy", "one two three"[:3*i])
				pass(90 * time.Millisecond)
			}
			g.write("sites/a.caddy", "two\n")
		}, quietInPlace, "two\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _ := begun(t)
				c.edit(g)
				pass(c.quiet + 2*lookTime)
				g.wantLive("sites/a.caddy", c.want)
				live := g.wantEvents(farm.EventConfigLive, farm.Info, 1)[0]
				rev := g.Head()
				if live.Fields["revision"] != rev.Digest.String() || live.Fields["author"] != "web1" || live.Fields["millis"] == "" {
					t.Errorf("event is %+v", live)
				}
				if rev.Message != "site a.caddy changed" || len(rev.Parents) != 1 || len(g.History()) != 2 || len(g.revisions()) != 2 {
					t.Errorf("revision is %+v, history %v", rev.Header(), g.History())
				}
				if v := g.Status(); v.Revision != rev.Digest || v.Wanted != rev.Digest || len(v.Faults)+len(v.Sites) != 0 {
					t.Errorf("verdict is %+v", v)
				}
				pass(time.Minute)
				if n := len(g.revisions()); n != 2 {
					t.Errorf("%d revisions after a minute of rest", n)
				}
			})
		})
	}
}

func TestEditThatNobodyToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		must(t, os.WriteFile(g.path("sites/b.caddy"), []byte("new\n"), 0o644))
		pass(pollTime + quietInPlace + 2*lookTime)
		g.wantLive("sites/b.caddy", "new\n")
		must(t, os.Remove(g.path("sites/a.caddy")))
		pass(pollTime + quietInPlace + 2*lookTime)
		if c := g.Current(); len(c.Sites) != 1 {
			t.Errorf("sites are %v", c.Sites)
		}
	})
}

// TestStormOfSaves: saves that follow each other faster than the directory gets quiet do not wait for ever.
func TestStormOfSaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		for i := range 50 {
			g.save("sites/a.caddy", strings.Repeat("x", i+1)+" storm\n")
			pass(20 * time.Millisecond)
		}
		if n := len(g.got(farm.EventConfigLive, farm.Info)); n < 3 {
			t.Errorf("%d revisions went live during the storm", n)
		}
		pass(quietReplaced + 2*lookTime)
		g.wantLive("sites/a.caddy", strings.Repeat("x", 50)+" storm\n")
	})
}

func TestBrokenEditStaysHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		g.save("farm.toml", farmToml+"\n[edge]\npolcy = \"x\"\nhttp = \"80\"\n")
		pass(200 * time.Millisecond)
		e := g.wantEvents(farm.EventConfigRefused, farm.Fault, 1)[0]
		for _, want := range []string{`farm.toml:18:1: unknown key "polcy" (did you mean "policy"?)`, `farm.toml:19:8: "80" is not an address`} {
			if !strings.Contains(e.Fields["faults"], want) {
				t.Errorf("faults lack %q: %s", want, e.Fields["faults"])
			}
		}
		if len(g.Refused()) != 2 || len(g.revisions()) != 1 || g.Status().Revision != g.Head().Digest {
			t.Errorf("refused %v, %d revisions", g.Refused(), len(g.revisions()))
		}
		pass(time.Minute)
		g.wantEvents(farm.EventConfigRefused, farm.Fault, 0)
		g.wantLive("sites/a.caddy", "one\n")

		g.save("farm.toml", farmToml+"\n[events]\nkeep = 200\n")
		pass(200 * time.Millisecond)
		if g.Refused() != nil || g.Current().Events.Keep != 200 {
			t.Errorf("refused %v", g.Refused())
		}
		g.wantEvents(farm.EventConfigRefused, farm.Healed, 1)
	})
}

func TestBrokenEditIsTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		g.save("farm.toml", "[")
		pass(200 * time.Millisecond)
		g.wantEvents(farm.EventConfigRefused, farm.Fault, 1)
		g.save("farm.toml", farmToml)
		pass(200 * time.Millisecond)
		g.wantEvents(farm.EventConfigRefused, farm.Healed, 1)
		if g.Refused() != nil || len(g.revisions()) != 1 {
			t.Errorf("refused %v, %d revisions", g.Refused(), len(g.revisions()))
		}
		must(t, os.Remove(g.path("farm.toml")))
		g.Touched()
		pass(200 * time.Millisecond)
		if f := g.Refused(); len(f) != 1 || f[0].File != "farm.toml" {
			t.Errorf("refused %v", f)
		}
	})
}

func TestEditThatDoesNotPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		g.part.set("port 80", "BAD")
		g.save("sites/a.caddy", "port 80\n")
		pass(200 * time.Millisecond)
		g.wantEvents(farm.EventConfigRefused, farm.Fault, 1)
		g.save("sites/a.caddy", "BAD\n")
		pass(200 * time.Millisecond)
		e := g.wantEvents(farm.EventConfigRefused, farm.Fault, 1)[0]
		if e.Fields["faults"] != "sites/a.caddy:1: the site does not compile" {
			t.Errorf("faults are %s", e.Fields["faults"])
		}
		g.wantLive("sites/a.caddy", "one\n")
		if len(g.revisions()) != 1 {
			t.Errorf("%d revisions", len(g.revisions()))
		}
	})
}

// TestEditBesideARefusedSite: a site that is refused here anyway does not stop an edit of another file.
func TestEditBesideARefusedSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, stop := begun(t)
		if _, err := g.Update(t.Context(), "", addSite("sites/b.caddy", "needs php\n")); err != nil {
			t.Fatal(err)
		}
		stop()
		g.restart()
		g.part.set("", "php")
		g.run()
		if v := g.Status(); v.Sites["sites/b.caddy"] == "" || v.Revision != v.Wanted {
			t.Fatalf("verdict is %+v", v)
		}
		g.wantEvents(farm.EventSiteRefused, farm.Fault, 1)
		g.save("sites/a.caddy", "two\n")
		pass(200 * time.Millisecond)
		g.wantLive("sites/a.caddy", "two\n")
		g.wantEvents(farm.EventSiteRefused, farm.Fault, 0)
		g.save("sites/b.caddy", "needs php 8\n")
		pass(200 * time.Millisecond)
		g.wantEvents(farm.EventConfigRefused, farm.Fault, 1)
		must(t, os.Remove(g.path("sites/b.caddy")))
		g.Touched()
		pass(200 * time.Millisecond)
		g.wantEvents(farm.EventSiteRefused, farm.Healed, 1)
	})
}

func TestFilesThatAreNotConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		for _, name := range []string{"member.toml", "farm.toml~", ".farm.toml.swp", "4913", "sites/a.caddy.bak", "sites/my site.caddy", "certs/a.pem"} {
			g.write(name, "x")
		}
		must(t, os.Mkdir(g.path("sites/dir"), 0o755))
		pass(10 * time.Second)
		if len(g.revisions()) != 1 || g.Refused() != nil {
			t.Errorf("%d revisions, refused %v", len(g.revisions()), g.Refused())
		}
		must(t, os.Mkdir(g.path("sites/dir.caddy"), 0o755))
		must(t, os.WriteFile(g.path("sites/big.caddy"), make([]byte, config.MaxFileBytes+1), 0o644))
		pass(10 * time.Second)
		if f := g.Refused(); len(f) != 2 || !strings.Contains(f.Error(), "sites/dir.caddy: the file can't be read: it is no regular file") {
			t.Errorf("refused %v", f)
		}
	})
}

// TestRevisionsCantBeWritten: an edit that can't be kept is not live, and is taken as soon as it can be kept.
func TestRevisionsCantBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := begun(t)
		private := filepath.Join(g.cfg.RevisionDir, farm.PrivateDir)
		must(t, os.RemoveAll(private))
		must(t, os.WriteFile(private, nil, 0o644))
		g.save("sites/a.caddy", "two\n")
		pass(10 * time.Second)
		g.wantEvents(farm.EventConfigRefused, farm.Fault, 1)
		g.wantLive("sites/a.caddy", "one\n")
		must(t, os.Remove(private))
		pass(5 * time.Second)
		g.wantEvents(farm.EventConfigRefused, farm.Healed, 1)
		g.wantLive("sites/a.caddy", "two\n")
	})
}

func addSite(name, text string) func(map[string][]byte) (map[string][]byte, error) {
	return func(files map[string][]byte) (map[string][]byte, error) {
		files[name] = []byte(text)
		return files, nil
	}
}
