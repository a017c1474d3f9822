package member

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/zeebo/blake3"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// TestAbsurdFetch: a member asks for what there is not.
func TestAbsurdFetch(t *testing.T) {
	s := first(t, "web1")
	digest := farm.Digest(blake3.Sum256([]byte("hello")))
	s.write("a", "hello")
	p := farm.MustPath("a")
	eventually(t, "the file is known", func() bool {
		r, _, err := s.Open(t.Context(), "web1", "www", p, digest, 0)
		if err != nil {
			return false
		}
		return r.Close() == nil
	})
	for name, x := range map[string]struct {
		folder farm.FolderID
		digest farm.Digest
		offset int64
		kind   farm.Kind
	}{
		"behind the end": {"www", digest, 6, farm.Invalid},
		"absurd offset":  {"www", digest, math.MaxInt64, farm.Invalid},
		"no such folder": {"none", digest, 0, farm.NotFound},
	} {
		if _, _, err := s.Open(t.Context(), "web1", x.folder, p, x.digest, x.offset); farm.KindOf(err) != x.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
	if r, _, err := s.Open(t.Context(), "web1", "www", p, farm.Digest(blake3.Sum256([]byte("another"))), 0); err == nil {
		t.Errorf("content that nobody has was opened: %v", r.Close())
	}
}

// TestOutsider: an edge, which holds no folder of a site, gets nothing of one and steers nothing, whatever it knows of it.
func TestOutsider(t *testing.T) {
	web1 := first(t, "web1")
	edge := web1.joinAs("edge1", farm.RoleEdge)
	content := "secret"
	digest := farm.Digest(blake3.Sum256([]byte(content)))
	p := farm.MustPath("a")
	web1.write("a", content)
	eventually(t, "the file is known and the two are linked", func() bool {
		r, _, err := web1.Open(t.Context(), "web1", "www", p, digest, 0)
		return err == nil && r.Close() == nil && edge.links.up("web1")
	})
	ctx := t.Context()
	fetch := func() error {
		r, err := edge.hub.Fetch(ctx, "web1", "www", p, digest, int64(len(content)))
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		return err
	}
	part := func() error {
		r, err := edge.hub.OpenPart(ctx, "web1", "www", p, digest, 0, 3)
		if err == nil {
			_, err = io.ReadAll(r)
			r.Close()
		}
		return err
	}
	recipe := func() error {
		_, err := edge.hub.Recipe(ctx, "web1", "www", p, digest, farm.Digest{})
		return err
	}
	call := func(method string, in any) func() error {
		return func() error { return edge.ask(ctx, "web1", method, in, &struct{}{}) }
	}
	for name, try := range map[string]func() error{
		"fetch": fetch, "part": part, "recipe": recipe,
		"why":   call(callWhy, whyRequest{Folder: "www", Path: []byte("a")}),
		"steer": call(callSteer, steerRequest{Folder: "www", Verb: control.VerbPause}),
		"drop":  call(callDrop, dropRequest{Folder: "www", IDs: []string{"x"}}),
	} {
		if err := try(); farm.KindOf(err) != farm.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if web1.folder().Paused != nil {
		t.Error("an edge paused the folder")
	}
}

// A member that holds a folder hears of its preserved files, and no other does.
func TestOutsiderSeesNoPreservedFiles(t *testing.T) {
	web1, web2 := two(t)
	web1.write("a", "1")
	eventually(t, "web2 has it", web2.has("a", "1"))
	if err := os.Remove(filepath.Join(web1.www, "a")); err != nil {
		t.Fatal(err)
	}
	keeps := func(asker farm.MemberID) int {
		page, err := web2.keptPage(asker, keptRequest{Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		return page.Count + len(page.List)
	}
	eventually(t, "web2 keeps it and tells web1", func() bool { return keeps("web1") == 2 })
	if n := keeps("edge1"); n != 0 {
		t.Errorf("a member that does not hold the folder is told of %d", n)
	}
}
