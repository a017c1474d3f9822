package edge

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
)

func TestMaintenance(t *testing.T) {
	network := newNetwork()
	network.set("web1", named("web1"))
	options := &config.EdgeSite{Sorry: "<p>sorry", Maintenance: &config.Maintenance{
		Message: "back at noon", RetryAfter: time.Hour, Admits: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/32")}}}
	e := healthyEdge(network, Config{Site: func(string) *config.EdgeSite { return options }}, "web1")
	defer closeIdle(e)
	r := visit("POST", "/", strings.NewReader("x"))
	r.RemoteAddr = "192.0.2.8:1"
	if w := get(e, r); w.Code != 503 || w.Header().Get("Retry-After") != "3600" || w.Body.String() != "back at noon\n" || network.dials["web1"] > 1 {
		t.Errorf("a visitor gets %d, %v, %q", w.Code, w.Header(), w.Body)
	}
	options.Maintenance.Message = ""
	if w := get(e, r); w.Body.String() != "<p>sorry" {
		t.Errorf("without a message: %q", w.Body)
	}
	r = visit("GET", "/.tandem/health", nil)
	if w := get(e, r); w.Code != 200 {
		t.Errorf("the edge's own health: %d", w.Code)
	}
	r = visit("GET", "/", nil)
	r.RemoteAddr = "192.0.2.7:1"
	if w := get(e, r); w.Body.String() != "web1" {
		t.Errorf("who is let through gets %q", w.Body)
	}
}
