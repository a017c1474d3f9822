package web

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestEdgeDirective(t *testing.T) {
	for text, want := range map[string]struct {
		options *config.EdgeSite
		fault   string // "line:column: message (hint)"
	}{
		"":     {},
		"edge": {options: &config.EdgeSite{}},
		"edge {\n\t\tpolicy least_connections\n\t}": {options: &config.EdgeSite{Policy: config.LeastConnections}},
		"edge {\n\t\tpolicy hash cookie sid\n\t\taffinity cookie\n\t}": {options: &config.EdgeSite{
			Policy: "hash cookie sid", Affinity: config.Affinity{By: config.ByCookie, Cookie: "tandem_node", Drain: 30 * time.Second}}},
		"edge {\n\t\taffinity cookie drain drain 0s\n\t}": {fault: `:3:3: affinity: drain takes a time`},
		"edge {\n\t\taffinity cookie srv drain 1m\n\t}": {options: &config.EdgeSite{
			Affinity: config.Affinity{By: config.ByCookie, Cookie: "srv", Drain: time.Minute}}},
		"edge {\n\t\taffinity address drain 0s\n\t}": {options: &config.EdgeSite{Affinity: config.Affinity{By: config.ByAddress}}},
		"edge {\n\t\taffinity header X\n\t}":         {fault: `:3:3: affinity: it takes: cookie [NAME] or address`},
		"edge {\n\t\taffinity cookie a;b\n\t}":       {fault: `:3:3: affinity: "a;b" is no name of a cookie`},
		"edge {\n\t\tmax_body 10MiB\n\t\tallow 192.0.2.0/24 2001:db8::7\n\t\tallow 192.0.3.1\n\t\tdeny 192.0.2.9\n\t}": {options: &config.EdgeSite{MaxBody: 10 << 20,
			Allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::7/128"), netip.MustParsePrefix("192.0.3.1/32")},
			Deny:  []netip.Prefix{netip.MustParsePrefix("192.0.2.9/32")}}},
		"edge {\n\t\tmax_body off\n\t\trate 10r/s\n\t\trate 30r/m burst 5 path /login*\n\t}": {options: &config.EdgeSite{MaxBody: -1,
			Rates: []config.RateLimit{{PerSecond: 10, Burst: 10}, {PerSecond: .5, Burst: 5, Path: "/login*"}}}},
		"edge {\n\t\tmax_per_node 20\n\t}":                            {options: &config.EdgeSite{MaxPerNode: 20}},
		"edge {\n\t\tmax_per_node 0\n\t}":                             {fault: `:3:3: max_per_node: "0" is not a number from 1`},
		"edge {\n\t\tmax_body much\n\t}":                              {fault: `:3:3: max_body: "much" is not a size`},
		"edge {\n\t\tmax_body 0\n\t}":                                 {fault: `:3:3: max_body: write off for any size`},
		"edge {\n\t\tdeny\n\t}":                                       {fault: `:3:3: deny: it takes addresses and networks`},
		"edge {\n\t\tdeny 192.0.2.1/24\n\t}":                          {fault: `write "192.0.2.0/24" for the network`},
		"edge {\n\t\trate\n\t}":                                       {fault: `:3:3: rate: it takes a rate, and perhaps a burst and a path`},
		"edge {\n\t\trate 10/s\n\t}":                                  {fault: `:3:3: rate: "10/s" is not a rate`},
		"edge {\n\t\trate 0r/s\n\t}":                                  {fault: `"0r/s" is not a rate`},
		"edge {\n\t\trate 10r/s burst none\n\t}":                      {fault: `burst "none" is not a number`},
		"edge {\n\t\trate 10r/s path login\n\t}":                      {fault: `path "login" must begin with / or *`},
		"edge {\n\t\trate 10r/s per host\n\t}":                        {fault: `there is no "per"`},
		"edge {\n\t\tpassthrough\n\t}":                                {options: &config.EdgeSite{Passthrough: true}},
		"edge {\n\t\tpassthrough to web1\n\t}":                        {fault: `:3:3: passthrough takes no "to"`},
		"edge on":                                                     {fault: `:2:2: edge takes its options in a block`},
		"edge {\n\t\tpolcy round_robin\n\t}":                          {fault: `:3:3: edge has no option "polcy" (did you mean "policy"?)`},
		"edge {\n\t\tpolicy\n\t}":                                     {fault: `:3:3: policy: it takes one of round_robin, least_connections`},
		"edge {\n\t\tpolicy fastest\n\t}":                             {fault: `:3:10: policy: "fastest" is not one of`},
		"edge {\n\t\tpolicy round_robin\n\t\tpolicy round_robin\n\t}": {fault: `:4:3: policy stands there twice`},
		"edge\n\tedge":                                                {fault: `:3:2: a block has one edge directive at most`},
		"handle {\n\t\tedge {\n\t\t}\n\t}":                            {fault: `edge`},
	} {
		p, faults := compile("sites/a.caddy", "a.test {\n\t"+text+"\n\trespond a\n}", nil)
		switch {
		case want.fault != "":
			if len(faults) != 1 || !strings.Contains(faults[0].String(), want.fault) || faults[0].Line < 2 {
				t.Errorf("%q: %v, want %s", text, faults, want.fault)
			}
		case faults != nil:
			t.Errorf("%q: %v", text, faults)
		case want.options == nil:
			if p.blocks[0].edge != nil {
				t.Errorf("%q says %+v", text, p.blocks[0].edge)
			}
		default:
			want.options.Name = "sites/a.caddy a.test"
			if got := p.blocks[0].edge; !reflect.DeepEqual(got, want.options) {
				t.Errorf("%q says %+v", text, got)
			}
		}
	}
}

// Whoever answers or balances: a name's options are those of the first of its blocks that has some.
func TestEdgeOptionsOfAHost(t *testing.T) {
	r := newRig(t)
	const least = "\n\tedge {\n\t\tpolicy least_connections\n\t}\n"
	for _, role := range []farm.Role{farm.RoleNode, farm.RoleEdge} {
		c := farmOf(map[string]string{
			"a": "a.test {\n\trespond a\n}\nhttp://a.test {" + least + "\trespond a\n}",
			"b": "*.b.test {" + least + "}",
			"c": "(common) {" + least + "}\nc.test, d.test {\n\timport common\n}\ne.test {\n}",
		})
		c.Members[0].Roles = []farm.Role{role}
		p, err := r.Prepare(t.Context(), nil, c)
		if err != nil {
			t.Fatal(err)
		}
		p.Commit()
		for host, want := range map[string]string{
			"A.test:80": "sites/a.caddy http://a.test", "x.b.test": "sites/b.caddy *.b.test", "d.test": "sites/c.caddy c.test",
		} {
			if got := r.Edge(host); got == nil || got.Name != want || got.Policy != config.LeastConnections {
				t.Errorf("%s, %s: %+v, want %s", role, host, got, want)
			}
		}
		if e := r.Edge("e.test"); e == nil || !reflect.DeepEqual(*e, config.EdgeSite{}) || e != r.Edge("e.test") {
			t.Errorf("a block that says nothing has %+v", e)
		}
		if r.Edge("f.test") != nil {
			t.Error("a site that is not there has options")
		}
		if n := len(r.Edges()); n != 3 {
			t.Errorf("%d blocks have options", n)
		}
	}
}

// The maintenance of farm.toml is among the options of each block of the site, and of no other.
func TestMaintenanceOfAHost(t *testing.T) {
	r := newRig(t)
	c := farmOf(map[string]string{
		"a": "http://a.test:1 {\n}\nhttp://x.test:1 {\n\tedge {\n\t\tpolicy least_time\n\t}\n}",
		"b": "http://b.test:1 {\n}",
	})
	apply := func(ms ...config.Maintenance) {
		c.Maintenance = ms
		p, err := r.Prepare(t.Context(), nil, c)
		if err != nil {
			t.Fatal(err)
		}
		p.Commit()
	}
	state := func() string {
		s := ""
		for _, host := range []string{"a.test", "x.test", "b.test"} {
			if o := r.Edge(host); o.Maintenance != nil {
				s += o.Name + " " + o.Maintenance.Message + " " + string(o.Policy) + "; "
			}
		}
		return s
	}
	apply(config.Maintenance{Site: "a", Message: "soon"})
	if got, want := state(), "sites/a.caddy a.test soon ; sites/a.caddy http://x.test:1 soon least_time; "; got != want || len(r.Edges()) != 2 {
		t.Errorf("one site: %q, want %q; %d have options", got, want, len(r.Edges()))
	}
	apply(config.Maintenance{Site: "*", Message: "later"}, config.Maintenance{Site: "a", Message: "soon"})
	if got, want := state(), "sites/a.caddy a.test soon ; sites/a.caddy http://x.test:1 soon least_time; sites/b.caddy b.test later ; "; got != want {
		t.Errorf("all sites: %q, want %q", got, want)
	}
	apply()
	if got := state(); got != "" || len(r.Edges()) != 1 {
		t.Errorf("none: %q", got)
	}
}

// A site without TLS has none that could pass through.
func TestPassthroughWithoutTLS(t *testing.T) {
	_, faults := compile("sites/a.caddy", "http://a.test {\n\tedge {\n\t\tpassthrough\n\t}\n\trespond a\n}", nil)
	if len(faults) != 1 || !strings.Contains(faults[0].String(), "sites/a.caddy:1:1: edge { passthrough } is for sites with HTTPS") {
		t.Errorf("faults: %v", faults)
	}
	_, faults = compile("sites/a.caddy", "a.test {\n\tedge {\n\t\tpassthrough\n\t\trate 10r/s\n\t}\n\trespond a\n}", nil)
	if len(faults) != 1 || !strings.Contains(faults[0].String(), "the edge sees no requests") {
		t.Errorf("faults: %v", faults)
	}
}
