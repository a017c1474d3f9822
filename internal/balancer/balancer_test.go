package balancer

import (
	"flag"
	"os"
	"strings"
	"testing"

	"tandem/internal/control"
	"tandem/internal/farm"
)

var update = flag.Bool("update", false, "write testdata anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := "testdata/" + name
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s differs (go test ./internal/balancer -update); err %v; now it is\n%s", file, err, got)
	}
}

// shop is a farm in which one site has all addresses, one a port of its own, and one stands on web1 alone.
func shop() control.Fronts {
	all := []control.SiteBinding{
		{Site: "sites/shop.caddy", Host: "shop.example.com", Address: ":443", TLS: true},
		{Site: "sites/shop.caddy", Host: "*.shop.example.com", Address: ":443", TLS: true},
		{Site: "sites/wiki.caddy", Host: "wiki.example.com", Address: ":80"},
		{Site: "sites/any.caddy", Host: "", Address: ":8080"},
	}
	only := []control.SiteBinding{
		{Site: "sites/only.caddy", Host: "only.example.com", Address: "192.0.2.11:443", TLS: true},
		{Site: "sites/odd.caddy", Host: "odd.example.com", Address: "198.51.100.1:80"},
	}
	return control.Fronts{Farm: "shop", Revision: "0123456789abcdef", Nodes: []control.FrontNode{
		{Name: "web1", Host: "192.0.2.11", Weight: 1000, Bindings: append(all, only...)},
		{Name: "web2", Host: "2001:db8::12", Weight: 100, Draining: true, Bindings: append(all, only...)},
	}}
}

func TestBalancers(t *testing.T) {
	for name, write := range map[string]func(control.Fronts, Options) (string, error){"haproxy.cfg": HAProxy, "nginx.conf": Nginx} {
		text, err := write(shop(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, text)
		if again, _ := write(shop(), Options{}); again != text {
			t.Errorf("%s differs from call to call", name)
		}
		text, err = write(shop(), Options{Reach: map[farm.MemberID]string{"web2": "10.0.0.2"}, CA: NoCA, Certificates: "/certs/"})
		if err != nil || !strings.Contains(text, "10.0.0.2:443") || strings.Contains(text, "2001:") || strings.Contains(text, "verify required") ||
			strings.Contains(text, "proxy_ssl_verify") || !strings.Contains(text, " /certs/") {
			t.Errorf("options are not heeded: %v\n%s", err, text)
		}
		if _, err := write(shop(), Options{Reach: map[farm.MemberID]string{"web9": "10.0.0.2"}}); farm.KindOf(err) != farm.NotFound {
			t.Errorf("a node that is none: %v", err)
		}
		if _, err := write(control.Fronts{}, Options{}); farm.KindOf(err) != farm.NotFound {
			t.Errorf("a farm without sites: %v", err)
		}
	}
}

func edges(n int) []Peer {
	all := []Peer{{"edge1", "10.0.0.1"}, {"edge2", "10.0.0.2"}, {"edge3", "10.0.0.3"}}
	return all[:n]
}

func TestKeepalived(t *testing.T) {
	good := Moving{Farm: "shop", Self: "edge2", Edges: edges(3), Addresses: []string{"10.0.0.100/24", "2001:db8::100/64"},
		Interface: "eth0", Check: "/usr/bin/tandem health --edge", Notify: "/etc/tell"}
	text, err := Keepalived(good)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "keepalived.conf", text)
	for name, change := range map[string]func(*Moving){
		"no edge":       func(m *Moving) { m.Self = "web1" },
		"alone":         func(m *Moving) { m.Edges, m.Self = edges(1), "edge1" },
		"no address":    func(m *Moving) { m.Addresses = nil },
		"no prefix":     func(m *Moving) { m.Addresses = []string{"10.0.0.100"} },
		"other family":  func(m *Moving) { m.Addresses = []string{"2001:db8::100/64"} },
		"named edge":    func(m *Moving) { m.Edges = []Peer{{"edge2", "edge2.example.com"}, {"edge1", "10.0.0.1"}} },
		"mixed edges":   func(m *Moving) { m.Edges = []Peer{{"edge2", "10.0.0.2"}, {"edge1", "2001:db8::1"}} },
		"router id 256": func(m *Moving) { m.RouterID = 256 },
		"too many":      func(m *Moving) { m.Edges = append(make([]Peer, maxEdges), m.Edges...) },
	} {
		bad := good
		change(&bad)
		if text, err := Keepalived(bad); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
}

// The last of as many edges as may be, and well, comes before the first that is ill.
func TestPriorities(t *testing.T) {
	if last := firstPriority - (maxEdges-1)*priorityStep; last <= firstPriority-failPenalty || last-failPenalty < 1 {
		t.Errorf("the last edge has priority %d", last)
	}
}
