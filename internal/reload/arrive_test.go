package reload

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// pair is two members of a running farm, in sync.
func pair(t *testing.T) (a, b *rig) {
	a, _ = begun(t)
	b = newRig(t, "web2")
	b.run()
	link(a, b)
	b.wantLive("sites/a.caddy", "one\n")
	wantSame(a, b)
	a.got("", "")
	b.got("", "")
	return a, b
}

// wantSame checks that members have the same head, live, and the same files.
func wantSame(rigs ...*rig) {
	first := rigs[0]
	first.t.Helper()
	for _, g := range rigs {
		if v := g.Status(); g.Head().Digest != first.Head().Digest || v.Revision != v.Wanted {
			g.t.Fatalf("%s has the head %s, %s the head %s; verdict %+v", g.cfg.Self, g.Head().Digest.Short(), first.cfg.Self, first.Head().Digest.Short(), v)
		}
		is, err := (&directory{path: g.cfg.ConfigDir, now: time.Now}).read()
		if err != nil || !sameFiles(is.files, g.Head().Files) {
			g.t.Fatalf("%s has the files %s in its directory, %v", g.cfg.Self, is.files, err)
		}
		if temps, _ := filepath.Glob(filepath.Join(g.cfg.ConfigDir, "*", tempPrefix+"*")); temps != nil {
			g.t.Fatalf("temporary files are left: %v", temps)
		}
	}
}

func TestEditTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		start := time.Now()
		b.save("sites/a.caddy", "two\n")
		pass(quietReplaced + 2*lookTime)
		link(a, b)
		wantSame(a, b)
		a.wantLive("sites/a.caddy", "two\n")
		if e := a.wantEvents(farm.EventConfigLive, farm.Info, 1)[0]; e.Fields["author"] != "web2" {
			t.Errorf("event is %+v", e)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		n := len(a.revisions())
		pass(time.Minute)
		link(a, b)
		if len(a.revisions()) != n || len(b.revisions()) != n {
			t.Error("our own writes were taken for edits")
		}
	})
}

func TestConcurrentEdits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.save("sites/a.caddy", "from a\n")
		a.write("sites/new-a.caddy", "a\n")
		pass(time.Millisecond)
		b.save("sites/a.caddy", "from b\n")
		b.write("sites/new-b.caddy", "b\n")
		pass(200 * time.Millisecond)
		if a.Head().Digest == b.Head().Digest {
			t.Fatal("they know of each other")
		}
		lost := a.Head().Digest
		link(a, b)
		pass(100 * time.Millisecond)
		wantSame(a, b)
		for _, g := range []*rig{a, b} {
			g.wantLive("sites/a.caddy", "from b\n")
			g.wantLive("sites/new-a.caddy", "a\n")
			g.wantLive("sites/new-b.caddy", "b\n")
			e := g.wantEvents(farm.EventConfigConflict, farm.Warning, 1)[0]
			if e.Subject != "sites/a.caddy" || e.Fields["loser"] != lost.String() || e.Fields["winner_author"] != "web2" {
				t.Errorf("%s: event is %+v", g.cfg.Self, e)
			}
			if rev, err := g.Revision(lost); err != nil || string(rev.Files["sites/a.caddy"]) != "from a\n" {
				t.Errorf("the loser is lost: %v, %s", err, rev.Files)
			}
			if len(g.Head().Parents) != 2 || g.Head().Author != "web2" {
				t.Errorf("head is %+v", g.Head().Header())
			}
		}
	})
}

// TestEditOnAnOldText: an edit typed on top of a revision that another has replaced meanwhile undoes nothing.
func TestEditOnAnOldText(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.write("sites/b.caddy", "b\n")
		pass(200 * time.Millisecond)
		// While a is being edited, the other revision arrives.
		a.write("sites/a.caddy", "t")
		b.copyTo(a)
		pass(20 * time.Millisecond)
		a.wantLive("sites/b.caddy", "b\n")
		if a.read("sites/b.caddy") != "<no such file or directory>" {
			t.Error("the directory was written while it was being edited")
		}
		a.write("sites/a.caddy", "two\n")
		pass(200 * time.Millisecond)
		link(a, b)
		wantSame(a, b)
		b.wantLive("sites/a.caddy", "two\n")
		b.wantLive("sites/b.caddy", "b\n")
		b.wantEvents(farm.EventConfigConflict, farm.Warning, 0)
	})
}

// TestSaveAtTheLastMoment: an admin saves between the decision to write the directory and the write.
func TestSaveAtTheLastMoment(t *testing.T) {
	for name, text := range map[string]string{"same file": "sites/a.caddy", "another file": "farm.toml", "a new file": "sites/b.caddy"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pair(t)
				b.save("sites/a.caddy", "from b\n")
				b.write("sites/b.caddy", "from b\n")
				pass(200 * time.Millisecond)
				saved := "from a\n"
				if text == "farm.toml" {
					saved = farmToml + "# from a\n"
				}
				a.part.mu.Lock()
				a.part.onCommit = func() { a.write(text, saved) }
				a.part.mu.Unlock()
				a.mu.Lock()
				a.events = nil
				a.mu.Unlock()
				// The file is written when the revision of b is committed. What Run has read of the directory before is old then.
				a.Reloader.mu.Lock()
				b.copyTo(a)
				a.refresh()
				a.advance(t.Context())
				a.part.mu.Lock()
				a.part.onCommit = nil
				a.part.mu.Unlock()
				a.show(t.Context())
				a.Reloader.mu.Unlock()
				pass(time.Second)
				link(a, b)
				pass(time.Second)
				wantSame(a, b)
				if got := b.read(text); got != saved {
					t.Errorf("%s is %q, want %q", text, got, saved)
				}
			})
		})
	}
}

func TestRefusedTextIsNotOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.part.set("", "BAD")
		a.save("sites/a.caddy", "BAD\n")
		a.write("sites/mine.caddy", "BAD too\n")
		pass(200 * time.Millisecond)
		a.wantEvents(farm.EventConfigRefused, farm.Fault, 1)
		// The other member changes another file: the refused texts stay.
		b.write("sites/b.caddy", "b\n")
		pass(200 * time.Millisecond)
		link(a, b)
		pass(time.Second)
		if a.read("sites/a.caddy") != "BAD\n" || a.read("sites/mine.caddy") != "BAD too\n" || a.read("sites/b.caddy") != "b\n" || len(a.Refused()) != 2 {
			t.Errorf("a.caddy is %q, mine.caddy %q, b.caddy %q, refused %v", a.read("sites/a.caddy"), a.read("sites/mine.caddy"), a.read("sites/b.caddy"), a.Refused())
		}
		a.wantEvents(farm.EventConfigRefused, farm.Fault, 0)
		// Now it changes the same file: the refused text is moved aside.
		b.save("sites/a.caddy", "from b\n")
		pass(200 * time.Millisecond)
		link(a, b)
		pass(time.Second)
		if a.read("sites/a.caddy") != "from b\n" || a.read("sites/a.caddy.rejected") != "BAD\n" || a.read("sites/mine.caddy") != "BAD too\n" {
			t.Errorf("a.caddy is %q, aside %q", a.read("sites/a.caddy"), a.read("sites/a.caddy.rejected"))
		}
		a.mu.Lock()
		var kept int
		for _, e := range a.events {
			if e.ID == farm.EventConfigConflict && e.Fields["kept"] == filepath.FromSlash("sites/a.caddy.rejected") {
				kept++
			}
		}
		a.mu.Unlock()
		if kept != 1 {
			t.Errorf("%d events of what is kept", kept)
		}
		// The text that is left becomes good.
		a.save("sites/mine.caddy", "mine\n")
		pass(200 * time.Millisecond)
		link(a, b)
		wantSame(a, b)
		b.wantLive("sites/mine.caddy", "mine\n")
		b.wantLive("sites/a.caddy", "from b\n")
	})
}

// TestSecondRefusedTextIsKeptToo: a later refused text does not take the place of an earlier one.
func TestSecondRefusedTextIsKeptToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		for i, broken := range []string{"[ first", "[ second", "[ second"} {
			a.save("farm.toml", broken)
			pass(200 * time.Millisecond)
			b.save("farm.toml", farmToml+strings.Repeat("#\n", i+1))
			pass(200 * time.Millisecond)
			link(a, b)
			wantSame(a, b)
		}
		if a.read("farm.toml.rejected") != "[ first" || a.read("farm.toml.rejected.2") != "[ second" {
			t.Errorf("kept are %q and %q", a.read("farm.toml.rejected"), a.read("farm.toml.rejected.2"))
		}
		if _, err := os.Stat(a.path("farm.toml.rejected.3")); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the same text is kept twice")
		}
	})
}

func TestSiteRefusedHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.part.set("", "php")
		if _, err := b.Update(t.Context(), "", addSite("sites/b.caddy", "php\n")); err != nil {
			t.Fatal(err)
		}
		b.save("sites/a.caddy", "two\n")
		pass(200 * time.Millisecond)
		link(a, b)
		wantSame(a, b)
		a.wantLive("sites/a.caddy", "two\n")
		if v := a.Status(); v.Sites["sites/b.caddy"] != "sites/b.caddy:1: the site does not compile" || len(v.Faults) != 0 {
			t.Errorf("verdict is %+v", v)
		}
		a.wantEvents(farm.EventSiteRefused, farm.Fault, 1)
		pass(10 * time.Minute)
		a.wantEvents(farm.EventSiteRefused, farm.Fault, 0)
		a.part.set("", "")
		pass(2 * maxRetryTime)
		a.wantEvents(farm.EventSiteRefused, farm.Healed, 1)
		if v := a.Status(); len(v.Sites) != 0 {
			t.Errorf("verdict is %+v", v)
		}
	})
}

func TestRevisionThatDoesNotComeToLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		good := a.Status().Revision
		a.part.set("port 80", "")
		b.save("sites/a.caddy", "port 80\n")
		pass(200 * time.Millisecond)
		link(a, b)
		pass(time.Minute)
		v := a.Status()
		if v.Revision != good || v.Wanted != b.Head().Digest || len(v.Faults) != 1 || v.Faults[0] != "port 80 is in use" {
			t.Errorf("verdict is %+v", v)
		}
		a.wantLive("sites/a.caddy", "one\n")
		a.wantEvents(farm.EventConfigRefused, farm.Fault, 1)
		if got := a.read("sites/a.caddy"); got != "port 80\n" {
			t.Errorf("the directory shows %q", got)
		}
		a.part.mu.Lock()
		if a.part.prepares > 12 {
			t.Errorf("it was tried %d times in a minute", a.part.prepares)
		}
		a.part.mu.Unlock()
		// A process that starts now lives on the last good one.
		a.part.set("", "")
		pass(2 * maxRetryTime)
		a.wantEvents(farm.EventConfigRefused, farm.Healed, 1)
		wantSame(a, b)
	})
}

func TestBadRevisionFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.save("sites/a.caddy", "two\n")
		pass(200 * time.Millisecond)
		whole := b.Head().Encode()
		name := filepath.Join(a.cfg.RevisionDir, b.Head().FileName())
		other := filepath.Join(a.cfg.RevisionDir, config.Revision{Digest: farm.Digest{1}}.FileName())
		later := []byte(strings.Replace(string(whole), "revision 1", "revision 2", 1))
		must(t, os.WriteFile(name, whole[:len(whole)-3], 0o644))
		must(t, os.WriteFile(other, whole, 0o644))
		must(t, os.WriteFile(filepath.Join(a.cfg.RevisionDir, config.Revision{Digest: farm.Digest{2}}.FileName()), later, 0o644))
		must(t, os.WriteFile(filepath.Join(a.cfg.RevisionDir, "notes.rev"), nil, 0o644))
		pass(10 * time.Second)
		events := a.wantEvents(farm.EventRevisionCorrupt, farm.Fault, 3)
		if events[0].Subject == "" || events[0].Next == "" {
			t.Errorf("event is %+v", events[0])
		}
		a.wantLive("sites/a.caddy", "one\n")
		must(t, os.WriteFile(name, whole, 0o644))
		pass(10 * time.Second)
		a.wantLive("sites/a.caddy", "two\n")
		if events := a.got(farm.EventRevisionCorrupt, farm.Fault); len(events) > 0 {
			t.Errorf("told again: %v", events)
		}
	})
}

// TestJoin: a member that joins brings no configuration of its own, whatever lies in its directory.
func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := begun(t)
		b := newRig(t, "web2")
		b.write("farm.toml", farmOf("web9"))
		b.write("sites/old.caddy", "old\n")
		b.write("sites/a.caddy", "one\n")
		b.run()
		pass(10 * time.Second)
		if b.Current() != nil || len(b.revisions()) != 0 {
			t.Fatal("it founded a farm")
		}
		if _, err := b.Apply(t.Context(), a.Head().Files, ""); farm.KindOf(err) != farm.Unavailable {
			t.Errorf("apply: %v", err)
		}
		link(a, b)
		pass(time.Second)
		wantSame(a, b)
		if b.read("farm.toml.rejected") != farmOf("web9") || b.read("sites/old.caddy.rejected") != "old\n" {
			t.Error("what lay there is lost")
		}
		if len(a.revisions()) != 1 || a.Head().Author != "web1" {
			t.Error("it brought a revision of its own")
		}
	})
}

func TestTwoJoinsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		join := func(g *rig, name farm.MemberID, digit string) {
			_, err := g.Update(t.Context(), "", func(files map[string][]byte) (map[string][]byte, error) {
				src, err := config.AddMember(files["farm.toml"], config.Member{Name: name, Address: "192.0.2." + digit + ":7443", Key: "sha256:" + strings.Repeat(digit, 64)})
				files["farm.toml"] = src
				return files, err
			})
			must(t, err)
		}
		join(a, "web4", "4")
		join(b, "web5", "5")
		link(a, b)
		pass(time.Second)
		wantSame(a, b)
		for _, name := range []farm.MemberID{"web4", "web5"} {
			if _, ok := a.Current().Member(name); !ok {
				t.Errorf("%s is not a member", name)
			}
		}
		if !strings.Contains(a.read("farm.toml"), "# our farm") {
			t.Error("the comment is lost")
		}
		a.wantEvents(farm.EventConfigMerged, farm.Info, 1)
	})
}

// Something that a revision depends on has changed: it is prepared and committed once more, and nobody is told that it is live.
func TestAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pair(t)
		count := func() int {
			a.part.mu.Lock()
			defer a.part.mu.Unlock()
			return a.part.prepares
		}
		a.got(farm.EventConfigLive, farm.Info) // those of the start
		before := count()
		pass(time.Hour)
		if count() != before {
			t.Error("it was prepared again by itself")
		}
		a.Again()
		pass(time.Second)
		if n := count(); n != before+1 {
			t.Errorf("it was prepared %d times, want once", n-before)
		}
		a.wantEvents(farm.EventConfigLive, farm.Info, 0)
	})
}

// arrive brings one revision of g to h.
func (g *rig) arrive(h *rig, rev config.Revision) {
	g.t.Helper()
	b, err := os.ReadFile(filepath.Join(g.cfg.RevisionDir, rev.FileName()))
	must(g.t, err)
	must(g.t, os.WriteFile(filepath.Join(h.cfg.RevisionDir, rev.FileName()), b, 0o644))
	h.Arrived()
}

// threeMore are three revisions of a: a site more, another change, and the site is gone again.
func threeMore(a *rig) (revs [3]config.Revision) {
	for i, edit := range []func(){
		func() { a.save("sites/b.caddy", "b\n") },
		func() { a.save("sites/a.caddy", "two\n") },
		func() { must(a.t, os.Remove(a.path("sites/b.caddy"))); a.Touched() },
	} {
		edit()
		pass(200 * time.Millisecond)
		revs[i] = a.Head()
	}
	return revs
}

// TestArrivalsOutOfOrder: a revision that comes before its parents is no concurrent edit of what is there. A merge would bring
// back what it has taken away, and end the trials of others.
func TestArrivalsOutOfOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		revs := threeMore(a)
		a.arrive(b, revs[0])
		pass(100 * time.Millisecond)
		b.wantLive("sites/b.caddy", "b\n")
		a.arrive(b, revs[2])
		pass(time.Second)
		wantSame(a, b)
		a.arrive(b, revs[1])
		pass(time.Minute)
		wantSame(a, b)
		if n, want := len(b.revisions()), len(a.revisions()); n != want {
			t.Errorf("b has %d revisions, a %d", n, want)
		}
		b.wantEvents(farm.EventConfigMerged, farm.Info, 0)
	})
}

// TestParentsComeLate: concurrent edits are merged when it is known from what; if that never is, the later wins, and the other is
// kept.
func TestParentsComeLate(t *testing.T) {
	for name, come := range map[string]bool{"come": true, "are lost": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pair(t)
				b.save("sites/c.caddy", "c\n")
				pass(200 * time.Millisecond)
				c := b.Head()
				revs := threeMore(a)
				a.arrive(b, revs[2])
				pass(gapTime / 2)
				b.wantLive("sites/a.caddy", "two\n")
				b.wantEvents(farm.EventConfigMerged, farm.Info, 0)
				if come {
					a.arrive(b, revs[0])
					a.arrive(b, revs[1])
				}
				pass(gapTime)
				b.wantLive("sites/a.caddy", "two\n")
				if live := slices.ContainsFunc(b.Current().Sites, func(s config.Site) bool { return s.File == "sites/c.caddy" }); live != come {
					t.Errorf("the other edit is live: %v", live)
				}
				if kept, err := b.Revision(c.Digest); err != nil || string(kept.Files["sites/c.caddy"]) != "c\n" {
					t.Errorf("the other edit: %v", err)
				}
				b.wantEvents(farm.EventConfigMerged, farm.Info, 1)
			})
		})
	}
}
