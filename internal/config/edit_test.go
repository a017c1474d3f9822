package config

import (
	"bytes"
	"strings"
	"testing"

	"tandem/internal/farm"
)

const oneMember = `# top

[farm]
name = "shop" # ours

# first
[member.web1]
address = "192.0.2.11:7443"
key = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
[member.web1.labels]
rack = "a"

# the shop
[folder.shop]
path = "/srv/shop" # big`

func TestAddAndRemoveMember(t *testing.T) {
	m := Member{Name: "web2", Address: "[2001:db8::1]:7443", Roles: []farm.Role{farm.RoleNode, farm.RoleEdge}, Key: key("2"), Weight: 3, Labels: map[string]string{"rack": `a"\b`}}
	for name, src := range map[string]string{
		"plain": oneMember,
		"crlf":  strings.ReplaceAll(oneMember, "\n", "\r\n"),
		"end":   oneMember[:strings.Index(oneMember, "\n# the shop")],
		"empty": "[farm]\n",
	} {
		t.Run(name, func(t *testing.T) {
			added, err := AddMember([]byte(src), m)
			if err != nil {
				t.Fatal(err)
			}
			c, _ := parseFarm(added)
			if got, ok := c.Member("web2"); !ok || got.Address != m.Address || !got.Has(farm.RoleEdge) || got.Key != m.Key || got.Weight != 3 || got.Labels["rack"] != m.Labels["rack"] {
				t.Errorf("member is %+v", got)
			}
			if bytes.Contains(added, []byte("\r\n")) != (name == "crlf") || name == "crlf" && bytes.Count(added, []byte("\n")) != bytes.Count(added, []byte("\r\n")) {
				t.Errorf("line ends are mixed: %q", added)
			}
			if strings.Contains(src, "# first") && !strings.Contains(string(added), "# first") {
				t.Error("a comment is gone")
			}
			if _, err := AddMember(added, m); farm.KindOf(err) != farm.Exists {
				t.Errorf("added twice: %v", err)
			}
			if name == "empty" {
				return
			}
			removed, err := RemoveMember(added, "web2")
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(string(removed)) != strings.TrimSpace(src) {
				t.Errorf("removed:\n%s\nwant\n%s", removed, src)
			}
		})
	}
}

func TestRemoveMemberWithLabelsAndComment(t *testing.T) {
	added, err := AddMember([]byte(oneMember), Member{Name: "web2", Address: "192.0.2.12:7443", Key: key("2")})
	if err != nil {
		t.Fatal(err)
	}
	got, err := RemoveMember(added, "web1")
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"web1", "rack", "# first"} {
		if strings.Contains(string(got), gone) {
			t.Errorf("%q is still there:\n%s", gone, got)
		}
	}
	for _, kept := range []string{"# top", "# ours", "# the shop", "# big"} {
		if !strings.Contains(string(got), kept) {
			t.Errorf("%q is gone:\n%s", kept, got)
		}
	}
}

func TestMemberEditsRefuse(t *testing.T) {
	inline := "[member]\nweb1 = { address = \"192.0.2.11:7443\", key = \"" + key("1") + "\" }\n[member.web2]\naddress = \"192.0.2.12:7443\"\nkey = \"" + key("2") + "\"\n"
	for name, c := range map[string]struct {
		err  error
		kind farm.Kind
	}{
		"add to a broken file":      {second(AddMember([]byte("["), Member{Name: "web2"})), farm.Invalid},
		"add with a bad key":        {second(AddMember([]byte(oneMember), Member{Name: "web2", Address: "a:1", Key: "x"})), farm.Invalid},
		"add with a known address":  {second(AddMember([]byte(oneMember), Member{Name: "web2", Address: "192.0.2.11:7443", Key: key("2")})), farm.Invalid},
		"add with a bad name":       {second(AddMember([]byte(oneMember), Member{Name: "a\"b", Address: "a:1", Key: key("2")})), farm.Invalid},
		"remove from a broken file": {second(RemoveMember([]byte("["), "web1")), farm.Invalid},
		"remove nobody":             {second(RemoveMember([]byte(oneMember), "web2")), farm.NotFound},
		"remove the last":           {second(RemoveMember([]byte(oneMember), "web1")), farm.Invalid},
		"remove an inline table":    {second(RemoveMember([]byte(inline), "web1")), farm.Unsupported},
	} {
		if got := farm.KindOf(c.err); c.err == nil || got != c.kind {
			t.Errorf("%s: %v of kind %v, want %v", name, c.err, got, c.kind)
		}
	}
}

func second(_ []byte, err error) error { return err }

func TestBlocksJoinToTheFile(t *testing.T) {
	for _, src := range []string{
		oneMember, "", "\n\n", "a = 1", "[a]", "[a]\n\n\n[b]\n", "# x\n\n# y\n[a]\r\n\r\n", "[a]\nx = '''\n# no comment'''\n[b]\n",
		"[a]\nx = [\n[1],\n]\n[b]", "[a] # c\n# d\n[ b . \"c d\" ]\n",
	} {
		blocks, ok := splitBlocks([]byte(src))
		if !ok || string(joinBlocks(blocks)) != src {
			t.Errorf("%q is %q", src, blocks)
		}
	}
	blocks, _ := splitBlocks([]byte("[a]\nx = '''\n# no comment'''\n# c\n[b.\"c d\"]\n"))
	if len(blocks) != 3 || blocks[2].text != "# c\n[b.\"c d\"]\n" || blocks[2].name != `b."c d"` {
		t.Errorf("blocks are %q", blocks)
	}
}
