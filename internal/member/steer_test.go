package member

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (s *server) say(verb control.Verb, all bool) control.Steered {
	s.t.Helper()
	done, err := s.SteerFolder(s.t.Context(), "www", verb, all)
	if err != nil {
		s.t.Fatalf("%s: %v", verb, err)
	}
	return done
}

func (s *server) why(path string) map[farm.MemberID]control.WhyMember {
	s.t.Helper()
	w, err := s.Why(s.t.Context(), control.WhyQuery{Folder: "www", Path: path})
	if err != nil || len(w.Silent) > 0 {
		s.t.Fatalf("why %s: %v, silent %v", path, err, w.Silent)
	}
	by := map[farm.MemberID]control.WhyMember{}
	for _, m := range w.Members {
		by[m.Member] = m
	}
	return by
}

// A paused folder neither gives nor takes, says so on both members and after a restart, and catches up when it goes on.
func TestPauseFolder(t *testing.T) {
	web1, web2 := two(t)
	if done := web2.say(control.VerbPause, false); len(done.Members) != 1 || !done.Members[0].Changed {
		t.Fatalf("paused: %+v", done)
	}
	if done := web2.say(control.VerbPause, false); done.Members[0].Changed {
		t.Error("it was paused twice")
	}
	eventually(t, "web1 hears of the pause", func() bool { f := web1.folder(); return len(f.Peers) == 1 && f.Peers[0].Paused && !f.InSync })
	web1.write("a", "of web1")
	web2.write("b", "of web2")
	eventually(t, "web2 has noticed its own", func() bool { return web2.why("b")["web2"].Known })
	web2.end()
	web2.start()
	eventually(t, "web2 is still paused", func() bool { f := web2.folder(); return f.Paused != nil && f.Paused.By == "web2" && !f.InSync })
	eventually(t, "they are linked", func() bool { return web1.links.up("web2") && web2.links.up("web1") })
	if web1.has("b", "of web2")() || web2.has("a", "of web1")() {
		t.Error("something came through the pause")
	}
	// From the other member, with all: it was not paused itself.
	done := web1.say(control.VerbResume, true)
	if len(done.Members) != 2 || done.Members[0].Changed || !done.Members[1].Changed || done.Members[1].Problem != "" {
		t.Errorf("resumed: %+v", done)
	}
	eventually(t, "both have both", func() bool { return web1.has("b", "of web2")() && web2.has("a", "of web1")() && inSync(web1, web2)() })
	if _, err := web1.SteerFolder(t.Context(), farm.FolderFarm, control.VerbPause, false); farm.KindOf(err) != farm.Invalid {
		t.Errorf("Tandem's own folder: %v", err)
	}
	if _, err := web1.SteerFolder(t.Context(), "wiki", control.VerbPause, true); farm.KindOf(err) != farm.NotFound {
		t.Errorf("an unknown folder: %v", err)
	}
}

// A pause that the folder did not take is not remembered; nor is that of a folder that the farm has no more, whether it
// was removed while the member ran or not.
func TestPauseIsForgotten(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "the folder runs", func() bool { return web1.folders.get("www") != nil })
	const folder = "[folder.www]\npath = \"/nowhere\"\nwatch = \"inotify\"\n"
	inFarm := func(want bool) {
		t.Helper()
		web1.edit(config.FarmFile, func(src string) string {
			without, _, found := strings.Cut(src, folder)
			if found == want {
				t.Fatalf("farm.toml: %s", src)
			} else if want {
				return without + folder
			}
			return without
		})
		if done, err := web1.ApplyConfig(t.Context(), control.ConfigEdit{}); err != nil || !done.Check.OK {
			t.Fatalf("applied: %+v, %v", done, err)
		}
		eventually(t, "the folder is in the farm, or not", func() bool { return (web1.folders.get("www") != nil) == want })
	}
	paused := func() bool {
		n, err := web1.paths.readNote("www")
		if err != nil {
			t.Error(err)
		}
		return n.Paused != nil
	}
	gone := web1.folders.get("www")
	web1.say(control.VerbPause, false)
	if !paused() {
		t.Fatal("the pause is not remembered")
	}
	inFarm(false)
	eventually(t, "the pause is forgotten", func() bool { return !paused() })
	if err := web1.folders.pause(t.Context(), gone, &pauseNote{By: "web1"}); farm.KindOf(err) != farm.Unavailable || paused() {
		t.Errorf("a folder that has ended: %v, remembered: %v", err, paused())
	}
	inFarm(true)
	if f := web1.folder(); f.Paused != nil {
		t.Errorf("it is paused again: %+v", f.Paused)
	}
	// As found at a start: a folder of another time, with an index and without, and what a crash left.
	filter := &filterNote{Exclude: []string{"*.log"}}
	for _, id := range []farm.FolderID{"old", "older"} {
		if err := web1.paths.writeNote(id, folderNote{Paused: &pauseNote{By: "web1"}, Filter: filter}); err != nil {
			t.Fatal(err)
		}
	}
	web1.end()
	for _, err := range []error{os.MkdirAll(web1.paths.index("old"), 0o700), os.WriteFile(web1.paths.note("www")+".1.new", nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	web1.start()
	eventually(t, "only what an index needs is remembered", func() bool {
		list, err := os.ReadDir(filepath.Dir(web1.paths.note("www")))
		return err == nil && len(list) == 2 && list[0].Name() == "old.json" && list[1].Name() == "www.json"
	})
	if n, err := web1.paths.readNote("old"); err != nil || n.Paused != nil || !sameFilter(n.Filter.filter(), filter.filter()) {
		t.Errorf("remembered of a folder that has an index: %+v, %v", n, err)
	}
}

// Most of a folder that is missing after a start is deleted nowhere, until a person says what that means.
func TestBrakeIsAnswered(t *testing.T) {
	for _, verb := range []control.Verb{control.VerbRelease, control.VerbRefuse} {
		t.Run(string(verb), func(t *testing.T) {
			web1, web2 := two(t)
			const files, missing = 300, 200
			for i := range files {
				web1.write(fmt.Sprintf("f%03d", i), fmt.Sprint(i))
			}
			eventually(t, "web2 has all", func() bool { return web2.folder().Entries >= files && inSync(web1, web2)() })
			web1.end()
			for i := range missing {
				if err := os.Remove(filepath.Join(web1.www, fmt.Sprintf("f%03d", i))); err != nil {
					t.Fatal(err)
				}
			}
			web1.start()
			eventually(t, "the brake holds", func() bool { b := web1.folder().Braked; return b != nil && b.Held == missing && b.Limit == 100 })
			eventually(t, "web2 hears of it", func() bool { f := web2.folder(); return f.Peers[0].Braked && !f.InSync })
			if web1.folder().InSync || !web2.has("f000", "0")() {
				t.Error("a braked folder is in sync, or deletes")
			}
			if w := web2.why("f007"); w["web1"].State != "braked" || w["web1"].Braked == nil || w["web2"].State != "at rest" {
				t.Errorf("why: %+v", w)
			}
			if done := web1.say(verb, false); done.Members[0].Held != missing {
				t.Errorf("answered: %+v", done)
			}
			eventually(t, "it is done", func() bool {
				if !inSync(web1, web2)() {
					return false
				}
				if verb == control.VerbRefuse {
					return web1.has("f000", "0")() && web1.has("f199", "199")() && web2.has("f199", "199")()
				}
				return web2.gone("f000")() && web2.gone("f199")() && web2.has("f200", "200")()
			})
		})
	}
}

// What is changed where a folder is only read is undone, and why says so.
func TestReadOnlyAndWhy(t *testing.T) {
	web1, web2 := two(t)
	web1.write("a", "one")
	eventually(t, "web2 has it", web2.has("a", "one"))
	web1.edit(config.FarmFile, func(src string) string {
		return src + "read_only = [\"web2\"]\nexclude = [\"*.log\"]\nmax_size = \"1KiB\"\n"
	})
	if done, err := web1.ApplyConfig(t.Context(), control.ConfigEdit{}); err != nil || !done.Check.OK {
		t.Fatalf("applied: %+v, %v", done, err)
	}
	eventually(t, "web2 only reads", func() bool { return web2.folder().ReadOnly && web2.why("x.log")["web2"].Rule != nil })
	web2.write("a", "two")
	web2.write("new", "made there")
	eventually(t, "both are undone", func() bool { return web2.has("a", "one")() && web2.gone("new")() && inSync(web1, web2)() })
	if c := web2.list(control.ConflictQuery{Reason: farm.ReasonUndone}); c.Count != 2 {
		t.Errorf("preserved: %+v", c)
	}
	web1.write("x.log", "noise")
	web1.write("big", string(make([]byte, 2000)))
	w := web1.why("a")
	if m := w["web2"]; !m.Replicated || !m.Known || !m.ReadOnly || m.State != "at rest" || m.Version == nil || m.Version.Member != "web1" || m.Disk.Size != 3 {
		t.Errorf("a on web2: %+v", m)
	}
	if m := web2.why("x.log")["web1"]; m.Replicated || m.Rule == nil || m.Rule.Pattern != "*.log" || m.Rule.Line == 0 || m.Disk == nil {
		t.Errorf("x.log on web1: %+v", m)
	}
	if m := web2.why("big")["web1"]; !m.Replicated || !m.LeftOut || m.MaxSize != 1024 {
		t.Errorf("big on web1: %+v", m)
	}
	if w, err := web1.Why(t.Context(), control.WhyQuery{Path: filepath.Join(web1.www, "a")}); err != nil || w.Folder != "www" || w.Path != "a" {
		t.Errorf("by an absolute path: %+v, %v", w, err)
	}
	if _, err := web1.Why(t.Context(), control.WhyQuery{Path: "/nowhere/a"}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("a path in no folder: %v", err)
	}
}
