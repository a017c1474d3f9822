package wire

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
)

var record = flag.Bool("record", false, "write testdata of the current protocol; never of an older one")

// samples are one message of each kind, with every field set: what is recorded.
func samples() map[string]Message {
	p := farm.Position{Actor: farm.Actor{Member: "web2", Epoch: 1_700_000_000_000}, Seq: 300}
	full := valid()
	full.Entry.Owner = farm.Owner{UID: 33, GID: 33, User: "www-data", Group: "www-data"}
	full.Entry.Version.Vector = full.Entry.Version.Vector.With(p)
	full.Entry.Version.Meta = farm.Stamp{Dot: p, Time: 5 << 16}
	full.Entry.Version.Lost = []farm.Position{p}
	link, gone := valid(), valid()
	link.Content, link.Sent = nil, time.Time{}
	link.Entry.Attr = farm.Attr{Type: farm.Symlink, Target: "../\xff"}
	gone.Content = nil
	gone.Entry.Attr = farm.Attr{Type: farm.Absent, Mode: 0o600}
	vector := farm.VectorOf(full.Entry.Version.Dot, p)
	return map[string]Message{
		"hello":   Hello{"web1", 1, 1, "0.1.0", "sha256:ab", time.Unix(1_700_000_000, 1), 42},
		"beat":    Beat{7, 6, 5 * time.Millisecond, time.Unix(1_700_000_000, 1)},
		"changes": Changes{"gallery", []farm.Change{full, link, gone}},
		"want":    Want{Folder: farm.FolderFarm, Known: vector},
		"have":    Have{Folder: "gallery"},
		"state": State{farm.MemberState{Member: "web1", Roles: []farm.Role{farm.RoleNode}, Draining: true, Version: "0.1.0",
			Verdict: farm.Verdict{Revision: farm.Digest{1}, Wanted: farm.Digest{2}, Faults: []string{"bad"}, Sites: map[string]string{"a": "b"}},
			Folders: map[farm.FolderID]farm.FolderState{"gallery": {Actor: p.Actor, Known: vector, Applied: vector, Durable: vector, Entries: 3, Waiting: 4}}}},
	}
}

type panicker struct{}

func (panicker) Fatal(args ...any) { panic(args) }

// later are messages as protocol 2 has them.
func later() map[string]Message {
	state := samples()["state"].(State).MemberState
	state.Number, state.Links = 7, []farm.MemberID{"web2", "web3"}
	rich := valid()
	rich.Content = nil
	rich.Entry.XAttrs, rich.Entry.Mode = someXAttrs(panicker{}), 0o4755
	seeding := state
	seeding.Folders = map[farm.FolderID]farm.FolderState{"gallery": state.Folders["gallery"]}
	f := seeding.Folders["gallery"]
	f.Bytes, f.Seeding = 1<<40, farm.SeedFound
	seeding.Folders["gallery"] = f
	alone := state
	alone.Links = []farm.MemberID{}
	move := farm.Move{From: farm.MustPath("a/old"), To: farm.MustPath("b/new"), First: farm.Position{Actor: f.Actor, Seq: 17}, Count: 5000,
		Time: 5 << 16, Digest: farm.Digest{3}, Sent: time.Unix(1_700_000_000, 1)}
	return map[string]Message{
		"move":  Move{"gallery", move},
		"hello": Hello{"web1", 1, 2, "0.2.0", "sha256:ab", time.Unix(1_700_000_000, 1), 42},
		"state": State{state}, "alone": State{alone}, "heard": Heard{state},
		"xattrs":  Changes{"gallery", []farm.Change{rich}},
		"seeding": State{seeding}, "bare": Want{Folder: "gallery", Known: f.Known, Bare: true},
	}
}

func TestProtocol1IsDecodedForEver(t *testing.T) { decodedForEver(t, "protocol1", samples(), false) }

func TestProtocol2IsDecodedForEver(t *testing.T) { decodedForEver(t, "protocol2", later(), *record) }

func decodedForEver(t *testing.T, dir string, messages map[string]Message, record bool) {
	for name, want := range messages {
		file := filepath.Join("testdata", dir, name+".bin")
		if record {
			f, err := Encode(want)
			if err != nil {
				t.Fatal(err)
			}
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		got, err := fromBytes(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
}
