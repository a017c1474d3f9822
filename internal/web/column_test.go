package web

import (
	"slices"
	"strings"
	"testing"
)

func TestFaultsHaveColumns(t *testing.T) {
	for _, tt := range []struct {
		name, source string
		line, column int
	}{
		{"directive", "http://a.test {\n\trespnd hi\n}\n", 2, 2},
		{"nested", "http://a.test {\n\thandle {\n\t\tfile_serve\n\t}\n}\n", 3, 3},
		{"argument", "http://a.test {\n  encode gzip bzip9\n}\n", 2, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, faults := compile("sites/a.caddy", tt.source, nil)
			if len(faults) != 1 || faults[0].Line != tt.line || faults[0].Column != tt.column {
				t.Errorf("got %v, want line %d, column %d", faults, tt.line, tt.column)
			}
		})
	}
}

// TestFileWithoutASite: what an editor leaves behind that empties a file and then has no room for the new text.
func TestFileWithoutASite(t *testing.T) {
	for _, source := range []string{"", "\n\n", "# nothing\n", "(snippet) {\n\trespond hi\n}\n"} {
		_, faults := compile("sites/a.caddy", source, nil)
		if len(faults) != 1 || faults[0].Line != 1 || faults[0].Message != "there is no site in this file" {
			t.Errorf("%q: %v", source, faults)
		}
	}
}

// TestAllFaultsAtOnce: not only the first of a block, and a misspelt directive has a suggestion.
func TestAllFaultsAtOnce(t *testing.T) {
	_, faults := compile("sites/a.caddy", `http://a.test {
	file_sever
	encode gzip bzip9
	root * /var/www
	handle {
		revers_proxy 127.0.0.1:3000
	}
}
http://b.test {
	redri /a /b
	respnd 200
}
`, nil)
	var got []string
	for _, f := range faults {
		got = append(got, f.String())
	}
	want := []string{
		`sites/a.caddy:2:2: unrecognized directive: file_sever (did you mean "file_server"?)`,
		`sites/a.caddy:3:2: 'encode': finding encoder module '': module not registered: http.encoders.bzip9`,
		`sites/a.caddy:6:3: 'handle': unrecognized directive: revers_proxy (did you mean "reverse_proxy"?)`,
		`sites/a.caddy:10:2: unrecognized directive: redri (did you mean "redir"?)`,
		`sites/a.caddy:11:2: unrecognized directive: respnd (did you mean "respond"?)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDirectivesAreKnown(t *testing.T) {
	for _, d := range directives {
		_, faults := compile("sites/a.caddy", "http://a.test {\n\t"+d+"\n}\n", nil)
		for _, f := range faults {
			if strings.Contains(f.Message, "unrecognized") {
				t.Errorf("%s", f)
			}
		}
	}
}
