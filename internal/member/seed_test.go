package member

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// preseeded makes a member by a token of s whose folder holds files from before.
func (s *server) preseeded(name farm.MemberID, fill func(*server)) *server {
	s.t.Helper()
	inv, err := s.Invite(s.t.Context(), control.InviteRequest{Roles: []farm.Role{farm.RoleNode}, TTLSec: 60})
	if err != nil {
		s.t.Fatal(err)
	}
	n, at := newServer(s.t), freeAddress(s.t)
	if err := os.MkdirAll(n.www, 0o755); err != nil {
		s.t.Fatal(err)
	}
	fill(n)
	if err := Join(s.t.Context(), inv.Token, JoinOptions{
		Paths: n.paths, Name: name, Address: at, Listen: at, Addresses: []string{"127.0.0.1"},
	}); err != nil {
		s.t.Fatal(err)
	}
	n.place()
	n.start()
	return n
}

func (s *server) seed() control.SeedSummary {
	s.t.Helper()
	sum, err := s.Seed(s.t.Context(), "www")
	if err != nil {
		return control.SeedSummary{Seeding: true}
	}
	return sum
}

// copyTo copies s's folder with its times, as rsync would before a join.
func (s *server) copyTo(n *server) {
	s.t.Helper()
	list, err := os.ReadDir(s.www)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		b, err := os.ReadFile(filepath.Join(s.www, e.Name()))
		if err != nil {
			s.t.Fatal(err)
		}
		n.write(e.Name(), string(b))
		if err := os.Chtimes(filepath.Join(n.www, e.Name()), info.ModTime(), info.ModTime()); err != nil {
			s.t.Fatal(err)
		}
	}
}

// sent is the number of bytes that s has sent to the member.
func (s *server) sent(to farm.MemberID) uint64 {
	for _, st := range s.hub.Stats() {
		if st.Member == to {
			return st.SentBytes
		}
	}
	return 0
}

// random is content that no compression makes small.
func random(seed uint64, n int) string {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = r.Read(b) // never fails
	return string(b)
}

// A node whose folder was copied before it joins gets no content: small files do not come along, large ones are not
// fetched.
func TestEqualFilesAreNotTransferred(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	for i, name := range []string{"a", "b", "c", "d"} {
		web1.write(name, random(uint64(i), 50_000))
	}
	web1.write("large", random(9, 2<<20))
	eventually(t, "all is known", func() bool { return web1.folder().Entries == 5 })
	web2 := web1.preseeded("web2", web1.copyTo)
	eventually(t, "web2 is seeded", func() bool { s := web2.seed(); return !s.Seeding && s.Equal.Paths == 5 })
	eventually(t, "in sync", func() bool { return web2.folder().InSync })
	if s := web2.seed(); s.Missing.Paths+s.Different.Paths+s.Extra.Paths > 0 || s.Equal.Bytes != 4*50_000+2<<20 {
		t.Errorf("the summary is %+v", s)
	}
	if s := web2.seed(); s.Since == nil || time.Since(*s.Since) > time.Hour {
		t.Errorf("it was seeded since %v", s.Since)
	}
	if s := web1.seed(); s.Since != nil || s.Seeding {
		t.Errorf("the first member was seeded: %+v", s)
	}
	if n := web1.sent("web2"); n > 40_000 {
		t.Errorf("%d bytes were sent to a member that had all content", n)
	}
}

// What differs is replaced and preserved, what is missing comes, what only the new member has waits until it is pushed.
func TestPreseededJoin(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	web1.write("same", "1")
	web1.write("differs", "new")
	web1.write("missing", "1")
	eventually(t, "all is known", func() bool { return web1.folder().Entries == 3 })
	web2 := web1.preseeded("web2", func(n *server) {
		web1.copyTo(n)
		if err := os.Remove(filepath.Join(n.www, "missing")); err != nil {
			t.Fatal(err)
		}
		n.write("differs", "old")
		n.write("extra", "only here")
	})
	eventually(t, "web2 is seeded", func() bool { s := web2.seed(); return !s.Seeding && s.Extra.Paths == 1 })
	eventually(t, "the farm's content", web2.has("differs", "new"))
	eventually(t, "what was missing", web2.has("missing", "1"))
	s := web2.seed()
	if s.Equal.Paths != 1 || s.Different.Paths != 1 || s.Missing.Paths != 1 || s.Choice != "wait" || len(s.Examples) != 1 || s.Examples[0].Path != "extra" {
		t.Errorf("the summary is %+v", s)
	}
	if f := web2.folder(); f.Extra == nil || f.Extra.Paths != 1 {
		t.Errorf("status does not show what waits: %+v", f)
	}
	kept, err := web2.folders.get("www").keeper.List()
	if err != nil || len(kept) != 1 || kept[0].Path.String() != "differs" {
		t.Errorf("preserved is %+v, %v", kept, err)
	}
	if _, err := os.Lstat(filepath.Join(web1.www, "extra")); err == nil || !web2.has("extra", "only here")() {
		t.Error("what only web2 has was replicated, or is gone, before anybody chose")
	}

	web2.end()
	web2.start()
	eventually(t, "it waits after a restart", func() bool { s := web2.seed(); return !s.Seeding && s.Extra.Paths == 1 })
	if err := web2.ChooseExtra(context.Background(), "www", farm.ExtraPush); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is pushed", web1.has("extra", "only here"))
	eventually(t, "nothing waits", func() bool { return web2.seed().Extra.Paths == 0 && web2.folder().Extra == nil })
}
