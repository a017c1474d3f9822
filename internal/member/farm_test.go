package member

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

// A member joins, gets what is there, and both have what either writes and configures; then it is removed.
func TestFarmOfTwo(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	web1.write("before", "seeded")
	web2 := web1.join("web2")
	eventually(t, "the seed", web2.has("before", "seeded"))
	eventually(t, "web2's folder is live", web2.inState(control.FolderLive))
	web2.write("there", "and back")
	eventually(t, "web2's file", web1.has("there", "and back"))
	eventually(t, "in sync", func() bool { return web1.folder().InSync && web2.folder().InSync })

	web2.edit(config.FarmFile, func(src string) string { return strings.Replace(src, `"test"`, `"renamed"`, 1) })
	eventually(t, "the edit is live on web1", func() bool { return web1.config().Farm.Name == "renamed" })
	eventually(t, "the edit is in web1's file", contains(filepath.Join(web1.paths.Config, config.FarmFile), `"renamed"`))

	if err := web1.RemoveMember(t.Context(), "web2"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the session with a removed member ends", func() bool { return !web1.links.up("web2") })
	if _, ok := web1.key("web2"); ok {
		t.Error("a removed member is still trusted")
	}
}

// A root that vanishes halts the folder here and deletes nothing elsewhere; when it is back, the folder goes on.
func TestRootVanishes(t *testing.T) {
	web1 := first(t, "web1")
	eventually(t, "web1's folder is live", web1.inState(control.FolderLive))
	web1.write("kept", "1")
	web2 := web1.join("web2")
	eventually(t, "the seed", web2.has("kept", "1"))
	eventually(t, "web2's folder is live", web2.inState(control.FolderLive))

	aside := web2.www + ".aside"
	rename := func(from, to string) {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	rename(web2.www, aside)
	eventually(t, "halted", web2.inState(control.FolderHalted))
	if why := web2.unfit(); why == "" {
		t.Error("a node with a halted folder wants visitors")
	}
	web1.write("meanwhile", "2")
	rename(aside, web2.www)
	eventually(t, "it goes on", web2.has("meanwhile", "2"))

	// A restart with an empty directory in its place, as of a disk that is not mounted, is no deletion either.
	web2.end()
	rename(web2.www, aside)
	if err := os.Mkdir(web2.www, 0o755); err != nil {
		t.Fatal(err)
	}
	web2.start()
	eventually(t, "halted from the start", web2.inState(control.FolderHalted))
	if !web1.has("kept", "1")() {
		t.Error("what is missing on web2 was deleted on web1")
	}
	if err := os.Remove(web2.www); err != nil {
		t.Fatal(err)
	}
	rename(aside, web2.www)
	eventually(t, "it goes on again", web2.inState(control.FolderLive))
	web1.write("again", "3")
	eventually(t, "what comes after", web2.has("again", "3"))
}

func TestBacklog(t *testing.T) {
	at := func(member farm.MemberID, seq farm.Seq) farm.Position {
		return farm.Position{Actor: farm.Actor{Member: member, Epoch: 1}, Seq: seq}
	}
	for _, c := range []struct {
		name         string
		ours, theirs farm.Vector
		want         uint64
	}{
		{"nothing", farm.Vector{}, farm.Vector{}, 0},
		{"all is there", farm.VectorOf(at("a", 3)), farm.VectorOf(at("a", 3)), 0},
		{"they have more", farm.VectorOf(at("a", 3)), farm.VectorOf(at("a", 5), at("b", 2)), 0},
		{"behind in two feeds", farm.VectorOf(at("a", 3), at("b", 4)), farm.VectorOf(at("a", 1)), 6},
	} {
		if got := backlog(c.ours, c.theirs); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
