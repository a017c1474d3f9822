package farm

import (
	"fmt"
	"strings"
	"testing"
)

func TestSessionString(t *testing.T) {
	at := func(s string) Vector {
		v, err := ParseVector(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	s := Session{"shop": at("web1.k.1f+web2.k.2"), "docs": at("web1.k.3")}
	const want = "docs:web1.k.3/shop:web1.k.1f+web2.k.2"
	if got := s.String(); got != want {
		t.Fatalf("String() = %q, want %q", got, want)
	}
	back, err := ParseSession(want)
	if err != nil || back.String() != want {
		t.Fatalf("ParseSession(String()) = %v, %v", back, err)
	}
	joined := s.Join(Session{"shop": at("web2.k.5")})
	if got := joined.String(); got != "docs:web1.k.3/shop:web1.k.1f+web2.k.5" {
		t.Errorf("Join = %q", got)
	}
	if got := s.String(); got != want {
		t.Errorf("Join changed its receiver to %q", got)
	}
}

// many are positions of n members.
func many(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("m%02d.k.1", i))
	}
	return strings.Join(all, "+")
}

func TestParseSessionKeepsWhatIsValid(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"shop:web1.k.1/..:web1.k.1/docs", "shop:web1.k.1"},
		{"shop:web1.k.1+x/docs:web1.k.2", "docs:web1.k.2"},
		{"shop:web1.k.1/shop:web1.k.9", "shop:web1.k.9"},
		{"shop:-", ""},
		{"%00", ""},
		{"a:" + many(MaxSessionPositions) + "/b:m1.k.1", "a:" + many(MaxSessionPositions)},
		{strings.Repeat("a", MaxSessionBytes+1), ""},
	} {
		if got, _ := ParseSession(c.in); got.String() != c.want {
			t.Errorf("ParseSession(%.60q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzParseSession(f *testing.F) {
	f.Add("docs:web1.k.3/shop:web1.k.1f+web2.k.2")
	f.Add("shop:web1.k.1/shop:web2.k.1/..:-")
	f.Fuzz(func(t *testing.T, in string) {
		s, _ := ParseSession(in)
		text := s.String()
		if len(text) > MaxSessionBytes {
			t.Fatalf("%q is %d bytes long", text, len(text))
		}
		back, err := ParseSession(text)
		if err != nil || back.String() != text {
			t.Fatalf("%q came back as %q, %v", text, back.String(), err)
		}
	})
}
