package config

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

func revision(t testing.TB, parents []Revision, author farm.MemberID, second int64, files map[string][]byte) Revision {
	t.Helper()
	var digests []farm.Digest
	for _, p := range parents {
		digests = append(digests, p.Digest)
	}
	r, err := NewRevision(digests, author, farm.HLC(uint64(second*1000)<<16), "test", files)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

var awkward = []string{
	"", "\n", "x", "x\n", "a\r\nb\r\n", "a\r\nb", "-- farm.toml --\n", "-- x --", "\\-- x --\n", "\\", "\\\n", "\\ no newline at end of file\n",
	"\\ no newline at end of file", "\n\n", "-- ", " -- x --\n", "\x00\xff", "x\n-- sites/b.caddy --\r\ny", "\\\\ no newline at end of file\n",
}

func TestRevisionRoundTrip(t *testing.T) {
	for _, text := range awkward {
		r := revision(t, nil, "web1", 1, map[string][]byte{"farm.toml": []byte(text), "sites/a.caddy": []byte(text), "sites/b.caddy": []byte("b\n")})
		got, err := DecodeRevision(r.Encode())
		if err != nil {
			t.Errorf("%q: %v\n%s", text, err, r.Encode())
			continue
		}
		if string(got.Files["farm.toml"]) != text || string(got.Files["sites/a.caddy"]) != text || string(got.Files["sites/b.caddy"]) != "b\n" {
			t.Errorf("%q came back as %q", text, got.Files)
		}
		if got.Digest != r.Digest || !bytes.Equal(got.Encode(), r.Encode()) {
			t.Errorf("%q: digest or encoding changed", text)
		}
	}
}

// TestRevisionFormat pins the format: revisions of today must be read for ever.
func TestRevisionFormat(t *testing.T) {
	const old = "tandem revision 1\n" +
		"parent 0101010101010101010101010101010101010101010101010101010101010101\n" +
		"author web1\n" +
		"time 2026-11-24T18:01:44.123Z 5\n" +
		"message add member web2\n" +
		"-- farm.toml --\n" +
		"[farm]\n" +
		"\\-- x\n" +
		"\\ no newline at end of file\n" +
		"-- sites/a.caddy --\n"
	r, err := DecodeRevision([]byte(old))
	if err != nil {
		t.Fatal(err)
	}
	if want := "d86ea686"; !strings.HasPrefix(r.Digest.String(), want) {
		t.Errorf("digest is %s, want %s...", r.Digest, want)
	}
	if got := string(r.Files["farm.toml"]); got != "[farm]\n-- x" {
		t.Errorf("farm.toml is %q", got)
	}
	if want := time.Date(2026, 11, 24, 18, 1, 44, 123e6, time.UTC); !r.Time.Wall().Equal(want) || uint16(r.Time) != 5 {
		t.Errorf("time is %v", r.Time)
	}
	if r.Author != "web1" || r.Message != "add member web2" || len(r.Parents) != 1 {
		t.Errorf("header is %+v", r)
	}
	for from, to := range map[string]string{
		"revision 1":   "revision 3",
		"author web1":  "author WEB1",
		"44.123Z 5":    "44.123Z 05",
		"message add":  "message  add",
		"sites/a":      "sites/../a",
		"-- farm.toml": "--  farm.toml",
		"parent 01":    "parent 0",
	} {
		_, err := DecodeRevision([]byte(strings.Replace(old, from, to, 1)))
		if err == nil {
			t.Errorf("%q instead of %q was taken", to, from)
		}
		if want := farm.KindOf(err); (to == "revision 3") != (want == farm.Unsupported) {
			t.Errorf("%q: kind %v", to, want)
		}
	}
}

func TestNewRevisionRefuses(t *testing.T) {
	many := map[string][]byte{"farm.toml": make([]byte, MaxFarmBytes+1)}
	for name, make := range map[string]func() (Revision, error){
		"author":  func() (Revision, error) { return NewRevision(nil, "", 1, "", nil) },
		"message": func() (Revision, error) { return NewRevision(nil, "a", 1, "a\nb", nil) },
		"name":    func() (Revision, error) { return NewRevision(nil, "a", 1, "", map[string][]byte{"member.toml": nil}) },
		"size":    func() (Revision, error) { return NewRevision(nil, "a", 1, "", many) },
		"year":    func() (Revision, error) { return NewRevision(nil, "a", math.MaxUint64, "", nil) },
		"parents": func() (Revision, error) {
			return NewRevision([]farm.Digest{{1}, {2}, {3}}, "a", 1, "", nil)
		},
	} {
		if _, err := make(); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := CleanMessage(" a\tb\r\n\x00c\xff " + strings.Repeat("ä", 600)); got != CleanMessage(got) || !strings.HasPrefix(got, "a b c? ä") {
		t.Errorf("message is %q", got)
	}
}

func TestHistory(t *testing.T) {
	r1 := revision(t, nil, "a", 1, nil)
	r2 := revision(t, []Revision{r1}, "a", 2, nil)
	r3 := revision(t, []Revision{r1}, "b", 2, nil)
	r4 := revision(t, []Revision{r3}, "b", 3, nil)
	m := revision(t, []Revision{r2, r3}, "b", 4, nil)
	all := []Revision{m, r3, r1, r4, r2}
	if h := Heads(all); len(h) != 2 || h[0].Digest != r4.Digest || h[1].Digest != m.Digest {
		t.Errorf("heads are %v", h)
	}
	for _, c := range []struct {
		a, b, want Revision
		ok         bool
	}{
		{r2, r3, r1, true}, {r2, r4, r1, true}, {m, r4, r3, true}, {m, r2, r2, true}, {r1, r1, r1, true},
		{r1, revision(t, nil, "c", 1, nil), Revision{}, false},
	} {
		got, ok := CommonAncestor(all, c.a.Digest, c.b.Digest)
		if got != c.want.Digest || ok != c.ok {
			t.Errorf("common ancestor of %s and %s is %s, want %s", c.a.Digest.Short(), c.b.Digest.Short(), got.Short(), c.want.Digest.Short())
		}
	}
	keep, drop := Retain(all, 1)
	if len(keep) != 2 || len(drop) != 3 || keep[0].Digest != m.Digest || keep[1].Digest != r4.Digest {
		t.Errorf("keep %v drop %v", keep, drop)
	}
	if keep, drop := Retain(all, 9); len(keep) != 5 || len(drop) != 0 || !slices.IsSortedFunc(keep, func(a, b Revision) int { return later(b, a) }) {
		t.Errorf("keep %v drop %v", keep, drop)
	}
}
