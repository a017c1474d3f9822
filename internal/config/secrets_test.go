package config

import (
	"strings"
	"testing"

	"tandem/internal/farm"
)

func TestSecrets(t *testing.T) {
	src, err := PutSecret(nil, "db-password", "QUJD")
	if err != nil {
		t.Fatal(err)
	}
	if src, err = PutSecret(src, "api", "REVG"); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		FarmFile:           []byte("[member.web1]\naddress = \"192.0.2.11:7443\"\nkey = \"" + key("1") + "\"\n"),
		SecretsFile:        src,
		"sites/shop.caddy": []byte("shop.test {\n\theader X {secret.db-password}\n}\n"),
	}
	c, faults := Parse(files)
	if len(faults) > 0 || c.Secrets["api"] != "REVG" || c.Secrets["db-password"] != "QUJD" {
		t.Fatalf("%v, %v", c, faults)
	}
	v := c.Vars("web1", MemberFile{})
	v.Secrets["db-password"] = "s3cret"
	text, faults := c.Sites[0].Expand(v)
	if len(faults) > 0 || !strings.Contains(text, "header X {secret.db-password}") {
		t.Errorf("%q, %v", text, faults)
	}
	if got := string(v.Fill([]byte(`["{secret.db-password}","\\\\{secret.db-password} {secret.api} {secret.x}"]`))); got != `["s3cret","\\\\{secret.db-password} {secret.api} {secret.x}"]` {
		t.Errorf("filled: %s", got)
	}
	if uses := SecretUses(files); len(uses) != 1 || len(uses["db-password"]) != 1 {
		t.Errorf("uses: %v", uses)
	}

	files["sites/shop.caddy"] = []byte("shop.test {\n\theader X {secret.db-pasword}\n}\n")
	if _, faults := Parse(files); len(faults) != 1 || faults[0].String() != `sites/shop.caddy:2:11: placeholder {secret.db-pasword} has no value on web1 (did you mean "secret.db-password"?)` {
		t.Errorf("a name that is misspelt: %v", faults)
	}
	files["sites/shop.caddy"] = []byte("shop.test {\n\theader X {secret.other}\n}\n")
	if _, faults := Parse(files); len(faults) != 1 || !strings.HasSuffix(faults[0].String(), "(set it: tandem secret set other)") {
		t.Errorf("a name that is not set: %v", faults)
	}
	files[SecretsFile] = []byte("db = \n")
	if _, faults := Parse(files); faults.Err() == nil || faults[0].File != SecretsFile || faults[0].Line != 1 {
		t.Errorf("a file that is no TOML: %v", faults)
	}

	if src, err = PutSecret(src, "api", ""); err != nil || strings.Contains(string(src), "api") {
		t.Errorf("removed: %s, %v", src, err)
	}
	if _, err := PutSecret(src, "api", ""); farm.KindOf(err) != farm.NotFound {
		t.Errorf("removed again: %v", err)
	}
	for value, good := range map[string]bool{"a/b+c=": true, "#<<\"`\\ ü\n": true, "": false, "{x}": false, "a\x00b": false, "\xff": false, strings.Repeat("x", 5000): false} {
		if err := CheckSecret("db", value); (err == nil) != good {
			t.Errorf("value %.20q: %v", value, err)
		}
	}
	for _, name := range []string{"", "Db", "-a", "a b", strings.Repeat("a", 64)} {
		if CheckSecret(name, "x") == nil {
			t.Errorf("name %q is taken", name)
		}
	}
}

// Messages that show a secret, or a part of one, are not shown.
func TestHide(t *testing.T) {
	v := Vars{Secrets: map[string]string{"long": "tigerlily99", "short": "ab", "unknown": "", "other": "panther"}}
	for message, hidden := range map[string]bool{
		"no tigerlily99": true, "bad prefix \"tige": true, "byte 3 of ly99": true, "tab": true, "tig lily9 no": true, "the lil y": false, "panther": false,
	} {
		names := []string{"long", "short", "unknown"}
		if got := v.Hide(Faults{{Line: 3, Message: message}}, names)[0]; (got.Message != message) != hidden || got.Line != 3 {
			t.Errorf("%q: %+v", message, got)
		}
	}
}

// Secrets in farm.toml: which may stand where, and are they set.
func TestFarmSecrets(t *testing.T) {
	files := func(more string) map[string][]byte {
		return map[string][]byte{FarmFile: []byte("[member.web1]\naddress = \"192.0.2.11:7443\"\nkey = \"" + key("1") + "\"\n" + more), SecretsFile: []byte("pfx = \"QUJD\"\n")}
	}
	c, faults := Parse(files("[certificates]\npassword = \"{secret.pfx}\"\n"))
	if len(faults) > 0 || len(c.FarmSecrets()) != 1 || c.FarmSecrets()[0] != "pfx" {
		t.Errorf("%v", faults)
	}
	if name, is := SecretName(c.Certificates.Password); name != "pfx" || !is {
		t.Errorf("%q, %v", name, is)
	}
	for more, want := range map[string]string{
		"[certificates]\npassword = \"{secret.pfy}\"\n":  `farm.toml:5:12: placeholder {secret.pfy} has no value (set it: tandem secret set pfy)`,
		"[certificates]\npassword = \"a{secret.pfx}\"\n": `farm.toml:5:12: "certificates.password": the placeholder of a secret must be the whole text, as in "{secret.pfx}"`,
		"[farm]\nname = \"{secret.pfx}\"\n":              `farm.toml:5:8: "farm.name": a secret can stand for password in [certificates] and mac_key in [acme] only`,
	} {
		if _, faults := Parse(files(more)); len(faults) != 1 || faults[0].String() != want {
			t.Errorf("%s: %v", more, faults)
		}
	}
}

// Secrets of different names that are set apart from one another are both kept; of the same the later one.
func TestMergeOfSecrets(t *testing.T) {
	at := func(parents []Revision, author farm.MemberID, time int64, secrets string) Revision {
		return revision(t, parents, author, time, map[string][]byte{FarmFile: farmText(map[int]int{0: 0}, nil), SecretsFile: []byte(secrets)})
	}
	base := at(nil, "web0", 1, "gone = \"1\"\nkept = \"1\"\n")
	a := at([]Revision{base}, "web0", 2, "a = \"2\"\nboth = \"2\"\nkept = \"1\"\n")
	b := at([]Revision{base}, "web1", 3, "b = \"3\"\nboth = \"3\"\ngone = \"1\"\nkept = \"1\"\n")
	for _, order := range [][2]Revision{{a, b}, {b, a}} {
		merged, conflicts := Merge(base, order[0], order[1])
		if got := string(merged.Files[SecretsFile]); !strings.HasSuffix(got, "\n\na = \"2\"\nb = \"3\"\nboth = \"3\"\nkept = \"1\"\n") {
			t.Errorf("merged:\n%s", got)
		}
		if len(conflicts) != 1 || conflicts[0].Table != "both" || conflicts[0].Loser.Digest != a.Digest {
			t.Errorf("conflicts: %+v", conflicts)
		}
	}
	// The first ones that are set in a farm.
	none := revision(t, nil, "web0", 1, map[string][]byte{FarmFile: farmText(map[int]int{0: 0}, nil)})
	merged, conflicts := Merge(none, at([]Revision{none}, "web0", 2, "a = \"2\"\n"), at([]Revision{none}, "web1", 3, "b = \"3\"\n"))
	if got := Sealed(merged.Files); got["a"] != "2" || got["b"] != "3" || len(conflicts) != 0 {
		t.Errorf("merged: %v, %v", got, conflicts)
	}
}
