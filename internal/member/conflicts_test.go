package member

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// two are members that hold "www" and are in sync.
func two(t *testing.T) (a, b *server) {
	t.Helper()
	a = first(t, "web1")
	eventually(t, "web1's folder is live", a.inState(control.FolderLive))
	b = a.join("web2")
	eventually(t, "web2's folder is live", b.inState(control.FolderLive))
	eventually(t, "in sync", inSync(a, b))
	return a, b
}

func inSync(servers ...*server) func() bool {
	return func() bool {
		for _, s := range servers {
			if !s.folder().InSync {
				return false
			}
		}
		return true
	}
}

func (s *server) gone(name string) func() bool {
	return func() bool {
		_, err := os.Lstat(filepath.Join(s.www, name))
		return os.IsNotExist(err)
	}
}

func (s *server) list(q control.ConflictQuery) control.Conflicts {
	s.t.Helper()
	c, err := s.Conflicts(s.t.Context(), q)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

func (s *server) restore(req control.RestoreRequest) control.RestoreResult {
	s.t.Helper()
	r, err := s.RestoreConflicts(s.t.Context(), req, func(int, int) {})
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// What is deleted on one member is listed on both and comes back from the other, a whole directory too, with attributes.
func TestDeletedAndRestored(t *testing.T) {
	web1, web2 := two(t)
	if err := os.MkdirAll(filepath.Join(web1.www, "dir/sub"), 0o750); err != nil {
		t.Fatal(err)
	}
	const files = 40
	for i := range files {
		web1.write(fmt.Sprintf("dir/sub/%d", i), fmt.Sprintf("content %d", i))
	}
	if err := os.Chmod(filepath.Join(web1.www, "dir/sub/7"), 0o600); err != nil {
		t.Fatal(err)
	}
	web1.write("kept", "as it is")
	eventually(t, "all is on web2", func() bool {
		return inSync(web1, web2)() && web2.has("dir/sub/39", "content 39")() && web2.has("kept", "as it is")()
	})
	if err := os.Rename(filepath.Join(web1.www, "kept"), filepath.Join(web1.www, "renamed")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(web1.www, "dir")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is gone on web2", web2.gone("dir"))
	all := control.ConflictQuery{Folder: "www", Reason: farm.ReasonDeleted}
	eventually(t, "web1 sees what web2 keeps", func() bool { return len(web1.list(all).List) == files+2 })
	if l := web2.list(all); len(l.List) != files+2 {
		t.Errorf("web2 lists %d", len(l.List))
	}
	k := web1.list(control.ConflictQuery{Path: "dir/sub/7"}).List[0]
	if k.Members[0] != "web2" || k.Mode != "0600" || k.Written.Member != "web1" || k.Replaced.Member != "web1" || k.Size != 9 {
		t.Errorf("listed %+v", k)
	}
	if d, err := web1.DiffConflict(t.Context(), control.DiffRequest{ID: k.ID[:6]}); err != nil || d.Same || d.Type != "absent" || !strings.Contains(d.Text, "-content 7") {
		t.Errorf("diff %+v, %v", d, err)
	}

	r := web1.restore(control.RestoreRequest{Query: control.ConflictQuery{Folder: "www", Path: "dir/**"}})
	if r.Restored != files+2 || r.Failed != 0 {
		t.Errorf("restored %+v", r)
	}
	eventually(t, "it is back on web2", func() bool { return inSync(web1, web2)() && web2.has("dir/sub/7", "content 7")() })
	for _, s := range []*server{web1, web2} {
		for name, mode := range map[string]os.FileMode{"dir/sub": 0o750, "dir/sub/7": 0o600, "dir/sub/8": 0o644} {
			if st, err := os.Lstat(filepath.Join(s.www, name)); err != nil || st.Mode().Perm() != mode {
				t.Errorf("%s: %s is %v, %v", s.self, name, st, err)
			}
		}
		if l := s.list(control.ConflictQuery{Reason: farm.ReasonConflict}); len(l.List) != 0 {
			t.Errorf("restoring made conflicts: %+v", l.List)
		}
	}
	if r := web2.restore(control.RestoreRequest{Query: control.ConflictQuery{IDs: []string{k.ID}}}); !r.List[0].Same {
		t.Errorf("restored again: %+v", r)
	}
}

// A file that loses a conflict is compared and restored on the other member; what it replaces is preserved there.
func TestConflictRestored(t *testing.T) {
	web1, web2 := two(t)
	web1.write("f", "base\n")
	eventually(t, "the base is there", func() bool { return web2.has("f", "base\n")() && inSync(web1, web2)() })
	// Two writes that know nothing of each other: one of a member that is away.
	web2.end()
	web1.write("f", "base\none\n")
	eventually(t, "web1 has seen it", func() bool { return web1.folder().Peers[0].Backlog > 0 })
	web2.write("f", "base\ntwo\n")
	web2.start()
	eventually(t, "in sync", inSync(web1, web2))
	q := control.ConflictQuery{Reason: farm.ReasonConflict}
	eventually(t, "the conflict is listed on both", func() bool { return len(web1.list(q).List) == 1 && len(web2.list(q).List) == 1 })
	k := web1.list(q).List[0]
	eventually(t, "both count it", func() bool { return web1.conflictsIn() == 1 && web2.conflictsIn() == 1 })
	winner, loser := "base\none\n", "base\ntwo\n"
	if !web1.has("f", winner)() {
		winner, loser = loser, winner
	}
	other := web1 // who does not keep it
	if k.Members[0] == "web1" {
		other = web2
	}
	d, err := other.DiffConflict(t.Context(), control.DiffRequest{ID: k.ID})
	if err != nil || !strings.Contains(d.Text, "-"+loser[5:]) || !strings.Contains(d.Text, "+"+winner[5:]) {
		t.Errorf("diff %+v, %v", d, err)
	}
	ids := control.ConflictQuery{IDs: []string{k.ID}}
	if r := other.restore(control.RestoreRequest{Query: ids}); r.Failed != 1 || r.List[0].Error.Kind != farm.Exists.String() || !strings.Contains(r.List[0].Error.Next, "--force") {
		t.Errorf("a newer file was replaced: %+v", r)
	}
	if r := other.restore(control.RestoreRequest{Query: ids, To: "g/copy"}); r.Restored != 1 {
		t.Errorf("not restored elsewhere: %+v", r.List)
	}
	// On both at once: it ends as one file.
	done := make(chan control.RestoreResult, 1)
	go func() {
		r, _ := web1.RestoreConflicts(context.Background(), control.RestoreRequest{Query: ids, Force: true}, func(int, int) {})
		done <- r
	}()
	if r := web2.restore(control.RestoreRequest{Query: ids, Force: true}); r.Failed > 0 {
		t.Errorf("web2: %+v", r.List[0])
	}
	if r := <-done; r.Failed > 0 {
		t.Errorf("web1: %+v", r.List[0])
	}
	eventually(t, "both have the loser", func() bool {
		return inSync(web1, web2)() && web1.has("f", loser)() && web2.has("f", loser)() && web1.has("g/copy", loser)() && web2.has("g/copy", loser)()
	})
	if l := web1.list(q); len(l.List) != 1 {
		t.Errorf("conflicts after restoring on both: %+v", l.List)
	}
	replaced := web1.list(control.ConflictQuery{Reason: farm.ReasonReplaced})
	if len(replaced.List) != 1 || replaced.List[0].Size != int64(len(winner)) {
		t.Errorf("what was replaced: %+v", replaced.List)
	}

	if _, err := web1.Conflicts(t.Context(), control.ConflictQuery{IDs: []string{"zzzz1"}}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("an unknown id gives %v", err)
	}
	if d, err := web1.DropConflicts(t.Context(), control.ConflictQuery{}); err != nil || d.Count != 2 {
		t.Errorf("dropped %+v, %v", d, err)
	}
	if l := web2.list(control.ConflictQuery{}); len(l.List) != 0 {
		t.Errorf("left: %+v", l.List)
	}
	eventually(t, "nobody counts it any more", func() bool { return web1.conflictsIn() == 0 && web2.conflictsIn() == 0 })
}

// conflictsIn is how many preserved files of both members were not meant to go, as this one knows; -1: the other has not said.
func (s *server) conflictsIn() int64 {
	f := s.folder()
	if f.Peers[0].Conflicts == nil {
		return -1
	}
	return int64(f.Preserved.Conflicts) + *f.Peers[0].Conflicts
}

// The folder's settings hold without a restart of the member: nothing that was deleted is kept, and what is kept goes when
// it is too old.
func TestPreserveSettings(t *testing.T) {
	web1, web2 := two(t)
	web1.write("a", "1")
	web1.write("b", "2")
	eventually(t, "both are there", func() bool { return web2.has("a", "1")() && web2.has("b", "2")() && inSync(web1, web2)() })
	rm := func(name string) {
		if err := os.Remove(filepath.Join(web1.www, name)); err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is gone", web2.gone(name))
	}
	rm("a")
	eventually(t, "a is kept", func() bool {
		return len(web2.list(control.ConflictQuery{}).List) == 1 && web2.folder().Preserved.Files == 1
	})
	was := web2.folders.get("www")
	web1.edit(config.FarmFile, func(src string) string {
		return strings.Replace(src, "[folder.www]\n", "[folder.www]\npreserve_deleted = false\npreserve_age = \"1h\"\n", 1)
	})
	eventually(t, "web2 holds the folder otherwise", func() bool { f := web2.folders.get("www"); return f != nil && f != was })
	spec := web2.folders.get("www").spec.preserve
	if spec.deleted || spec.age != time.Hour {
		t.Errorf("the settings are %+v", spec)
	}
	eventually(t, "in sync", inSync(web1, web2))
	rm("b")
	eventually(t, "nothing waits to be settled", func() bool {
		list, err := os.ReadDir(filepath.Join(web2.www, ".tandem/staging"))
		return err == nil && len(list) == 0
	})
	if l := web2.list(control.ConflictQuery{}); len(l.List) != 1 || l.List[0].Path != "a" {
		t.Errorf("kept %+v", l.List)
	}
}
