package web

import "testing"

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
