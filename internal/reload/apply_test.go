package reload

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestApplyAndCheck(t *testing.T) {
	g := newRig(t, "web1")
	files := map[string][]byte{"farm.toml": []byte(farmToml), "sites/a.caddy": []byte("one\n"), "notes.txt": []byte("x")}
	if _, err := g.Apply(t.Context(), nil, ""); farm.KindOf(err) != farm.Invalid {
		t.Errorf("apply nothing: %v", err)
	}
	rev, err := g.Apply(t.Context(), files, "  the first\none ")
	must(t, err)
	g.wantLive("sites/a.caddy", "one\n")
	if rev.Message != "the first one" || len(rev.Files) != 2 || g.read("sites/a.caddy") != "one\n" {
		t.Errorf("revision is %+v", rev)
	}
	if again, err := g.Apply(t.Context(), files, "x"); err != nil || again.Digest != rev.Digest {
		t.Errorf("the same files made %s, %v", again.Digest.Short(), err)
	}
	g.part.set("port 80", "BAD")
	bad := maps.Clone(files)
	for text, want := range map[string]string{
		"fine\n":               "notes.txt: warning: the file is ignored (shared are farm.toml and sites/NAME.caddy, with NAME of a-z, A-Z, 0-9 and . _ + @ -)",
		"port 80\n":            "port 80 is in use",
		"BAD\n":                "sites/a.caddy:1: the site does not compile",
		"root {folder.shop}\n": "sites/a.caddy:1:6: placeholder {folder.shop} has no value on web1, web2, web3 (known are member.name, member.address)",
	} {
		bad["sites/a.caddy"] = []byte(text)
		faults := g.Check(t.Context(), bad)
		if last := faults[len(faults)-1].String(); last != want {
			t.Errorf("%q: fault is %s", text, last)
		}
		if want[0] == 'n' {
			continue
		}
		_, err := g.Apply(t.Context(), bad, "")
		if err == nil || g.Head().Digest != rev.Digest || len(g.revisions()) != 1 || g.part.open != 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
	stop := errors.New("stop")
	if _, err := g.Update(t.Context(), "", func(map[string][]byte) (map[string][]byte, error) { return nil, stop }); err != stop {
		t.Errorf("update: %v", err)
	}
	if _, err := g.Revision(farm.Digest{1}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("revision: %v", err)
	}
	if got, err := g.Revision(rev.Digest); err != nil || got.Digest != rev.Digest || got.Files == nil {
		t.Errorf("revision: %v, %v", got, err)
	}
}

// TestAnyOrderMeets: three members, random edits, random partitions: when all have the same revisions, all have the same
// head, live, and the same files in their directories.
func TestAnyOrderMeets(t *testing.T) {
	const seeds, steps = 12, 25
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			rigs := []*rig{newRig(t, "web1"), newRig(t, "web2"), newRig(t, "web3")}
			for _, g := range rigs {
				skew := time.Duration(rnd.IntN(10)) * time.Second
				g.cfg.Now = func() time.Time { return now.Add(skew) }
				g.restart()
			}
			step := func(g *rig) {
				g.step(t.Context(), true)
				now = now.Add(time.Second)
				g.step(t.Context(), false)
			}
			rigs[0].write("farm.toml", farmToml)
			must(t, rigs[0].Boot(t.Context()))
			rigs[0].copyTo(rigs[1])
			rigs[0].copyTo(rigs[2])
			for _, g := range rigs[1:] {
				must(t, g.Boot(t.Context()))
				step(g)
			}
			for i := range steps {
				g := rigs[rnd.IntN(len(rigs))]
				if anyAct(rnd, i, g, rigs[rnd.IntN(len(rigs))]) {
					step(g)
				}
			}
			meet := func() {
				for range 12 {
					for _, g := range rigs {
						step(g)
						for _, h := range rigs {
							if g != h {
								g.copyTo(h)
							}
						}
					}
				}
			}
			meet()
			for _, g := range rigs {
				if g.Refused() != nil { // the broken text may still stand: put it right, with all else that was typed beside it
					g.save("farm.toml", string(g.Head().Files["farm.toml"]))
				}
			}
			meet()
			wantSame(rigs...)
			for _, g := range rigs {
				if temps, _ := filepath.Glob(filepath.Join(g.cfg.ConfigDir, "sites", "*"+tempSuffix)); temps != nil {
					t.Errorf("left are %v", temps)
				}
				if c := g.Current(); c == nil || c.Revision != g.Head().Digest {
					t.Error("the head is not live")
				}
			}
		})
	}
}

// anyAct does one thing to g, and tells whether g shall take notice at once.
func anyAct(rnd *rand.Rand, i int, g, other *rig) bool {
	name := fmt.Sprintf("sites/s%d.caddy", rnd.IntN(3))
	switch rnd.IntN(6) {
	case 0, 1:
		g.save(name, fmt.Sprintf("%d on %s\n", i, g.cfg.Self))
	case 2:
		if os.Remove(g.path(name)) != nil {
			return false // it was not there
		}
	case 3:
		g.save("farm.toml", "[ broken")
	case 4:
		g.save("farm.toml", fmt.Sprintf("%s\n[folder.f%d]\npath = \"/srv/%d\"\n", farmToml, rnd.IntN(3), rnd.IntN(3)))
	case 5:
		g.copyTo(other)
		return false
	}
	return rnd.IntN(2) == 0
}

func TestFaultsOf(t *testing.T) {
	if f := faultsOf(nil); f != nil {
		t.Errorf("faults of nothing are %v", f)
	}
	if f := faultsOf(fmt.Errorf("x: %w", config.SiteFaults{"sites/a.caddy": {{Message: "bad"}}})); f.Error() != "sites/a.caddy: bad" {
		t.Errorf("faults are %v", f)
	}
	for n, want := range map[int]string{0: "unknown", 1: "x", 2: "x, and 1 more fault", 3: "x, and 2 more faults"} {
		if got := brief(make3(n)); got != want {
			t.Errorf("%d faults are %q", n, got)
		}
	}
}

func make3(n int) config.Faults {
	return config.Faults{{Message: "x"}, {Message: "y"}, {Message: "z"}}[:n]
}
