package config

import (
	"strings"
	"testing"

	"tandem/internal/farm"
)

func TestAddFolder(t *testing.T) {
	const member = "[member.web1]\naddress = \"192.0.2.11:7443\"\nkey = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"\n"
	shop := Folder{Name: "shop", Path: `/var/www/the "shop"`}
	for name, c := range map[string]struct{ src, want string }{
		"empty":     {"", "[folder.shop]\npath = '/var/www/the \"shop\"'\n"},
		"no member": {"# ours\n[farm]\nname = \"x\"", "# ours\n[farm]\nname = \"x\"\n\n[folder.shop]\npath = '/var/www/the \"shop\"'\n"},
		"after others": {
			"[folder.a] # first\npath = \"/srv/a\"\n\n# the member\n" + member,
			"[folder.a] # first\npath = \"/srv/a\"\n\n[folder.shop]\npath = '/var/www/the \"shop\"'\n\n# the member\n" + member,
		},
		"other lines": {"[farm]\r\nname = \"x\"\r\n", "[farm]\r\nname = \"x\"\r\n\r\n[folder.shop]\r\npath = '/var/www/the \"shop\"'\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := AddFolder([]byte(c.src), shop)
			want := strings.ReplaceAll(c.want, `'/var/www/the "shop"'`, tomlString(shop.Path))
			if err != nil || string(got) != want {
				t.Errorf("got %q, %v, want %q", got, err, want)
			}
		})
	}
	for src, kind := range map[string]farm.Kind{
		"[folder.shop]\npath = \"/srv/x\"\n":           farm.Exists,
		"[folder.all]\npath = \"/var/www\"\n" + member: farm.Invalid,
		"[farm\n": farm.Invalid,
	} {
		if got, err := AddFolder([]byte(src), shop); farm.KindOf(err) != kind {
			t.Errorf("%q became %q, %v, want %s", src, got, err, kind)
		}
	}
}
