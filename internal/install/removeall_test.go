package install

import (
	"fmt"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// removalOf is a plan to remove the file at p, as it is now.
func (b *box) removalOf(t *testing.T, p string) farm.Plan {
	t.Helper()
	path := farm.MustPath(p)
	st := must(b.mem.Lstat(path))
	st.Racy = false
	d, _, err := digest(b.mem, path)
	check(err)
	attr := st.Attr()
	attr.Digest = d
	return farm.Plan{Path: path, Expect: farm.Disk{Attr: attr, Stat: st.Fingerprint}}
}

// TestRemoveAll: files of one directory go together, each is kept, and what is not as expected stays.
func TestRemoveAll(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	b.cfg.KeepDeleted = true
	check(b.start(b.mem), b.app.Mkdir(farm.MustPath("d"), 0o755))
	for _, name := range []string{"a", "b", "edited", "gone", "z"} {
		check(b.app.WriteFile(farm.MustPath("d/"+name), []byte("text of "+name)))
	}
	var plans []farm.Plan
	for _, name := range []string{"a", "b", "edited", "gone", "z"} {
		plans = append(plans, b.removalOf(t, "d/"+name))
		if !Together(plans[len(plans)-1]) {
			t.Fatal("a removal is not done together with others")
		}
	}
	plans = append(plans, small("new", "made beside them"))
	check(b.app.WriteFile(farm.MustPath("d/edited"), []byte("by somebody else")), b.app.Remove(farm.MustPath("d/gone")))
	var outcomes []farm.Outcome
	for _, in := range b.k.InstallAll(t.Context(), plans, noSource) {
		outcomes = append(outcomes, in.Outcome)
	}
	want := []farm.Outcome{farm.Done, farm.Done, farm.Changed, farm.Changed, farm.Done, farm.Done}
	if fmt.Sprint(outcomes) != fmt.Sprint(want) {
		t.Fatalf("came to %v, want %v", outcomes, want)
	}
	b.k.Sweep(t.Context())
	var names []string
	for _, e := range must(b.mem.ReadDir(farm.MustPath("d"))) {
		names = append(names, e.Name)
	}
	if fmt.Sprint(names) != "[edited new]" {
		t.Errorf("left are %v", names)
	}
	var kept []string
	for _, p := range must(b.k.List()) {
		kept = append(kept, p.Path.String())
	}
	if fmt.Sprint(kept) != "[d/a d/b d/z]" {
		t.Errorf("kept are %v", kept)
	}
	if list := must(b.mem.ReadDir(farm.MustPath(vfs.StagingDir))); len(list) > 0 {
		t.Errorf("left in staging: %v", list)
	}
}

// TestRemoveAllIsRecovered: killed when nothing is written down yet of what was looked at, the next life knows what was removed,
// and keeps it.
func TestRemoveAllIsRecovered(t *testing.T) {
	b := newBox(vfs.MemConfig{})
	b.cfg.KeepDeleted = true
	check(b.start(b.mem), b.app.Mkdir(farm.MustPath("d"), 0o755))
	var plans []farm.Plan
	for _, name := range []string{"a", "b"} {
		check(b.app.WriteFile(farm.MustPath("d/"+name), []byte("text of "+name)))
		plans = append(plans, b.removalOf(t, "d/"+name))
	}
	b.k.InstallAll(t.Context(), plans, noSource)
	check(b.start(b.mem))
	if list := b.k.Finished(); len(list) != 2 {
		t.Errorf("finished: %+v", list)
	}
	if list := must(b.k.List()); len(list) != 2 {
		t.Errorf("kept: %+v", list)
	}
}
