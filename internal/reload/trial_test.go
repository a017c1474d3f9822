package reload

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestJudge(t *testing.T) {
	const length = 30 * time.Second
	canary := func(change func(*trial)) trial {
		is := trial{canary: true, length: length, seen: length, lived: length, linked: 3, all: 3}
		change(&is)
		return is
	}
	other := func(change func(*trial)) trial {
		is := trial{length: length, seen: time.Second, linked: 3, all: 3}
		change(&is)
		return is
	}
	late := length + trialGrace
	for name, c := range map[string]struct {
		is   trial
		want Outcome
		why  string
	}{
		"well":                {canary(func(*trial) {}), Passed, ""},
		"not long enough":     {canary(func(is *trial) { is.lived-- }), Undecided, ""},
		"not live yet":        {canary(func(is *trial) { is.lived = 0 }), Undecided, ""},
		"never live":          {canary(func(is *trial) { is.lived, is.seen = 0, late }), Failed, "not come to life"},
		"refused":             {canary(func(is *trial) { is.refused, is.lived = "port 80", 0 }), Failed, "port 80"},
		"unfit":               {canary(func(is *trial) { is.unfit, is.lived = "halted", 1 }), Failed, "halted"},
		"two errors":          {canary(func(is *trial) { is.requests, is.failures = 2, 2 }), Passed, ""},
		"three errors":        {canary(func(is *trial) { is.requests, is.failures, is.lived = 3, 3, 1 }), Failed, "3 of 3 requests failed, before it were 0.0 %"},
		"few errors":          {canary(func(is *trial) { is.requests, is.failures = 100, 5 }), Passed, ""},
		"as many as before":   {canary(func(is *trial) { is.requests, is.failures, is.before = 100, 45, 0.2 }), Passed, ""},
		"more than before":    {canary(func(is *trial) { is.requests, is.failures, is.before = 100, 46, 0.2 }), Failed, "46 of 100"},
		"alone":               {canary(func(is *trial) { is.linked, is.all = 1, 1 }), Passed, ""},
		"half":                {canary(func(is *trial) { is.linked, is.all = 1, 2 }), Undecided, ""},
		"half for too long":   {canary(func(is *trial) { is.linked, is.all, is.lived = 1, 2, late }), Failed, "it sees 1 of 2 members"},
		"looking on":          {other(func(*trial) {}), Undecided, ""},
		"in doubt":            {other(func(is *trial) { is.doubts = "no answer" }), Failed, "no answer"},
		"in doubt, cut off":   {other(func(is *trial) { is.doubts, is.linked = "no answer", 1 }), Undecided, ""},
		"silent":              {other(func(is *trial) { is.seen = late }), Failed, "nothing in time"},
		"silent, of two":      {other(func(is *trial) { is.seen, is.linked, is.all = late, 1, 2 }), Failed, "nothing in time"},
		"silent, cut off":     {other(func(is *trial) { is.seen, is.linked = late, 1 }), Undecided, ""},
		"not silent for long": {other(func(is *trial) { is.seen = late - 1 }), Undecided, ""},
	} {
		got, why := c.is.judge()
		if got != c.want || !strings.Contains(why, c.why) || (got == Failed) != (why != "") {
			t.Errorf("%s: %v %q, want %v %q", name, got, why, c.want, c.why)
		}
	}
}

// sights is what a member sees of the farm in a test.
type sights struct {
	mu          sync.Mutex
	sample      Sample
	doubts      string
	linked, all int
}

func (s *sights) Sample() Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sample
}

func (s *sights) Doubts(farm.MemberID, time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.doubts
}

func (s *sights) Sees() (int, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.linked, s.all
}

func (s *sights) set(change func(*sights)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

// trio is three members that run "one", and see each other.
func trio(t *testing.T) (rigs []*rig, see []*sights) {
	for i, name := range []farm.MemberID{"web1", "web2", "web3"} {
		g := newRig(t, name)
		s := &sights{linked: 3, all: 3}
		g.cfg.Watch = s
		g.restart()
		if i == 0 {
			g.write("farm.toml", farmToml)
			g.write("sites/a.caddy", "one\n")
		}
		rigs, see = append(rigs, g), append(see, s)
	}
	rigs[0].run()
	pass(time.Second)
	for _, g := range rigs[1:] {
		rigs[0].copyTo(g)
		g.run()
	}
	link(rigs...)
	pass(pollTime)
	wantSame(rigs...)
	for _, g := range rigs {
		g.got("", "")
	}
	return rigs, see
}

const trialTime = 10 * time.Second

// try has web1 try a text of the site on web2.
func try(t *testing.T, g *rig, text string) config.Revision {
	t.Helper()
	rev, err := g.Make(t.Context(), Edit{Message: "try", Stage: config.Stage{Canary: "web2", For: trialTime}, Change: func(files map[string][]byte) (map[string][]byte, error) {
		files["sites/a.caddy"] = []byte(text)
		return files, nil
	}})
	must(t, err)
	return rev
}

func wantAll(rigs []*rig, texts ...string) {
	rigs[0].t.Helper()
	for i, text := range texts {
		rigs[i].wantLive("sites/a.caddy", text)
	}
}

// exchange lets time go by while the members exchange what they have.
func exchange(d time.Duration, rigs ...*rig) {
	for end := time.Now().Add(d); time.Now().Before(end); pass(time.Second / 2) {
		link(rigs...)
	}
}

func TestCanaryPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rigs, _ := trio(t)
		try(t, rigs[0], "two\n")
		exchange(time.Second, rigs...)
		wantAll(rigs, "one\n", "two\n", "one\n")
		if text := rigs[0].read("sites/a.caddy"); text != "one\n" {
			t.Errorf("web1 shows %q", text)
		}
		if _, err := rigs[2].Apply(t.Context(), map[string][]byte{"farm.toml": []byte(farmToml)}, ""); farm.KindOf(err) != farm.Conflict || !strings.Contains(err.Error(), "is being tried on web2") {
			t.Errorf("another edit meanwhile: %v", err)
		}
		// What is typed meanwhile waits, and is not lost.
		rigs[2].save("sites/b.caddy", "typed\n")
		exchange(time.Second, rigs...)
		if e := rigs[2].Edits(); len(e) != 1 || e[0].File != "sites/b.caddy" {
			t.Errorf("what waits is %v", e)
		}
		exchange(trialTime, rigs...)
		wantAll(rigs, "two\n", "two\n", "two\n")
		wantSame(rigs...)
		for _, g := range rigs {
			g.wantLive("sites/b.caddy", "typed\n")
			events := g.wantEvents(farm.EventConfigCanary, farm.Info, 2)
			if !strings.Contains(events[1].Message, "canary web2 passed: try") {
				t.Errorf("event is %+v", events[1])
			}
		}
	})
}

func TestCanaryFails(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(rigs []*rig, see []*sights)
		why  string
	}{
		"errors": {func(_ []*rig, see []*sights) {
			see[1].set(func(s *sights) { s.sample = Sample{Requests: 20, Failures: 10} })
		}, "10 of 20 requests failed"},
		"unfit": {func(_ []*rig, see []*sights) {
			see[1].set(func(s *sights) { s.sample.Unfit = "folder shop is halted" })
		}, "folder shop is halted"},
		"an edge": {func(_ []*rig, see []*sights) { see[2].set(func(s *sights) { s.doubts = "edge web3 finds it failing" }) }, "edge web3"},
		"by hand": {func(rigs []*rig, _ []*sights) {
			_, _, err := rigs[2].EndTrial(rigs[2].t.Context())
			must(rigs[2].t, err)
		}, "on demand, by web3"},
		"new edit": {func(rigs []*rig, _ []*sights) { rigs[2].forge("sites/b.caddy", "meanwhile\n") }, "came in between"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rigs, see := trio(t)
				rev := try(t, rigs[0], "two\n")
				exchange(time.Second, rigs...)
				wantAll(rigs, "one\n", "two\n", "one\n")
				c.fail(rigs, see)
				exchange(2*time.Second, rigs...)
				wantAll(rigs, "one\n", "one\n", "one\n")
				wantSame(rigs...)
				for _, g := range rigs {
					events := g.wantEvents(farm.EventConfigCanary, farm.Warning, 1)
					if !strings.Contains(events[0].Message, c.why) {
						t.Errorf("%s says %q, want %q", g.cfg.Self, events[0].Message, c.why)
					}
					if _, err := g.Revision(rev.Digest); err != nil {
						t.Errorf("what was tried is lost: %v", err)
					}
				}
			})
		})
	}
}

// forge makes a revision as a member does that has never heard of the trial.
func (g *rig) forge(file, text string) {
	t := g.Trial()
	before, err := g.Revision(t.Parents[0])
	must(g.t, err)
	files := map[string][]byte{file: []byte(text)}
	for name, data := range before.Files {
		if name != file {
			files[name] = data
		}
	}
	rev, err := config.NewRevision(t.Parents, g.cfg.Self, farm.HLC(uint64(time.Now().UnixMilli())<<16), "unaware", files)
	must(g.t, err)
	must(g.t, os.WriteFile(g.cfg.RevisionDir+"/"+rev.FileName(), rev.Encode(), 0o600))
	g.Arrived()
}

// TestCanaryRefuses: what does not come to life on the canary, or leaves a site behind there, reaches nobody else.
func TestCanaryRefuses(t *testing.T) {
	for name, refuse := range map[string][2]string{"wholly": {"two", ""}, "a site": {"", "two"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rigs, _ := trio(t)
				rigs[1].part.set(refuse[0], refuse[1])
				try(t, rigs[0], "two\n")
				exchange(2*time.Second, rigs...)
				wantAll(rigs, "one\n", "one\n", "one\n")
				wantSame(rigs...)
				if e := rigs[2].wantEvents(farm.EventConfigCanary, farm.Warning, 1); !strings.Contains(e[0].Message, "there: ") {
					t.Errorf("event is %+v", e)
				}
			})
		})
	}
}

// TestCanaryDies: it is cut off or dead, and all go back after a bounded time; it too, when it is back, whatever it has
// decided alone.
func TestCanaryDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rigs, see := trio(t)
		try(t, rigs[0], "two\n")
		exchange(time.Second, rigs...)
		for i, linked := range []int{2, 1, 2} {
			see[i].set(func(s *sights) { s.linked = linked })
		}
		exchange(trialTime+trialGrace+2*time.Second, rigs[0], rigs[2])
		if !rigs[0].Trial().Digest.IsZero() {
			t.Error("it is still waited for")
		}
		rev, err := rigs[0].Apply(t.Context(), map[string][]byte{"farm.toml": []byte(farmToml), "sites/a.caddy": []byte("three\n")}, "")
		must(t, err)
		exchange(time.Second, rigs[0], rigs[2])
		wantAll([]*rig{rigs[0], rigs[2]}, "three\n", "three\n")
		rigs[1].wantLive("sites/a.caddy", "one\n") // it sees that it is alone
		for i := range see {
			see[i].set(func(s *sights) { s.linked = 3 })
		}
		exchange(2*time.Second, rigs...)
		wantAll(rigs, "three\n", "three\n", "three\n")
		wantSame(rigs...)
		if got := string(rigs[1].Head().Files["sites/a.caddy"]); got != string(rev.Files["sites/a.caddy"]) {
			t.Errorf("the head says %q", got)
		}
	})
}

// TestCanaryStartsAnew: what may have killed a daemon is not tried again when it comes back, even without peers.
func TestCanaryStartsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newRig(t, "web1")
		a.cfg.Watch = &sights{linked: 3, all: 3}
		a.restart()
		a.write("farm.toml", farmToml)
		a.write("sites/a.caddy", "one\n")
		stop := a.run()
		pass(time.Second)
		_, err := a.Make(t.Context(), Edit{Stage: config.Stage{Canary: "web1", For: trialTime}, Change: func(files map[string][]byte) (map[string][]byte, error) {
			files["sites/a.caddy"] = []byte("two\n")
			return files, nil
		}})
		must(t, err)
		a.wantLive("sites/a.caddy", "two\n")
		pass(time.Second)
		stop()
		a.restart()
		a.run()
		a.wantLive("sites/a.caddy", "one\n")
		pass(2 * trialTime)
		a.wantLive("sites/a.caddy", "one\n")
		if text := a.read("sites/a.caddy"); text != "one\n" {
			t.Errorf("the directory has %q", text)
		}
	})
}

// TestAnyTrialsMeet: edits and trials in any order on two to five members, in any partition: all come to the same revision.
func TestAnyTrialsMeet(t *testing.T) {
	const seeds, steps = 10, 25
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 2))
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			var rigs []*rig
			var names []string
			for i := range 2 + int(seed)%4 {
				names = append(names, fmt.Sprintf("web%d", i+1))
			}
			for _, name := range names {
				g := newRig(t, farm.MemberID(name))
				skew := time.Duration(rnd.IntN(10)) * time.Second
				g.cfg.Now = func() time.Time { return now.Add(skew) }
				g.cfg.Watch = &sights{linked: len(names), all: len(names)}
				g.restart()
				rigs = append(rigs, g)
			}
			step := func(g *rig) {
				g.step(t.Context(), true)
				now = now.Add(time.Second)
				g.step(t.Context(), false)
			}
			rigs[0].write("farm.toml", farmOf(names...))
			must(t, rigs[0].Boot(t.Context()))
			for _, g := range rigs[1:] {
				rigs[0].copyTo(g)
				must(t, g.Boot(t.Context()))
				step(g)
			}
			for i := range steps {
				g := rigs[rnd.IntN(len(rigs))]
				anyTrialAct(rnd, i, g, rigs[rnd.IntN(len(rigs))], farm.MemberID(names[rnd.IntN(len(names))]))
				step(g)
			}
			for range 60 {
				for _, g := range rigs {
					step(g)
					for _, h := range rigs {
						if g != h {
							g.copyTo(h)
						}
					}
				}
			}
			wantSame(rigs...)
			if trial := rigs[0].Trial(); !trial.Digest.IsZero() || !rigs[0].Head().Stage.IsZero() {
				t.Errorf("a trial never ends: %s", trial.Digest.Short())
			}
		})
	}
}

// anyTrialAct does one thing to g: an edit, a trial, a failing or recovering site, or the way of revisions to another.
func anyTrialAct(rnd *rand.Rand, i int, g, other *rig, canary farm.MemberID) {
	switch rnd.IntN(6) {
	case 0, 1:
		must(g.t, os.MkdirAll(g.path("sites"), 0o755))
		g.save(fmt.Sprintf("sites/s%d.caddy", rnd.IntN(3)), fmt.Sprintf("%d on %s\n", i, g.cfg.Self))
	case 2:
		_, err := g.Make(g.t.Context(), Edit{Stage: config.Stage{Canary: canary, For: 3 * time.Second}, Change: func(files map[string][]byte) (map[string][]byte, error) {
			files[fmt.Sprintf("sites/s%d.caddy", rnd.IntN(3))] = fmt.Appendf(nil, "%d tried by %s\n", i, g.cfg.Self)
			return files, nil
		}})
		if err != nil && farm.KindOf(err) != farm.Conflict {
			g.t.Fatal(err)
		}
	case 3:
		g.cfg.Watch.(*sights).set(func(s *sights) { s.sample.Requests += 10; s.sample.Failures += uint64(rnd.IntN(10)) })
	default:
		g.copyTo(other)
	}
}
