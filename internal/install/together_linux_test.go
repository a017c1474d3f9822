package install

import (
	"os"
	"path/filepath"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// TestInstallAllWhileMoved: a directory that is moved away after it was opened takes with it what is made in it, and no
// plan counts as carried out.
func TestInstallAllWhileMoved(t *testing.T) {
	root := t.TempDir()
	fs := must(vfs.Open(root))
	check(fs.Prepare("www"))
	defer fs.Close()
	k := New(fs, Config{Folder: "www"})
	check(k.Recover(), os.Mkdir(filepath.Join(root, "d"), 0o755))
	plans := []farm.Plan{small("a", "1"), small("b", "2")}
	dir, ok := k.openFor(plans)
	if !ok {
		t.Fatal("the directory can't be opened")
	}
	defer dir.Close()
	out := make([]farm.Installed, len(plans))
	if k.makeAll(t.Context(), dir, plans[:1], out); out[0].Outcome != farm.Done {
		t.Fatalf("%+v", out[0])
	}
	check(os.Rename(filepath.Join(root, "d"), filepath.Join(root, "e")), os.Mkdir(filepath.Join(root, "d"), 0o755))
	if k.makeAll(t.Context(), dir, plans[1:], out); out[0].Outcome != farm.Changed {
		t.Errorf("in a directory that was moved: %v", out[0].Outcome)
	}
	check(os.Remove(filepath.Join(root, "e/b")), os.Remove(filepath.Join(root, "d"))) // there, and nothing here
}

// TestInstallAllWithoutDirectory: where the directory can't be opened each plan is answered, and says so.
func TestInstallAllWithoutDirectory(t *testing.T) {
	fs := must(vfs.Open(t.TempDir()))
	check(fs.Prepare("www"))
	defer fs.Close()
	k := New(fs, Config{Folder: "www"})
	check(k.Recover())
	for i, in := range k.InstallAll(t.Context(), []farm.Plan{small("a", "1"), small("b", "2")}, noSource) {
		if in.Outcome != farm.NoParent || in.Plan.Path.IsRoot() {
			t.Errorf("plan %d of %s: %v", i, in.Plan.Path, in.Outcome)
		}
	}
}

// TestRemoveAllWhileMoved: a directory that is moved away after it was opened takes all with it: nothing in it is removed, and no
// plan counts as carried out.
func TestRemoveAllWhileMoved(t *testing.T) {
	root := t.TempDir()
	fs := must(vfs.Open(root))
	check(fs.Prepare("www"))
	defer fs.Close()
	k := New(fs, Config{Folder: "www", KeepDeleted: true})
	check(k.Recover(), os.Mkdir(filepath.Join(root, "d"), 0o755), os.WriteFile(filepath.Join(root, "d/a"), []byte("text"), 0o644))
	p := farm.MustPath("d/a")
	st := must(fs.Lstat(p))
	st.Racy = false
	plans := []farm.Plan{{Path: p, Expect: farm.Disk{Attr: st.Attr(), Stat: st.Fingerprint}}}
	dir, ok := k.openFor(plans)
	if !ok {
		t.Fatal("the directory can't be opened")
	}
	defer dir.Close()
	check(os.Rename(filepath.Join(root, "d"), filepath.Join(root, "e")))
	out := make([]farm.Installed, 1)
	if k.removeAll(dir, plans, out); out[0].Outcome != farm.Changed {
		t.Errorf("in a directory that was moved: %v", out[0].Outcome)
	}
	if text := must(os.ReadFile(filepath.Join(root, "e/a"))); string(text) != "text" {
		t.Errorf("e/a holds %q", text)
	}
}
