package index

import (
	"fmt"
	"time"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

// Generators of values as they occur, and of some that only a bug would make.

func genPath(t *rapid.T) farm.Path {
	names := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{"a", "b", "a b", "ab", "a-", "a\x01", "\xff\xff", "ü", "A"}),
		rapid.StringMatching(`[a-z]{1,8}`),
	), 0, 4).Draw(t, "names")
	var p farm.Path
	for _, n := range names {
		var err error
		if p, err = p.Join(n); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

var genPosition = rapid.Custom(func(t *rapid.T) farm.Position {
	return farm.Position{
		Actor: farm.Actor{
			Member: farm.MemberID(rapid.SampledFrom([]string{"web1", "web2", "edge1", ""}).Draw(t, "member")),
			Epoch:  farm.Epoch(rapid.SampledFrom([]uint64{0, 1, 1_795_000_000_000, 1 << 63}).Draw(t, "epoch")),
		},
		Seq: farm.Seq(rapid.Uint64().Draw(t, "seq")),
	}
})

func genVector(t *rapid.T) farm.Vector {
	return farm.VectorOf(rapid.SliceOfN(genPosition, 0, 8).Draw(t, "positions")...)
}

func genStamp(t *rapid.T) farm.Stamp {
	return farm.Stamp{Dot: genPosition.Draw(t, "dot"), Time: farm.HLC(rapid.Uint64().Draw(t, "time"))}
}

func genLost(t *rapid.T) []farm.Position {
	if ps := rapid.SliceOfN(genPosition, 0, 3).Draw(t, "lost"); len(ps) > 0 {
		return ps
	}
	return nil
}

func genAttr(t *rapid.T) farm.Attr {
	a := farm.Attr{
		Type: farm.Type(rapid.IntRange(0, 3).Draw(t, "type")),
		Mode: rapid.Uint32Max(0o7777).Draw(t, "mode"),
		Owner: farm.Owner{
			UID: rapid.Uint32().Draw(t, "uid"), GID: rapid.Uint32().Draw(t, "gid"),
			User: rapid.StringN(0, 8, 32).Draw(t, "user"), Group: rapid.StringN(0, 8, 32).Draw(t, "group"),
		},
		MTime:  rapid.Int64().Draw(t, "mtime"),
		Size:   rapid.Int64().Draw(t, "size"),
		Target: rapid.StringN(0, 10, 40).Draw(t, "target"),
	}
	if rapid.Bool().Draw(t, "digest") {
		a.Digest[rapid.IntRange(0, 31).Draw(t, "at")] = 1
	}
	if rapid.Bool().Draw(t, "xattrs") {
		a.XAttrs = someXAttrs(t, rapid.StringN(0, 10, 40).Draw(t, "value"))
	}
	return a
}

func genVersion(t *rapid.T) farm.Version {
	v := farm.Version{Dot: genPosition.Draw(t, "dot"), Vector: genVector(t), Time: farm.HLC(rapid.Uint64().Draw(t, "time"))}
	v.Content, v.Meta, v.Lost = v.Stamp(), v.Stamp(), genLost(t)
	if rapid.Bool().Draw(t, "older content") {
		v.Content = genStamp(t)
	}
	if rapid.Bool().Draw(t, "older meta") {
		v.Meta = genStamp(t)
	}
	return v
}

func genRecord(t *rapid.T, p farm.Path) farm.Record {
	r := farm.Record{Path: p}
	for range rapid.IntRange(0, 3).Draw(t, "known") {
		r.Known = append(r.Known, farm.Entry{Path: p, Attr: genAttr(t), Version: genVersion(t)})
	}
	r.Disk = genDisk(t, r.Known)
	if rapid.Bool().Draw(t, "intent") {
		d := genDisk(t, r.Known)
		r.Intent = &d
	}
	return r
}

func genDisk(t *rapid.T, known []farm.Entry) farm.Disk {
	d := farm.Disk{Attr: genAttr(t), Content: genStamp(t), Meta: genStamp(t), Context: genVector(t), Lost: genLost(t)}
	if len(known) > 0 && rapid.Bool().Draw(t, "settled") {
		k := known[0]
		d.Attr, d.Content, d.Meta, d.Context = k.Attr, k.Version.Content, k.Version.Meta, k.Version.Vector
	}
	if rapid.Bool().Draw(t, "stat") {
		d.Stat = farm.Fingerprint{
			Dev: rapid.Uint64().Draw(t, "dev"), Ino: rapid.Uint64().Draw(t, "ino"), Mode: rapid.Uint32().Draw(t, "st_mode"),
			Size: d.Size, MTime: d.MTime, CTime: rapid.Int64().Draw(t, "ctime"),
			UID: d.Owner.UID, GID: d.Owner.GID, Racy: rapid.Bool().Draw(t, "racy"),
		}
		if rapid.Bool().Draw(t, "chmod -R") {
			d.Stat.Size, d.Stat.MTime = rapid.Int64().Draw(t, "st_size"), rapid.Int64().Draw(t, "st_mtime")
			d.Stat.UID, d.Stat.GID = rapid.Uint32().Draw(t, "st_uid"), rapid.Uint32().Draw(t, "st_gid")
		}
	}
	return d
}

func genMeta(t *rapid.T) farm.Meta {
	return farm.Meta{
		Actor: genPosition.Draw(t, "actor").Actor, Seq: farm.Seq(rapid.Uint64().Draw(t, "seq")),
		Known: genVector(t), Durable: genVector(t), Clock: farm.HLC(rapid.Uint64().Draw(t, "clock")),
		Boot: rapid.String().Draw(t, "boot"), Clean: rapid.Bool().Draw(t, "clean"),
		Seed: rapid.SampledFrom([]farm.Seed{{}, {Mode: farm.SeedFull, Since: -1, Extra: farm.ExtraPush, Equal: farm.Tally{Count: 1, Bytes: 1 << 40}},
			{Different: farm.Tally{Count: 300}, Missing: farm.Tally{Bytes: 7}}}).Draw(t, "seed"),
		Forgot: genVector(t),
		Away:   rapid.SampledFrom([][]farm.Away{nil, {{Member: "web2", For: time.Hour}, {Member: "web3", For: 1}}}).Draw(t, "away"),
	}
}

var web1 = farm.Actor{Member: "web1", Epoch: 1_795_000_000_000}

// settled is the record that an index mostly holds: one version, by web1, and it is on disk.
func settled(p farm.Path, a farm.Attr, seq int) farm.Record {
	v := farm.Version{
		Dot:  farm.Position{Actor: web1, Seq: farm.Seq(seq)},
		Time: farm.HLC(uint64(time.UnixMilli(1_795_000_100_000+int64(seq)).UnixMilli()) << 16),
	}
	v.Vector = farm.VectorOf(v.Dot)
	v.Content, v.Meta = v.Stamp(), v.Stamp()
	return farm.Record{
		Path:  p,
		Known: []farm.Entry{{Path: p, Attr: a, Version: v}},
		Disk: farm.Disk{Attr: a, Content: v.Content, Meta: v.Meta, Context: v.Vector, Stat: farm.Fingerprint{
			Dev: 64769, Ino: 7_000_000 + uint64(seq), Mode: 0o100000 | a.Mode, Size: a.Size,
			MTime: a.MTime, CTime: a.MTime + 52_000, UID: a.Owner.UID, GID: a.Owner.GID,
		}},
	}
}

// photo is a settled file of i bytes whose content is told by i.
func photo(path string, i int) farm.Record {
	a := farm.Attr{
		Type: farm.File, Mode: 0o644, Size: int64(i), MTime: 1_795_000_000_123_456_789 + int64(i),
		Owner: farm.Owner{UID: 33, GID: 33, User: "www-data", Group: "www-data"},
	}
	copy(a.Digest[:], fmt.Sprintf("%032d", i))
	return settled(farm.MustPath(path), a, i)
}

func dir(path string) farm.Record {
	return settled(farm.MustPath(path), farm.Attr{Type: farm.Dir, Mode: 0o755}, 1)
}

// deleted is a tombstone: its only version is an absence, and nothing is on disk.
func deleted(path string) farm.Record {
	r := settled(farm.MustPath(path), farm.Attr{Mode: 0o644}, 2)
	r.Disk.Stat = farm.Fingerprint{}
	return r
}

func someXAttrs(t interface{ Fatal(...any) }, value string) farm.XAttrs {
	x, err := farm.MakeXAttrs([]farm.XAttr{{Name: "user.note", Value: value}, {Name: farm.XAttrACL, Value: "g=5,u:1000:alice=6"}})
	if err != nil {
		t.Fatal(err)
	}
	return x
}
