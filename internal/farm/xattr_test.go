package farm

import (
	"strings"
	"testing"
)

func xattrs(t *testing.T, list ...XAttr) XAttrs {
	t.Helper()
	x, err := MakeXAttrs(list)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestXAttrsAreCanonical(t *testing.T) {
	a := xattrs(t, XAttr{"user.b", "2"}, XAttr{"user.a", ""})
	b := xattrs(t, XAttr{"user.a", ""}, XAttr{"user.b", "2"})
	if a != b || !a.Same(b) {
		t.Fatalf("%q and %q differ", a.Encoded(), b.Encoded())
	}
	back, err := ParseXAttrs(a.Encoded())
	if err != nil || back != a {
		t.Fatalf("came back as %v, %v", back, err)
	}
	if v, ok := a.Get("user.b"); !ok || v != "2" {
		t.Errorf("user.b is %q, %v", v, ok)
	}
	if v, ok := a.Get("user.a"); !ok || v != "" {
		t.Errorf("user.a is %q, %v", v, ok)
	}
	if _, ok := a.Get("user.c"); ok || strings.Join(a.Names(), " ") != "user.a user.b" {
		t.Errorf("names are %v", a.Names())
	}
}

func TestXAttrBounds(t *testing.T) {
	many := make([]XAttr, MaxXAttrs+1)
	for i := range many {
		many[i].Name = "user." + strings.Repeat("x", i+1)
	}
	for name, list := range map[string][]XAttr{
		"no name":        {{"", "v"}},
		"NUL":            {{"user.\x00", "v"}},
		"long name":      {{strings.Repeat("n", MaxXAttrNameBytes+1), "v"}},
		"long value":     {{"user.a", strings.Repeat("v", MaxXAttrValueBytes+1)}},
		"twice":          {{"user.a", "1"}, {"user.a", "2"}},
		"too many":       many,
		"too much":       {{"user.a", strings.Repeat("v", 60<<10)}, {"user.b", strings.Repeat("v", 60<<10)}, {"user.c", strings.Repeat("v", 60<<10)}},
		"malformed list": {{XAttrACL, "x"}},
	} {
		if x, err := MakeXAttrs(list); err == nil || !x.IsZero() {
			t.Errorf("%s: %v, %v", name, x, err)
		}
	}
}

func TestACLNamesDecide(t *testing.T) {
	list := func(s string) XAttrs { return xattrs(t, XAttr{XAttrACL, s}) }
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"g=5,u:1000:alice=6", "g=5,u:2000:alice=6", true},
		{"g=5,u:1000:alice=6", "g=5,u:1000=6", true},
		{"g=5,u:1000:alice=6", "g=5,u:1000:bob=6", false},
		{"g=5,u:1000:alice=6", "g=5,u:1000:alice=4", false},
		{"g=5,u:1:a=6,u:2:b=4", "g=5,u:7:b=4,u:9:a=6", true},
		{"g=5,u:1000=6", "g=5,g:1000=6", false},
		{"g=5", "g=5,u:1000=6", false},
	} {
		if got := list(c.a).Same(list(c.b)); got != c.same {
			t.Errorf("%s and %s: same is %v", c.a, c.b, got)
		}
	}
	if got := FormatACL([]ACLEntry{{Tag: 'g', Named: true, ID: 3, Name: "a,b"}, {Tag: 'u', Named: true, ID: 9}, {Tag: 'g', Perm: 5}}); got != "g=5,u:9=0,g:3=0" {
		t.Errorf("formatted as %s", got)
	}
}

func FuzzParseXAttrs(f *testing.F) {
	f.Add("\x06user.a\x01v")
	f.Add("\x17" + XAttrACL + "\x03g=5")
	f.Fuzz(func(t *testing.T, s string) {
		x, err := ParseXAttrs(s)
		if err != nil {
			return
		}
		if x.Encoded() != s || !x.Same(x) {
			t.Fatalf("%q came back as %q", s, x.Encoded())
		}
	})
}
