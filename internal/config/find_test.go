package config

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"tandem/internal/farm"
)

func TestFind(t *testing.T) {
	a := revision(t, nil, "web1", 1, map[string][]byte{FarmFile: []byte("a")})
	b := revision(t, []Revision{a}, "web1", 2, map[string][]byte{FarmFile: []byte("b")})
	c := revision(t, []Revision{b}, "web2", 3, map[string][]byte{FarmFile: []byte("c")})
	history := []Revision{c, b, a}
	twin := b
	twin.Digest[31]++
	for ref, want := range map[string]any{
		"head": b, "head~0": b, "head~1": a, "head~2": farm.NotFound, "head~": farm.Invalid, "head~x": farm.Invalid, "head~-1": farm.Invalid,
		a.Digest.String(): a, c.Digest.String()[:4]: c, "abc": farm.Invalid, "": farm.Invalid, "HEAD": farm.Invalid,
		strings.Repeat("0", 64): farm.NotFound,
	} {
		got, err := Find(history, b.Digest, ref)
		switch want := want.(type) {
		case Revision:
			if err != nil || got.Digest != want.Digest {
				t.Errorf("%q is %s, %v", ref, got.Digest.Short(), err)
			}
		case farm.Kind:
			if farm.KindOf(err) != want {
				t.Errorf("%q: %v, want the kind %v", ref, err, want)
			}
		}
	}
	if _, err := Find(append(history, twin), b.Digest, b.Digest.String()[:20]); farm.KindOf(err) != farm.Invalid {
		t.Errorf("an ambiguous beginning: %v", err)
	}
}

func TestBundle(t *testing.T) {
	a := revision(t, nil, "web1", 1, map[string][]byte{FarmFile: []byte("a"), "sites/x.caddy": []byte("-- x --\nno end")})
	b := revision(t, []Revision{a}, "web1", 2, map[string][]byte{FarmFile: []byte("b")})
	in := Bundle{Farm: "our shop", Head: b.Digest, History: []Revision{a, b}}
	data, err := in.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := in.Pack(); !bytes.Equal(data, again) {
		t.Error("packed twice it differs")
	}
	out, err := Unpack(data)
	if err != nil || out.Farm != in.Farm || out.Head != in.Head || len(out.History) != 2 || !bytes.Equal(out.History[0].Encode(), a.Encode()) || out.Revision().Digest != b.Digest {
		t.Errorf("unpacked: %+v, %v", out, err)
	}
	in.Secrets = []byte("under a passphrase")
	if data, err := in.Pack(); err != nil {
		t.Error(err)
	} else if out, err := Unpack(data); err != nil || string(out.Secrets) != string(in.Secrets) {
		t.Errorf("secrets: %q, %v", out.Secrets, err)
	}
	in.Head = farm.Digest{1}
	if data, _ = in.Pack(); data != nil {
		if _, err := Unpack(data); farm.KindOf(err) != farm.Corrupt {
			t.Errorf("without its head: %v", err)
		}
	}
	for name, data := range map[string][]byte{"nothing": nil, "text": []byte("farm.toml"), "cut": data[:len(data)/2]} {
		if _, err := Unpack(data); farm.KindOf(err) != farm.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
	var later Bundle
	if err := later.take("certificates.age", nil); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("what only a later version knows: %v", err)
	}
	if err := later.about("tandem export 2\n"); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("a later format: %v", err)
	}
}

// TestKeepMembers: whoever brings back old settings neither revokes members nor lets in those that were removed.
func TestKeepMembers(t *testing.T) {
	was := farmText(map[int]int{0: 0, 1: 0}, map[int]int{1: 0})
	now := farmText(map[int]int{0: 0, 2: 1}, map[int]int{1: 2})
	got, differ, err := KeepMembers(was, now)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(differ, []farm.MemberID{"web1", "web2"}) {
		t.Errorf("members that differ are %v", differ)
	}
	if want := farmText(map[int]int{0: 0, 2: 1}, map[int]int{1: 0}); string(got) != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if same, differ, err := KeepMembers(was, was); err != nil || len(differ) != 0 || !bytes.Equal(same, was) {
		t.Errorf("nothing to keep: %v, %v\n%s", differ, err, same)
	}
	bare := []byte("[farm]\nname = \"old\"\n\n[folder.x]\npath = \"/x\"\n")
	got, _, err = KeepMembers(bare, now)
	if err != nil {
		t.Fatal(err)
	}
	c, faults := parseFarm(got)
	if faults.Err() != nil || len(c.Members) != 2 || c.Farm.Name != "old" || len(c.Folders) != 1 {
		t.Errorf("members put into a file without any: %v\n%s", faults, got)
	}
	if _, _, err := KeepMembers([]byte("["), now); farm.KindOf(err) != farm.Invalid {
		t.Errorf("no TOML: %v", err)
	}
}

func TestChanges(t *testing.T) {
	got := Changes(map[string][]byte{"a": []byte("1"), "b": []byte("1"), "c": {}}, map[string][]byte{"b": []byte("2"), "c": {}, "d": {}})
	if want := []FileChange{{"a", "removed"}, {"b", "changed"}, {"d", "added"}}; !slices.Equal(got, want) {
		t.Errorf("changes are %v", got)
	}
}
