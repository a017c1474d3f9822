package web

import (
	"crypto/tls"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// Who a request to a site's own address comes from: only a trusted proxy is believed.
func TestFromFront(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	for name, c := range map[string]struct {
		from, hops, proto string
		tls               bool
		want              string // remote address
		secure            bool
	}{
		"a visitor":                    {"192.0.2.1:5000", "", "", false, "192.0.2.1:5000", false},
		"a visitor who lies":           {"192.0.2.1:5000", "198.51.100.1", "https", false, "192.0.2.1:5000", false},
		"a proxy":                      {"10.0.0.5:5000", "192.0.2.1", "http", false, "192.0.2.1:0", false},
		"a proxy that ends TLS":        {"10.0.0.5:5000", "192.0.2.1", "https", false, "192.0.2.1:0", true},
		"a proxy that begins TLS":      {"10.0.0.5:5000", "192.0.2.1", "http", true, "192.0.2.1:0", false},
		"two proxies and a lie":        {"10.0.0.5:5000", "198.51.100.1, 192.0.2.1, 10.0.0.6", "", true, "192.0.2.1:0", true},
		"a proxy that says nothing":    {"10.0.0.5:5000", "", "", true, "10.0.0.5:0", true},
		"a proxy that speaks nonsense": {"10.0.0.5:5000", "unknown", "", false, "10.0.0.5:0", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://a.test/", nil)
			r.RemoteAddr = c.from
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			if c.hops != "" {
				r.Header.Set("X-Forwarded-For", c.hops)
			}
			if c.proto != "" {
				r.Header.Set("X-Forwarded-Proto", c.proto)
			}
			got := fromFront(r, trusted)
			if got.RemoteAddr != c.want || (got.TLS != nil) != c.secure {
				t.Errorf("it comes from %s, TLS %v", got.RemoteAddr, got.TLS != nil)
			}
			if len(got.Header) > 0 {
				t.Errorf("headers are left: %v", got.Header)
			}
		})
	}
}
