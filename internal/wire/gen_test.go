package wire

import (
	"maps"
	"time"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

// Generators of values that package farm allows.

var (
	members = rapid.SampledFrom([]farm.MemberID{"web1", "web2", "edge1", "a"})
	folders = rapid.SampledFrom([]farm.FolderID{"gallery", farm.FolderFarm, farm.FolderCerts})
	actors  = rapid.Custom(func(t *rapid.T) farm.Actor {
		return farm.Actor{Member: members.Draw(t, "m"), Epoch: farm.Epoch(rapid.Uint64().Draw(t, "e"))}
	})
	position = rapid.Custom(func(t *rapid.T) farm.Position {
		return farm.Position{Actor: actors.Draw(t, "actor"), Seq: farm.Seq(rapid.Uint64Min(1).Draw(t, "seq"))}
	})
	vectors = rapid.Custom(func(t *rapid.T) farm.Vector { return farm.VectorOf(rapid.SliceOfN(position, 0, 12).Draw(t, "ps")...) })
	moments = rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(0, rapid.Int64Min(1).Draw(t, "ns"))
	})
	digests = rapid.Custom(func(t *rapid.T) (d farm.Digest) {
		copy(d[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
		d[0] |= 1 // not zero
		return d
	})
	paths = rapid.Custom(func(t *rapid.T) farm.Path {
		p, err := farm.ParsePath(rapid.SampledFrom([]string{".", "a", "img/7.jpg", "a b/\xff\xfe", ".x/..y"}).Draw(t, "path"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	})
	changesList = rapid.Custom(func(t *rapid.T) farm.Change {
		c := farm.Change{Entry: farm.Entry{Path: paths.Draw(t, "path"), Attr: attrs.Draw(t, "attr"), Version: versions.Draw(t, "version")},
			Sent: moments.Draw(t, "sent")}
		if c.Entry.Type == farm.File && rapid.Bool().Draw(t, "inline") {
			c.Content = rapid.SliceOfN(rapid.Byte(), 0, 64).Draw(t, "content")
			c.Entry.Size = int64(len(c.Content))
		}
		return c
	})
	attrs = rapid.Custom(func(t *rapid.T) farm.Attr {
		text := rapid.SampledFrom([]string{"", "www-data", "\xff"})
		a := farm.Attr{Type: farm.Type(rapid.IntRange(0, 3).Draw(t, "type")), MTime: rapid.Int64().Draw(t, "mtime"),
			Mode: rapid.Uint32Max(0o777).Draw(t, "mode"),
			Owner: farm.Owner{UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid"), User: text.Draw(t, "user"),
				Group: text.Draw(t, "group")}}
		if rapid.Bool().Draw(t, "xattrs") {
			a.XAttrs = someXAttrs(t)
		}
		switch a.Type {
		case farm.File:
			a.Size, a.Digest = rapid.Int64Min(0).Draw(t, "size"), digests.Draw(t, "digest")
		case farm.Symlink:
			a.Target = "../\xff/x"
		}
		return a
	})
	versions = rapid.Custom(func(t *rapid.T) farm.Version {
		v := farm.Version{Dot: position.Draw(t, "dot"), Time: farm.HLC(rapid.Uint64().Draw(t, "hlc"))}
		v.Vector = vectors.Draw(t, "vector").With(v.Dot)
		stamp := func() farm.Stamp {
			if rapid.Bool().Draw(t, "own") {
				return v.Stamp()
			}
			return farm.Stamp{Dot: position.Draw(t, "dot"), Time: farm.HLC(rapid.Uint64().Draw(t, "hlc"))}
		}
		v.Content, v.Meta = stamp(), stamp()
		if rapid.Bool().Draw(t, "lost") {
			v.Lost = rapid.SliceOfN(position, 1, 5).Draw(t, "lost")
		}
		return v
	})
	states = rapid.Custom(func(t *rapid.T) farm.MemberState {
		s := farm.MemberState{Member: members.Draw(t, "m"), Roles: []farm.Role{farm.RoleNode, farm.RoleEdge},
			Draining: rapid.Bool().Draw(t, "draining"), Version: "1.2.3",
			Verdict: farm.Verdict{Revision: digests.Draw(t, "revision"), Faults: []string{"site \xff"}, Sites: map[string]string{"a.caddy": "no"},
				Since: moments.Draw(t, "since"), Edits: rapid.IntRange(0, 1000).Draw(t, "edits")}}
		folder := rapid.Custom(func(t *rapid.T) farm.FolderState {
			return farm.FolderState{Actor: actors.Draw(t, "actor"), Known: vectors.Draw(t, "known"), Applied: vectors.Draw(t, "applied"),
				Durable: vectors.Draw(t, "durable"), Entries: rapid.Int64().Draw(t, "n"), Waiting: rapid.Int64().Draw(t, "w"),
				Bytes: rapid.Int64().Draw(t, "b"), Seeding: rapid.SampledFrom([]farm.SeedMode{farm.NotSeeding, farm.SeedFull, farm.SeedFound}).Draw(t, "seeding"),
				Forgot: vectors.Draw(t, "forgot"), Refused: rapid.SampledFrom([]string{"", "nginx -t: \xff"}).Draw(t, "refused"), Conflicts: rapid.Ptr(rapid.Int64(), true).Draw(t, "conflicts")}
		})
		if m := rapid.MapOfN(folders, folder, 0, 3).Draw(t, "folders"); len(m) > 0 {
			s.Folders = maps.Clone(m)
		}
		return s
	})
	messages = rapid.Custom(func(t *rapid.T) Message {
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			return Hello{Name: members.Draw(t, "name"), ProtocolMin: 1, ProtocolMax: rapid.Uint32Min(1).Draw(t, "max"), Version: "v\xff",
				Farm: "sha256:00", Now: moments.Draw(t, "now"), Boot: rapid.Uint64().Draw(t, "boot")}
		case 1:
			return Beat{Number: rapid.Uint64().Draw(t, "n"), Echo: rapid.Uint64().Draw(t, "echo"),
				Held: time.Duration(rapid.Int64().Draw(t, "held")), Now: moments.Draw(t, "now")}
		case 2:
			return State{states.Draw(t, "state")}
		case 3:
			return Changes{Folder: folders.Draw(t, "folder"), List: rapid.SliceOfN(changesList, 0, 6).Draw(t, "list")}
		case 5:
			return Move{folders.Draw(t, "folder"), farm.Move{From: farm.MustPath("a/b"), To: farm.MustPath("c\xff"),
				First: farm.Position{Actor: actors.Draw(t, "actor"), Seq: farm.Seq(rapid.Uint64Range(1, 1<<60).Draw(t, "first"))},
				Count: rapid.IntRange(1, MaxMoved).Draw(t, "count"), Time: farm.HLC(rapid.Uint64().Draw(t, "hlc")), Digest: digests.Draw(t, "digest"), Sent: moments.Draw(t, "sent")}}
		case 4:
			return Want{folders.Draw(t, "folder"), vectors.Draw(t, "known"), rapid.Bool().Draw(t, "bare")}
		default:
			return Have{folders.Draw(t, "folder"), vectors.Draw(t, "known")}
		}
	})
)

func someXAttrs(t interface{ Fatal(...any) }) farm.XAttrs {
	x, err := farm.MakeXAttrs([]farm.XAttr{{Name: "user.note", Value: "\xff"}, {Name: farm.XAttrACL, Value: "g=5,u:1000:alice=6"}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}
