package member

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"tandem/internal/control"
)

// A directory that an application renames is renamed as a whole on the other member: the inode is the same.
func TestRenamedDirectory(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	if err := os.MkdirAll(filepath.Join(web1.www, "old/img"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		web1.write("old/img/"+strconv.Itoa(i), strconv.Itoa(i))
	}
	web2 := web1.join("web2")
	eventually(t, "the seed", web2.has("old/img/19", "19"))
	eventually(t, "web2's folder is live", web2.inState(control.FolderLive))
	inSync := func() bool { return web1.folder().InSync && web2.folder().InSync }
	eventually(t, "in sync", inSync)

	was, err := os.Stat(filepath.Join(web2.www, "old"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(web1.www, "old"), filepath.Join(web1.www, "new")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new name", web2.has("new/img/7", "7"))
	if is, err := os.Stat(filepath.Join(web2.www, "new")); err != nil || !os.SameFile(was, is) {
		t.Errorf("it is another directory (%v)", err)
	}
	web2.write("new/img/7", "edited")
	eventually(t, "an edit under the new name", web1.has("new/img/7", "edited"))
	eventually(t, "in sync again", inSync)
	if _, err := os.Stat(filepath.Join(web2.www, "old")); !os.IsNotExist(err) {
		t.Errorf("the old name is there: %v", err)
	}
}
