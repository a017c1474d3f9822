package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

func TestDefaults(t *testing.T) {
	c, faults := Parse(map[string][]byte{FarmFile: []byte("[member.web1]\naddress = \"192.0.2.11:7443\"\nkey = \"" + key("1") + "\"\n[folder.shop]\npath = \"/srv/shop\"\n")})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	want := &Config{
		Farm:    Farm{Name: "farm", AutoCommit: true, EvictAfter: 60 * 24 * time.Hour},
		Members: []Member{{Name: "web1", Address: "192.0.2.11:7443", Roles: []farm.Role{farm.RoleNode}, Key: key("1"), Weight: 1}},
		Folders: []Folder{{Name: "shop", Path: "/srv/shop", Defaults: true, Brake: 10, Lines: map[string]int{}, Watch: "auto", Audit: time.Hour, XAttrs: "user", MinFree: 64 << 20, Preserve: 1 << 30, PreserveAge: 30 * 24 * time.Hour, PreserveDeleted: true, CheckTime: 30 * time.Second, ApplyTime: 30 * time.Second}},
		Edge: Edge{HTTP: []string{":80"}, HTTPS: []string{":443"}, Policy: "round_robin", MaxPerNode: 512, MaxQueue: 1024, MaxBacklog: 10000, AnswerTime: time.Minute, KeepBody: 64 << 10, RetryTime: 10 * time.Second, SlowStart: 10 * time.Second,
			MaxHeader: 64 << 10, HeaderTime: 30 * time.Second, IdleTime: 5 * time.Minute, StallTime: time.Minute, MinUpload: 1 << 10, MaxConnections: 10000, MaxPerAddress: 256,
			AccessLogFormat: "combined", AccessLogSize: 100 << 20, AccessLogAge: 24 * time.Hour, AccessLogKeep: 14},
		Events: Events{Keep: 10000},
		ACME:   ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", Challenges: []string{"http-01", "tls-alpn-01"}, DNSWait: 30 * time.Second},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
}

// TestDefaultsDecode: each default in the schema is a value that the schema accepts.
func TestDefaultsDecode(t *testing.T) {
	for _, v := range []any{&farmFile{}, &Member{}, &Folder{}, &MemberFile{}} {
		for _, f := range fieldsOf(reflect.TypeOf(v).Elem()) {
			text, ok := f.tag.Lookup("default")
			if f.tag.Get("doc") == "" {
				t.Errorf("%s has no doc", f.key)
			}
			if !ok {
				continue
			}
			tree, faults := readTOML("default", []byte("x = "+text))
			d := newDecoder("default", faults)
			d.value(tree.entries[0].value, reflect.ValueOf(v).Elem().Field(f.index), f.key, f)
			if len(d.faults) > 0 {
				t.Errorf("%s: %v", f.key, d.faults)
			}
		}
	}
}

func TestReferenceNamesEveryKey(t *testing.T) {
	text := Reference()
	for _, want := range []string{
		"### [farm]", "### [member.NAME]", "### [folder.NAME]", "### [edge]", "### [events]", "## member.toml",
		"| `address` | text | required |", "| `audit` | duration | `\"1h\"` |", "| `preserve` | size | `\"1GiB\"` |",
		"| `http` | text or list of texts | `[\":80\"]` |", "one of `auto`, `fanotify`, `inotify`, `poll`", "| `hide_node` | true or false | `false` |",
		"| `labels` | table of texts | none |", "| `listen` | text |", "| `keep` | number | `10000` |", "at least 100, at most 1000000",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the reference lacks %q", want)
		}
	}
}

func TestUnits(t *testing.T) {
	for text, want := range map[string]Size{
		"0": 0, "1B": 1, "1KiB": 1024, "1.5 MB": 1_500_000, "2GiB": 2 << 30, "1kB": 1000, "3TiB": 3 << 40,
		"": -1, "1": -1, "-1B": -1, "1e3B": -1, "1 Gib": -1, "B": -1, "99999999TiB": -1, "1.2.3B": -1,
	} {
		if got, err := ParseSize(text); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("size %q is %d, %v", text, got, err)
		} else if err == nil {
			if back, err := ParseSize(got.String()); err != nil || back != got {
				t.Errorf("size %q prints as %q", text, got)
			}
		}
	}
	for text, want := range map[string]time.Duration{
		"1h": time.Hour, "1d": 24 * time.Hour, "2d3h": 51 * time.Hour, "500ms": 500 * time.Millisecond, "0s": 0,
		"": -1, "1": -1, "-1s": -1, "1x": -1, "d": -1, "99999d999999999h": -1, "1h2d": -1,
	} {
		if got, err := ParseDuration(text); (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("duration %q is %s, %v", text, got, err)
		}
	}
}

func TestExpand(t *testing.T) {
	c, _ := Parse(map[string][]byte{FarmFile: farmText(map[int]int{0: 7}, map[int]int{1: 0, 2: 0})})
	here := MemberFile{Folders: map[string]Here{"f2": {Path: "/mnt/f2"}}}
	v := c.Vars("web0", here)
	s := Site{File: "sites/a.caddy", Source: "{member.name}:{member.address}\n{member.label.v} {folder.f1}\n{folder.f2} \\{member.name} {http.host} {member {$X} {env.member.name}\n  {member.label.w}"}
	got, faults := s.Expand(v)
	if want := "web0:192.0.2.10\n7 /srv/f1\n/mnt/f2 \\{member.name} {http.host} {member {$X} {env.member.name}\n  {member.label.w}"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if faults.Error() != `sites/a.caddy:4:3: placeholder {member.label.w} has no value on member web0 (did you mean "member.label.v"?)` {
		t.Errorf("faults are %v", faults)
	}
}

func TestFaultsAreInvalid(t *testing.T) {
	faults := Faults{{File: "farm.toml", Line: 12, Column: 3, Message: "unknown key \"adress\"", Hint: "did you mean \"address\"?"}, {Message: "x", Warning: true}}
	err := fmt.Errorf("apply: %w", faults.Err())
	if farm.KindOf(err) != farm.Invalid {
		t.Errorf("kind is %v", farm.KindOf(err))
	}
	if got, want := faults.Err().Error(), `farm.toml:12:3: unknown key "adress" (did you mean "address"?)`; got != want {
		t.Errorf("error is %s", got)
	}
	if faults[1:].Err() != nil || len(faults.Warnings()) != 1 {
		t.Error("a warning is an error")
	}
	var sites error = SiteFaults{"sites/b.caddy": {{Line: 2, Message: "bad"}}, "sites/a.caddy": {{Message: "worse"}}}
	var got SiteFaults
	if !errors.As(sites, &got) || farm.KindOf(sites) != farm.Invalid || sites.Error() != "sites/a.caddy: worse\nsites/b.caddy:2: bad" {
		t.Errorf("site faults are %v", sites)
	}
}

func TestLookups(t *testing.T) {
	c, _ := Parse(map[string][]byte{FarmFile: farmText(map[int]int{0: 0, 1: 0}, map[int]int{1: 0})})
	if m, ok := c.Member("web1"); !ok || m.Host() != "192.0.2.11" || !m.Has(farm.RoleNode) || m.Has(farm.RoleEdge) {
		t.Errorf("member is %+v", m)
	}
	if _, ok := c.Member("web9"); ok {
		t.Error("found a member that is not there")
	}
	if f, ok := c.Folder("f1"); !ok || f.Path != "/srv/f1" {
		t.Errorf("folder is %+v", f)
	}
	if _, ok := c.Folder("f9"); ok {
		t.Error("found a folder that is not there")
	}
	if len(c.With(farm.RoleNode)) != 2 || len(c.With(farm.RoleEdge)) != 0 {
		t.Error("roles are wrong")
	}
}

func TestManyFaultsAreBounded(t *testing.T) {
	_, faults := Parse(map[string][]byte{FarmFile: []byte(strings.Repeat("[x]\n", 1000))})
	if len(faults) != maxFaults+1 || !strings.HasPrefix(faults[maxFaults].Message, "and ") {
		t.Errorf("%d faults", len(faults))
	}
}

func TestCommands(t *testing.T) {
	f := Folder{Name: "web", Check: "check", Apply: "apply"}
	for name, c := range map[string]struct {
		here         MemberFile
		check, apply string
	}{
		"the farm's":       {MemberFile{}, "check", "apply"},
		"the member's own": {MemberFile{Folders: map[string]Here{"web": {Check: "mine"}}}, "mine", "apply"},
		"off":              {MemberFile{Folders: map[string]Here{"web": {Apply: "off"}}}, "check", ""},
		"own ones only":    {MemberFile{OwnOnly: true, Folders: map[string]Here{"web": {Check: "mine"}}}, "mine", ""},
	} {
		if check, apply := c.here.Commands(f); check != c.check || apply != c.apply {
			t.Errorf("%s: %q and %q, want %q and %q", name, check, apply, c.check, c.apply)
		}
	}
}
