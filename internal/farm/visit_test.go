package farm

import (
	"errors"
	"strings"
	"testing"
)

func session(t *testing.T, s string) Session {
	t.Helper()
	got, err := ParseSession(s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestVisitString(t *testing.T) {
	key := []byte("key")
	for _, c := range []struct {
		visit Visit
		want  string
	}{
		{Visit{}, ""},
		{Visit{Wrote: session(t, "shop:web1.k.3")}, "shop:web1.k.3"},
		{Visit{Saw: session(t, "shop:web2.k.4"), At: "web1"}, "*web1*shop:web2.k.4"},
		{Visit{Wrote: session(t, "shop:web1.k.3"), Saw: session(t, "shop:web2.k.4+web3.k.1"), At: "web2"}, "shop:web1.k.3*web2*shop:web2.k.4+web3.k.1"},
	} {
		if got := c.visit.String(); got != c.want {
			t.Errorf("%+v is %q, want %q", c.visit, got, c.want)
		}
		signed := c.visit.Sign(key)
		if strings.ContainsAny(signed, " \",;\\") || len(signed) > MaxVisitBytes {
			t.Errorf("%q can't stand in a cookie", signed)
		}
		for _, k := range [][]byte{key, nil} {
			if back, err := OpenVisit(signed, k); err != nil || back.String() != c.want {
				t.Errorf("%q came back as %q, %v", signed, back, err)
			}
		}
	}
}

func TestVisitIsSigned(t *testing.T) {
	key := []byte("key")
	signed := Visit{Wrote: session(t, "shop:web1.k.3")}.Sign(key)
	for _, s := range []string{
		"shop:web1.k.3", "shop:web1.k.3~", strings.Replace(signed, "k.3", "k.4", 1), signed + "A", "*web1*" + signed,
		Visit{Wrote: session(t, "shop:web1.k.3")}.Sign([]byte("another farm's")),
	} {
		if v, err := OpenVisit(s, key); !errors.Is(err, ErrUnsigned) || !v.IsZero() {
			t.Errorf("%q is believed: %q, %v", s, v, err)
		}
	}
	if v, err := OpenVisit(strings.Repeat("x", MaxVisitBytes+1), nil); err == nil || !v.IsZero() {
		t.Errorf("what is too long is %q, %v", v, err)
	}
}

func TestVisitJoin(t *testing.T) {
	a := Visit{Wrote: session(t, "shop:web1.k.3"), At: "web1"}
	b := Visit{Wrote: session(t, "shop:web1.k.2+web2.k.1"), Saw: session(t, "docs:web3.k.1"), At: "web2"}
	if got := a.Join(b).String(); got != "shop:web1.k.3+web2.k.1**docs:web3.k.1" {
		t.Errorf("joined: %q", got)
	}
	if got := a.Join(Visit{}).At; got != "web1" {
		t.Errorf("what asks for nothing takes away where: %q", got)
	}
	if got := a.All().Join(b.All()).String(); got != "docs:web3.k.1/shop:web1.k.3+web2.k.1" {
		t.Errorf("all of it is %q", got)
	}
}

func FuzzOpenVisit(f *testing.F) {
	f.Add("docs:web1.k.3*web1*shop:web1.k.1f+web2.k.2~x")
	f.Add("**~")
	f.Fuzz(func(t *testing.T, in string) {
		v, _ := OpenVisit(in, nil)
		back, err := OpenVisit(v.Sign([]byte("k")), []byte("k"))
		if err != nil || back.String() != v.String() {
			t.Fatalf("%q came back as %q, %v", v, back, err)
		}
	})
}
