package install

import (
	"os"
	"path/filepath"
	"testing"

	"tandem/internal/farm"
	"tandem/internal/vfs"
)

// TestInstallAllWhileMoved: a directory that is moved away between its being opened and the last file in it takes with it
// what was made in it, and no plan counts as carried out.
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
	if in := k.makeIn(dir, plans[0]); in.Outcome != farm.Done || !dir.Stands() {
		t.Fatalf("%+v, stands: %v", in, dir.Stands())
	}
	check(os.Rename(filepath.Join(root, "d"), filepath.Join(root, "e")), os.Mkdir(filepath.Join(root, "d"), 0o755))
	if in := k.makeIn(dir, plans[1]); in.Outcome != farm.Done {
		t.Fatalf("%+v", in)
	}
	if _, err := os.Stat(filepath.Join(root, "e/b")); err != nil || dir.Stands() {
		t.Errorf("not in the directory that was opened: %v; stands: %v", err, dir.Stands())
	}
	check(dir.Close())
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
