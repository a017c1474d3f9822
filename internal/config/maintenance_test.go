package config

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

const maintained = `# ours
[member.web1]
address = "192.0.2.11:7443"
key = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
`

func TestMaintenance(t *testing.T) {
	src, err := SetMaintenance([]byte(maintained), Maintenance{Site: "shop", Message: "back \"soon\"", RetryAfter: time.Hour, Allow: []string{"192.0.2.7", "2001:db8::/32"}})
	if err == nil {
		src, err = SetMaintenance(src, Maintenance{Site: AllSites})
	}
	if err != nil {
		t.Fatal(err)
	}
	c, faults := parseFarm(src)
	if faults.Err() != nil {
		t.Fatal(faults)
	}
	shop, blog := c.InMaintenance("sites/shop.caddy"), c.InMaintenance("sites/blog.caddy")
	if shop == nil || shop.Message != "back \"soon\"" || shop.RetryAfter != time.Hour || blog == nil || blog.RetryAfter != 5*time.Minute {
		t.Fatalf("in maintenance are %+v and %+v", shop, blog)
	}
	for a, want := range map[string]bool{"192.0.2.7": true, "192.0.2.8": false, "2001:db8::5": true, "2001:db9::5": false} {
		if shop.Lets(netip.MustParseAddr(a)) != want || blog.Lets(netip.MustParseAddr(a)) {
			t.Errorf("%s gets through: %v", a, !want)
		}
	}
	again, err := SetMaintenance(src, Maintenance{Site: "shop"})
	if err != nil || strings.Count(string(again), "[maintenance.shop]") != 1 || strings.Contains(string(again), "soon") {
		t.Errorf("said again: %s, %v", again, err)
	}
	for _, site := range []string{"shop", AllSites} {
		if src, err = EndMaintenance(src, site); err != nil {
			t.Fatal(err)
		}
	}
	if string(src) != maintained {
		t.Errorf("when all is over, farm.toml is\n%s", src)
	}
	if _, err := EndMaintenance(src, "shop"); farm.KindOf(err) != farm.NotFound {
		t.Errorf("it was over already: %v", err)
	}
	if _, err := EndMaintenance([]byte(maintained+"[maintenance]\nshop = { message = \"x\" }\n"), "shop"); farm.KindOf(err) != farm.Unsupported {
		t.Errorf("a table in a table: %v", err)
	}
	if _, err := SetMaintenance([]byte(maintained), Maintenance{Site: "shop", Allow: []string{"everybody"}}); farm.KindOf(err) != farm.Invalid {
		t.Errorf("no address: %v", err)
	}
}

func TestMaintenanceFaults(t *testing.T) {
	_, faults := parseFarm([]byte(maintained + "[maintenance.\"a b\"]\n[maintenance.shop]\nallow = [\"192.0.2.7\", \"192.0.2.0/40\"]\nretry_after = \"0s\"\n"))
	got := faults.Error()
	for _, want := range []string{`5:14: "a b" is no name of a site`, `7:23: "192.0.2.0/40" is neither an address nor a network`, `8:15: "maintenance.shop.retry_after"`} {
		if !strings.Contains(got, want) {
			t.Errorf("no fault %s in\n%s", want, got)
		}
	}
}
