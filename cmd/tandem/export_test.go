package main

import (
	"context"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (d *daemon) Fronts(context.Context) (control.Fronts, error) {
	return control.Fronts{Farm: "shop", Nodes: []control.FrontNode{
		{Name: "web1", Host: "192.0.2.11", Weight: 1, Bindings: []control.SiteBinding{{Site: "sites/a.caddy", Host: "a.test", Address: ":80"}}},
	}}, nil
}

const edgeFarm = `
[edge]
virtual_address = "127.0.0.100/8"

[member.edge1]
address = "127.0.0.1:7443"
key = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
roles = ["node", "edge"]

[member.edge2]
address = "127.0.0.2:7443"
key = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
roles = ["edge"]
`

func TestExportAndHealth(t *testing.T) {
	edge := control.Status{
		Member: "edge1", Roles: []farm.Role{farm.RoleEdge}, Config: control.ConfigStatus{Revision: "r", Wanted: "r"},
		Nodes: []control.Node{{Member: "web1", State: control.HealthHealthy}, {Member: "web2", State: control.HealthFailing}},
	}
	alone, refused, draining := edge, edge, edge
	alone.Nodes = edge.Nodes[1:]
	refused.Bindings = []control.Binding{{Address: ":80", For: "edge", State: control.BindingRefused, Reason: "in use"}}
	draining.Draining = true
	for _, c := range []struct {
		status      control.Status
		args        string
		code        int
		out, errOut string
	}{
		{edge, "export haproxy --reach web1=10.0.0.1", 0, "    server web1 10.0.0.1:80 weight 1\n", ""},
		{edge, "export nginx --json", 0, `"text": "# farm shop`, ""},
		{edge, "export nginx --reach web2=10.0.0.1", 3, "", "tandem: export web2: the farm has no node of that name\n"},
		{edge, "export keepalived", 0, "    interface lo", ""},
		{edge, "export keepalived --interface eth7 --router-id 9 --notify /etc/tell", 0, "    interface eth7\n    virtual_router_id 9\n", ""},
		{edge, "health --edge", 0, "ok\n", ""},
		{edge, "health --edge --json", 0, `"ok": true`, ""},
		{edge, "health", 6, "", "node web2 gets no visitors"},
		{alone, "health --edge", 6, "", "no node takes visitors"},
		{refused, "health --edge", 6, "", "binding :80 is refused: in use"},
		{draining, "health --edge", 6, "", "it drains"},
		{control.Status{Member: "web1", Nodes: edge.Nodes}, "health --edge", 6, "", "web1 is no edge"},
	} {
		socket, _ := serveDaemon(t, &daemon{status: c.status, files: control.Files{config.FarmFile: []byte(edgeFarm)}})
		a, out, errOut := quietApp()
		if code := a.run(t.Context(), append(strings.Fields(c.args), "--socket", socket)); code != c.code {
			t.Errorf("%s ends with %d, want %d", c.args, code, c.code)
		}
		if !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
			t.Errorf("%s prints\n%swant\n%s", c.args, out, c.out)
		}
		if !strings.Contains(errOut.String(), c.errOut) || c.errOut == "" && errOut.Len() > 0 {
			t.Errorf("%s says\n%swant\n%s", c.args, errOut, c.errOut)
		}
	}
	a, _, errOut := quietApp()
	if code := a.run(t.Context(), []string{"health", "--edge", "--socket", t.TempDir() + "/none"}); code != 6 {
		t.Errorf("without a daemon it ends with %d and says %s", code, errOut)
	}
}
