package member

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// A member that was away for longer than evict_after is said to be evicted, and the others forget deletions. When it comes
// back it is seeded anew: what was deleted is an extra file there, what it wrote is preserved.
func TestEvictedMemberComesBack(t *testing.T) {
	web1 := first(t, "web1")
	web1.edit(config.FarmFile, func(src string) string {
		return strings.Replace(src, "[farm]\n", "[farm]\nevict_after = \"300ms\"\n", 1)
	})
	eventually(t, "the limit is live", func() bool { return web1.config().Farm.EvictAfter == 300*time.Millisecond })
	web1.end()
	web1.sweep = 50 * time.Millisecond
	web1.start()
	web2 := web1.join("web2")
	web1.write("gone", "1")
	web1.write("kept", "1")
	eventually(t, "web2 has both", func() bool { return web2.has("gone", "1")() && web2.has("kept", "1")() && web1.folder().InSync })
	web2.end()
	web2.write("kept", "2")

	eventually(t, "web2 is evicted", func() bool { f := web1.folder(); return f.InSync && f.Peers[0].Evicted && web1.evicts("web2") })
	if err := os.Remove(filepath.Join(web1.www, "gone")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion is forgotten", func() bool {
		s := web1.own.get().Folders["www"]
		return s.Entries == 1 && s.Forgot.Len() > 0
	})

	web2.start()
	eventually(t, "web2 is seeded anew", func() bool { s := web2.seed(); return !s.Seeding && s.Different.Paths == 1 && s.Extra.Paths == 1 })
	eventually(t, "in sync, and evicted no more", func() bool { return web2.has("kept", "1")() && web1.folder().InSync && !web1.evicts("web2") })
	if !web1.gone("gone")() {
		t.Error("what was deleted is back")
	}
	if kept, err := web2.folders.get("www").keeper.List(); err != nil || len(kept) != 1 || kept[0].Path.String() != "kept" {
		t.Errorf("preserved is %+v, %v", kept, err)
	}
	for who, on := range map[*server]farm.Severity{web1: farm.Info, web2: farm.Warning} {
		page, err := who.journal.Page(control.Query{ID: string(farm.EventFolderEvicted), Folder: "www"})
		if err != nil || !slices.ContainsFunc(page.Events, func(e control.Recorded) bool { return e.Subject == "web2" && e.Severity == on }) {
			t.Errorf("%s has no event of severity %v: %+v, %v", who.self, on, page.Events, err)
		}
	}
	web2.write("after", "1")
	eventually(t, "what web2 writes now counts", web1.has("after", "1"))
}

// evicts tells whether status says that the member is evicted.
func (s *server) evicts(id farm.MemberID) bool {
	st, err := s.Status(s.t.Context())
	return err == nil && slices.ContainsFunc(st.Members, func(m control.Member) bool { return m.Name == id && m.Evicted })
}
