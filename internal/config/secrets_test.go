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
	if len(faults) > 0 || !strings.Contains(text, "header X s3cret") {
		t.Errorf("%q, %v", text, faults)
	}
	masked := v.Mask(Faults{{Message: "there is no s3cret", Hint: "did you mean s3cret"}})
	if s := masked.Error(); strings.Contains(s, "s3cret") || !strings.Contains(s, "{secret.db-password}") {
		t.Errorf("masked: %s", s)
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
	for value, good := range map[string]bool{"a/b+c=": true, "": false, "two words": false, "{x}": false, "a\nb": false, "\"": false, "`": false, "ü": false, strings.Repeat("x", 5000): false} {
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
