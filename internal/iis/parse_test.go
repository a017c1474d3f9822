package iis

import (
	"strings"
	"testing"
	"unicode/utf16"
)

func utf16Of(text string, bigEndian, mark bool) []byte {
	units := utf16.Encode([]rune(text))
	if mark {
		units = append([]uint16{0xFEFF}, units...)
	}
	var b []byte
	for _, u := range units {
		if bigEndian {
			b = append(b, byte(u>>8), byte(u))
		} else {
			b = append(b, byte(u), byte(u>>8))
		}
	}
	return b
}

func TestParseKnowsTextsAndPositions(t *testing.T) {
	const text = "<configuration\n  a='1'\n  b=\"x &amp; ü\">\n  <!-- <no/> -->\n  <kid\n    c='3'/>\n</configuration>"
	withDeclaration := `<?xml version="1.0" encoding="utf-16"?>` + text
	latin := strings.ReplaceAll(`<?xml version="1.0" encoding="ISO-8859-1"?>`+text, "ü", "\xfc")
	for name, data := range map[string][]byte{
		"UTF-8":               []byte(text),
		"UTF-8 with a mark":   append([]byte{0xEF, 0xBB, 0xBF}, text...),
		"UTF-16":              utf16Of(withDeclaration, false, true),
		"UTF-16, big":         utf16Of(withDeclaration, true, true),
		"UTF-16 without mark": utf16Of(withDeclaration, false, false),
		"big without mark":    utf16Of(withDeclaration, true, false),
		"Latin-1":             []byte(latin),
	} {
		t.Run(name, func(t *testing.T) {
			doc, err := parse("f", data, nil)
			if err != nil {
				t.Fatal(err)
			}
			r := doc.root
			if r.name != "configuration" || r.line != 1 || r.attrs[0].line != 2 || r.attrs[1].line != 3 || r.attrs[1].value != "x & ü" {
				t.Errorf("root is %+v", r)
			}
			if k := r.kids[0]; len(r.kids) != 1 || k.line != 5 || k.attrs[0].line != 6 || k.parent != r {
				t.Errorf("child is %+v", k)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ data, says string }{
		"nothing":      {"", "f:1: there is no element"},
		"torn":         {"<a>\n<b>\n</a>", "f:3: "},
		"two roots":    {"<a/>\n<b/>", "f:2: a second element"},
		"deep":         {strings.Repeat("<a>", maxDepth+1), "f:1: more than"},
		"many":         {"<a>" + strings.Repeat("<b/>", maxElements) + "</a>", "f:1: more than"},
		"large":        {strings.Repeat(" ", MaxFileBytes+1), "f: 8388609 bytes"},
		"no text":      {"<a>\xff</a>", "f: the text is not UTF-8"},
		"odd encoding": {`<?xml version="1.0" encoding="ebcdic"?><a b="` + "\xff" + `"/>`, "encoding ebcdic"},
		"cut UTF-16":   {"\xff\xfe<", "f: the text is cut"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse("f", []byte(c.data), nil); err == nil || !strings.HasPrefix(err.Error(), c.says) && !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestPatternsForPaths(t *testing.T) {
	for _, c := range []struct{ text, kind, dir, want string }{
		{"^a/(.*)$", "", "/", "(?i)^/a/(.*)$"},
		{"^$", "", "/", "^/$"},
		{"^a$|^b", "", "/", "(?i)^/a$|^/b"},
		{`\.php$`, "", "/", `(?i)\.php$`},
		{"files/(.+)", "", "/", "(?i)files/(.+)"},
		{".+", "", "/", "^/.+"},
		{".", "", "/", "^/."},
		{"(^|/)x", "", "/", "(?i)(^/|/)x"},
		{"(^a|^b)c", "", "/", "(?i)(^/a|^/b)c"},
		{"[^/]+$", "", "/", "^/.*?[^/]+$"},
		{"^a", "", "/sub", "(?i)^/sub/a"},
		{"a", "", "/sub", "(?i)^/sub/.*?a"},
		{"a*c", "Wildcard", "/", "(?i)^/a(.*)c$"},
		{"a.b", "ExactMatch", "/", `(?i)^/a\.b$`},
		{`\^a`, "", "/", `(?i)^/.*?\^a`},
	} {
		p, err := readPattern(c.text, c.kind, true)
		if got := p.forPath(c.dir, false); err != nil || got != c.want {
			t.Errorf("%s below %s is %s, %v; want %s", c.text, c.dir, got, err, c.want)
		}
	}
	p, err := readPattern("^(?!api/)(.*)", "", true)
	if err != nil || p.expr != "^(.*)" || p.not != "^(?:api/)" {
		t.Errorf("a lookahead is taken apart as %+v, %v", p, err)
	}
	for _, bad := range []string{"a(?=b)", "(?<!a)b", "(", "a{2000}"} {
		if p, err := readPattern(bad, "", true); err == nil {
			t.Errorf("%s became %+v", bad, p)
		}
	}
}

func TestBindings(t *testing.T) {
	for _, c := range []struct{ protocol, info, ip, key, why string }{
		{"http", "*:80:", "", "http://", ""},
		{"http", "*:80:Shop.Example.com", "", "http://shop.example.com", ""},
		{"https", "*:443:shop.example.com", "", "https://shop.example.com", ""},
		{"https", "192.0.2.1:8443:", "192.0.2.1", "https://:8443", ""},
		{"http", "[::1]:8080:localhost", "::1", "http://localhost:8080", ""},
		{"http", "*:80:*.example.com", "", "http://*.example.com", ""},
		{"http", "*:0:", "", "", "is not a port"},
		{"http", "*:80:a.*.b", "", "", "is not a host name"},
		{"http", "999.1.1.1:80:", "", "", "is not an IP address"},
		{"https", "*:80:", "", "", "not served"},
		{"net.tcp", "808:*", "", "", "only http and https"},
	} {
		n := &node{name: "binding", attrs: []attr{{name: "protocol", value: c.protocol}, {name: "bindingInformation", value: c.info}}}
		b, why := readBinding(n)
		if !strings.Contains(why, c.why) || (why == "") != (c.why == "") || why == "" && (b.key() != c.key || b.ip != c.ip) {
			t.Errorf("%s %s is %q on %q, %q; want %+v", c.protocol, c.info, b.key(), b.ip, why, c)
		}
	}
}

func TestTokensAreQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"plain": "plain", "": `""`, "two words": `"two words"`, `say "a"`: "`say \"a\"`", "a`b": "\"a`b\"", "{": `"{"`,
		"a\nb": `"a b"`, "#x": `"#x"`, `back\`: "`back\\`", "{$HOME}": "`{$HOME}`",
	} {
		if got := quote(word); got != want {
			t.Errorf("%q becomes %s, want %s", word, got, want)
		}
	}
}

func TestTimeSpans(t *testing.T) {
	for span, want := range map[string]int64{"1.00:00:00": 86400, "365.00:00:00": 31536000, "00:30:00": 1800, "01:00:05": 3605, "": 0} {
		if got := seconds(span); got != want {
			t.Errorf("%q has %d seconds, want %d", span, got, want)
		}
	}
}
