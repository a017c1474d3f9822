package member

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// spokes lets the members hold a session with the hub alone.
func (s *server) spokes(names ...string) {
	s.t.Helper()
	s.edit(config.FarmFile, func(src string) string {
		for _, n := range names {
			src = strings.Replace(src, "[member."+n+"]\n", "[member."+n+"]\nlinks = [\""+string(s.self)+"\"]\n", 1)
		}
		return src
	})
}

// Two spokes that have no session with each other replicate through their hub, and know of each other what it passes on.
func TestSpokes(t *testing.T) {
	hub := first(t, "hub")
	eventually(t, "the hub's folder is live", hub.inState(control.FolderLive))
	a, b := hub.join("a"), hub.join("b")
	eventually(t, "a is linked with b", func() bool { return a.links.up("b") && b.links.up("a") })
	eventually(t, "live", func() bool { return a.inState(control.FolderLive)() && b.inState(control.FolderLive)() })
	hub.spokes("a", "b")
	eventually(t, "a and b are apart", func() bool { return !a.links.up("b") && !b.links.up("a") })
	a.write("small", "through the hub")
	a.write("large", strings.Repeat("x", 2*farm.InlineBytes))
	eventually(t, "b has both", func() bool {
		return b.has("small", "through the hub")() && b.has("large", strings.Repeat("x", 2*farm.InlineBytes))()
	})
	b.write("back", "the other way")
	eventually(t, "a has it", a.has("back", "the other way"))
	eventually(t, "all say so", func() bool { return a.folder().InSync && b.folder().InSync && hub.folder().InSync })
	st, err := a.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range st.Members {
		want := map[farm.MemberID]control.LinkState{"a": control.LinkSelf, "b": control.LinkApart, "hub": control.LinkUp}[m.Name]
		if m.Link != want || m.Link == control.LinkUp && m.Protocol != 2 {
			t.Errorf("a sees %s as %s, protocol %d", m.Name, m.Link, m.Protocol)
		}
	}
	if h := control.HealthOf(st); !h.OK {
		t.Errorf("a is not well: %v", h.Reasons)
	}
	hub.edit(config.FarmFile, func(src string) string { return strings.ReplaceAll(src, "links = [\"hub\"]\n", "") })
	eventually(t, "linked again", func() bool { return a.links.up("b") && b.links.up("a") })
}

var members = flag.Int("members", 6, "members in TestManyMembers; 20 take a minute")

// Many members, in this process, each linked with all.
func TestManyMembers(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes some seconds")
	}
	all := []*server{first(t, "web1")}
	for i := 2; i <= *members; i++ {
		all = append(all, all[0].join(farm.MemberID(fmt.Sprintf("web%d", i))))
	}
	everywhere := func(what string, cond func(*server) bool) {
		t.Helper()
		eventually(t, what, func() bool {
			for _, s := range all {
				if !cond(s) {
					return false
				}
			}
			return true
		})
	}
	everywhere("all are linked with all", func(s *server) bool { return len(s.links.live()) == len(all)-1 })
	everywhere("all are live", func(s *server) bool { return s.folder().State == control.FolderLive })
	for _, s := range []*server{all[0], all[len(all)/2], all[len(all)-1]} {
		s.write("by-"+string(s.self), string(s.self))
		everywhere("the file of "+string(s.self), func(o *server) bool { return o.has("by-"+string(s.self), string(s.self))() })
	}
	everywhere("in sync", func(s *server) bool { return s.folder().InSync })
}

// A paused member gets no changes and gives none, says so, and catches up when it is resumed; the configuration still
// reaches it.
func TestPauseMember(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	web2 := web1.join("web2")
	eventually(t, "web2's folder is live", web2.inState(control.FolderLive))
	web1.write("before", "1")
	eventually(t, "linked", web2.has("before", "1"))
	if err := web1.PauseMember(t.Context(), "web2", true); err != nil {
		t.Fatal(err)
	}
	paused := func(on bool) func() bool {
		return func() bool {
			return web1.config().Paused("web1", "web2") == on && web2.config().Paused("web1", "web2") == on
		}
	}
	eventually(t, "both know of the pause", paused(true))
	web1.write("here", "2")
	web2.write("there", "3")
	pos1, err := web1.folders.get("www").runner.Barrier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "web2 hears that there is more", func() bool {
		return web2.links.get("web1").state.Folders["www"].Applied.Covers(pos1)
	})
	eventually(t, "both say that it is paused", func() bool {
		one, other := web1.folder(), web2.folder()
		return !one.InSync && one.Reason == "web2 is paused" && !other.InSync && other.Reason == "this member is paused"
	})
	if web2.has("here", "2")() || web1.has("there", "3")() {
		t.Error("a change came through")
	}
	web2.end() // the pause outlives a restart
	web2.start()
	eventually(t, "linked again", func() bool { return web1.links.up("web2") && web2.links.up("web1") })
	if web2.has("here", "2")() || web1.has("there", "3")() {
		t.Error("a change came through with the restart")
	}
	if err := web1.PauseMember(t.Context(), "web2", false); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both know that it is over", paused(false))
	eventually(t, "both have caught up", func() bool { return web2.has("here", "2")() && web1.has("there", "3")() })
	eventually(t, "in sync", func() bool { return web1.folder().InSync && web2.folder().InSync })
}

// A limit is set and lifted without a restart, and shows in status.
func TestBandwidth(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	web2 := web1.join("web2")
	eventually(t, "web2's folder is live", web2.inState(control.FolderLive))
	limit := func(s *server, other farm.MemberID, want int64) func() bool {
		return func() bool {
			st, err := s.Status(t.Context())
			if err != nil {
				return false
			}
			for _, m := range st.Members {
				if m.Name == other {
					return m.Link == control.LinkUp && m.Limit == want
				}
			}
			return false
		}
	}
	web1.edit(config.FarmFile, func(src string) string {
		return strings.Replace(src, "[member.web2]\n", "[member.web2]\nbandwidth = \"16 Mbit/s\"\nbandwidth_at = \"daily 00:00-24:00 8 Mbit/s\"\n", 1)
	})
	eventually(t, "the limit counts", func() bool { return limit(web1, "web2", 1e6)() && limit(web2, "web1", 1e6)() })
	web1.write("small", "goes at once")
	eventually(t, "a small file", web2.has("small", "goes at once"))
	web1.edit(config.FarmFile, func(src string) string {
		return strings.Replace(src, "bandwidth_at = \"daily 00:00-24:00 8 Mbit/s\"\n", "", 1)
	})
	eventually(t, "another limit counts", limit(web1, "web2", 2e6))
}
