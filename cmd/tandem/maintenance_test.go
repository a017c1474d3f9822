package main

import (
	"context"
	"strings"
	"testing"

	"tandem/internal/control"
	"tandem/internal/farm"
)

func (d *daemon) Maintain(_ context.Context, m control.Maintenance) error {
	d.maintained = m
	if m.Site == "wiki" {
		return farm.Errorf("maintenance", m.Site, farm.NotFound, "there is no site of that name")
	}
	return nil
}

func TestMaintenanceCommands(t *testing.T) {
	d := &daemon{status: wellStatus()}
	d.status.Maintenance = []control.Maintenance{{Site: "shop", On: true, Allow: []string{"192.0.2.7", "192.0.2.8"}}, {Site: "*", On: true}}
	socket, _ := serveDaemon(t, d)
	for _, c := range []struct {
		args   string
		code   int
		out    string
		errOut string
		site   string
	}{
		{"maintenance on shop --message soon --allow 192.0.2.7 --allow 192.0.2.0/24 --retry-after 1h", 0, "", "tandem: shop is in maintenance\n", "shop"},
		{"maintenance on sites/shop.caddy", 0, "", "tandem: shop is in maintenance\n", "shop"},
		{"maintenance on", 0, "", "tandem: all sites are in maintenance\n", "*"},
		{"maintenance off", 0, "", "tandem: all sites are in service\n", "*"},
		{"maintenance off shop", 0, "", "tandem: shop is in service\n", "shop"},
		{"maintenance off wiki", 3, "", "there is no site of that name", "wiki"},
		{"maintenance on a b", 2, "", "2 arguments were given", ""},
		{"status", 0, "  shop is in maintenance for all but 192.0.2.7, 192.0.2.8\n  all sites are in maintenance\n", "", ""},
	} {
		d.maintained = control.Maintenance{}
		a, out, errOut := quietApp()
		if code := a.run(t.Context(), append(strings.Fields(c.args), "--socket", socket)); code != c.code {
			t.Errorf("%s ends with %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String(), c.out) || !strings.Contains(errOut.String(), c.errOut) || d.maintained.Site != c.site {
			t.Errorf("%s says %q, %q of %+v", c.args, out, errOut, d.maintained)
		}
		if c.args == "maintenance on shop --message soon --allow 192.0.2.7 --allow 192.0.2.0/24 --retry-after 1h" &&
			(d.maintained.Message != "soon" || len(d.maintained.Allow) != 2 || d.maintained.RetryAfter.Hours() != 1) {
			t.Errorf("it asks for %+v", d.maintained)
		}
	}
}
