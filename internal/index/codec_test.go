package index

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tandem/internal/farm"
)

var record = flag.Bool("record", false, "write testdata of the current format where it is missing")

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord(t, genPath(t))
		b := encodeRecord([]byte("kept"), want)
		got, err := decodeRecord(want.Path, b[len("kept"):])
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

func TestMetaRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genMeta(t)
		got, err := decodeMeta(encodeMeta(nil, want))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	})
}

// Every beginning of a value is an error: none is mistaken for a shorter one.
func TestTornRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := encodeRecord(nil, genRecord(t, farm.Path{}))
		n := rapid.IntRange(0, len(b)-1).Draw(t, "length")
		if r, err := decodeRecord(farm.Path{}, b[:n]); err == nil {
			t.Fatalf("%d bytes of %d are %+v", n, len(b), r)
		}
	})
}

// The usual record stays small: a million of them are what the disk and the page cache hold.
func TestRecordSize(t *testing.T) {
	for _, c := range []struct {
		name string
		r    farm.Record
		most int // bytes
	}{
		{"file", photo("wp-content/uploads/2026/11/photo-1.jpg", 250_000), 120},
		{"directory", dir("wp-content/uploads"), 60},
		{"tombstone", deleted("wp-content/uploads/x"), 40},
	} {
		b := encodeRecord(nil, c.r)
		t.Logf("%s: %d bytes", c.name, len(b))
		if len(b) > c.most {
			t.Errorf("%s takes %d bytes, more than %d: % x", c.name, len(b), c.most, b)
		}
	}
}

// TestFormat1 and TestFormat2 read bytes that were once written. Their files are never changed. What the current format's
// hold is also what is written: a change of the form takes the next number, and a directory of its own.
func TestFormat1(t *testing.T) { readsFormat(t, 1, conflict()) }

func TestFormat2(t *testing.T) {
	r := conflict()
	r.Known[0].XAttrs, r.Disk.XAttrs = someXAttrs(t, "one"), someXAttrs(t, "two")
	r.Intent = &farm.Disk{Attr: farm.Attr{Type: farm.File, Mode: 0o4755, XAttrs: someXAttrs(t, "three")}}
	readsFormat(t, 2, r)
}

func readsFormat(t *testing.T, number byte, full farm.Record) {
	records := map[string]farm.Record{
		"file":      photo("a/photo.jpg", 250_000),
		"dir":       dir("a"),
		"tombstone": deleted("a/gone"),
		"symlink":   settled(farm.MustPath("a/link"), farm.Attr{Type: farm.Symlink, Target: "../b", MTime: 5}, 3),
		"empty":     {Path: farm.MustPath("a/empty")},
		"conflict":  full,
	}
	for name, want := range records {
		t.Run(name, func(t *testing.T) {
			b := recorded(t, number, name, encodeRecord(nil, want), want)
			got, err := decodeRecord(want.Path, b)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
	t.Run("meta", func(t *testing.T) {
		v := farm.VectorOf(farm.Position{Actor: web1, Seq: 7}, farm.Position{Actor: farm.Actor{Member: "web2", Epoch: 1}, Seq: 9})
		want := farm.Meta{Actor: web1, Seq: 8, Known: v, Durable: v.With(farm.Position{Actor: web1, Seq: 8}), Clock: 1 << 50, Boot: "boot", Clean: true}
		got, err := decodeMeta(recorded(t, number, "meta", encodeMeta(nil, want), want))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// What a seeding adds to meta was added to format 2 without a new number: what has none of it reads as before.
func TestMetaOfASeedingIsDecodedForEver(t *testing.T) {
	want := farm.Meta{Actor: web1, Seq: 8, Clock: 1 << 50, Boot: "boot", Seed: farm.Seed{Mode: farm.SeedFull, Since: 1_795_000_000_000_000_000,
		Extra: farm.ExtraQuarantine, Equal: farm.Tally{Count: 300, Bytes: 1 << 40}, Different: farm.Tally{Count: 2, Bytes: 5}, Missing: farm.Tally{Count: 1}}}
	got, err := decodeMeta(recorded(t, 2, "seeding", encodeMeta(nil, want), want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// So was what is known of members that are away.
func TestMetaOfMembersAwayIsDecodedForEver(t *testing.T) {
	want := farm.Meta{Actor: web1, Seq: 8, Clock: 1 << 50, Boot: "boot", Clean: true,
		Forgot: farm.VectorOf(farm.Position{Actor: web1, Seq: 7}, farm.Position{Actor: farm.Actor{Member: "web2", Epoch: 1}, Seq: 9}),
		Away:   []farm.Away{{Member: "web2", For: 60 * 24 * time.Hour}, {Member: "web3", For: 10 * time.Minute}}}
	got, err := decodeMeta(recorded(t, 2, "away", encodeMeta(nil, want), want))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// conflict has all that a record can have.
func conflict() farm.Record {
	r := photo("a/conflict", 4711)
	other := r.Known[0]
	other.Version.Dot.Actor = farm.Actor{Member: "web2", Epoch: 1_795_000_000_001}
	other.Version.Vector = r.Known[0].Version.Vector.With(other.Version.Dot)
	other.Version.Meta = other.Version.Stamp()
	other.Version.Lost = []farm.Position{{Actor: web1, Seq: 3}}
	other.Mode = 0o600
	r.Known = append(r.Known, other)
	r.Disk.Context = other.Version.Vector
	r.Disk.Lost = []farm.Position{{Actor: web1, Seq: 2}, {Actor: web1, Seq: 3}}
	r.Disk.Size, r.Disk.Stat.Racy = 12, true
	return r
}

// recorded returns the bytes of testdata/formatN/name.hex. With -record it writes them first if there are none.
func recorded(t *testing.T, number byte, name string, encoded []byte, value any) []byte {
	t.Helper()
	file := filepath.Join("testdata", fmt.Sprintf("format%d", number), name+".hex")
	b, err := os.ReadFile(file)
	if os.IsNotExist(err) && *record {
		text, jsonErr := json.Marshal(value)
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		b = []byte("# " + string(text) + "\n" + hex.EncodeToString(encoded) + "\n")
		err = os.WriteFile(file, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "\n")
	b, err = hex.DecodeString(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	if number == format && !bytes.Equal(b, encoded) {
		t.Errorf("%s is encoded differently now; that takes a new format number", name)
	}
	return b
}

// FuzzDecodeRecord: whatever the bytes, an error or a record that encodes to something equal; memory in proportion.
func FuzzDecodeRecord(f *testing.F) {
	for _, r := range []farm.Record{photo("a", 1), dir("a"), deleted("a"), conflict(), {}} {
		f.Add(encodeRecord(nil, r))
	}
	f.Add([]byte{format, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := farm.MustPath("a")
		r, err := decodeRecord(p, b)
		if err != nil {
			return
		}
		again := encodeRecord(nil, r)
		s, err := decodeRecord(p, again)
		if err != nil || !reflect.DeepEqual(r, s) {
			t.Fatalf("%x: %+v became %x: %+v, %v", b, r, again, s, err)
		}
	})
}

func FuzzDecodeMeta(f *testing.F) {
	f.Add(encodeMeta(nil, farm.Meta{Actor: web1, Seq: 1, Boot: "b"}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeMeta(b)
		if err != nil {
			return
		}
		again := encodeMeta(nil, m)
		if n, err := decodeMeta(again); err != nil || !reflect.DeepEqual(m, n) {
			t.Fatalf("%x: %+v became %x: %+v, %v", b, m, again, n, err)
		}
	})
}

func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := genPath(t), genPath(t)
		if got, want := sign(bytes.Compare(keyOf(p), keyOf(q))), sign(p.Compare(q)); got != want {
			t.Fatalf("keys of %q and %q compare %d, the paths %d", p, q, got, want)
		}
		if back, err := pathOf(keyOf(p)); err != nil || back != p {
			t.Fatalf("%q came back as %q, %v", p, back, err)
		}
		inSpan := func(s span) bool { return bytes.Compare(keyOf(q), s.low) >= 0 && bytes.Compare(keyOf(q), s.high) < 0 }
		if got, want := inSpan(subtree(p)), q == p || q.Under(p); got != want {
			t.Fatalf("%q is in the subtree of %q: %v, want %v", q, p, got, want)
		}
		if got, want := inSpan(below(p)), q.Under(p); got != want {
			t.Fatalf("%q is below %q: %v, want %v", q, p, got, want)
		}
	})
}

func sign(n int) int { return min(1, max(-1, n)) }
