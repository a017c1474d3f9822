package client

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, remote string
		header       []string // "name: value"
		addr         string
		https        bool
	}{
		{"nobody between", "203.0.113.9:1", nil, "203.0.113.9", false},
		{"a visitor who claims", "203.0.113.9:1", []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: https"}, "203.0.113.9", false},
		{"a proxy", "10.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https"}, "203.0.113.9", true},
		{"a visitor who claims, and a proxy", "10.0.0.1:1", []string{"X-Forwarded-For: 6.6.6.6, 203.0.113.9"}, "203.0.113.9", false},
		{"on two lines", "10.0.0.1:1", []string{"X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 203.0.113.9"}, "203.0.113.9", false},
		{"two proxies", "10.0.0.1:1", []string{"X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2"}, "203.0.113.9", false},
		{"only proxies", "10.0.0.1:1", []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "10.0.0.3", false},
		{"with a port", "10.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.9:4711"}, "203.0.113.9", false},
		{"IPv6", "[fd00::1]:1", []string{"X-Forwarded-For: 2001:db8::7"}, "2001:db8::7", false},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"X-Forwarded-For: [2001:db8::7]"}, "2001:db8::7", false},
		{"what can't be read is where it ends", "10.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.9, unknown, 10.0.0.2"}, "10.0.0.2", false},
		{"the last of several schemes", "10.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https, http"}, "203.0.113.9", false},
		{"nothing said", "10.0.0.1:1", nil, "10.0.0.1", false},
		{"Forwarded", "10.0.0.1:1", []string{`Forwarded: for=6.6.6.6, for=203.0.113.9;proto=https;host="a.test"`}, "203.0.113.9", true},
		{"Forwarded of IPv6", "10.0.0.1:1", []string{`Forwarded: For="[2001:db8::7]:4711" ; by=_x`}, "2001:db8::7", false},
		{"Forwarded by two", "10.0.0.1:1", []string{"Forwarded: for=203.0.113.9", "Forwarded: for=10.0.0.2;proto=http"}, "203.0.113.9", false},
		{"Forwarded of somebody hidden", "10.0.0.1:1", []string{"Forwarded: for=203.0.113.9, for=_hidden"}, "10.0.0.1", false},
		{"Forwarded with an open quote", "10.0.0.1:1", []string{`Forwarded: for="6.6.6.6, for=203.0.113.9`}, "10.0.0.1", false},
		{"X-Forwarded-For comes first", "10.0.0.1:1", []string{"X-Forwarded-For: 203.0.113.9", "Forwarded: for=6.6.6.6;proto=https"}, "203.0.113.9", false},
	} {
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{}}
		for _, line := range c.header {
			name, value, _ := strings.Cut(line, ": ")
			r.Header.Add(name, value)
		}
		if got := Of(r, trusted); got.Addr.String() != c.addr || got.HTTPS != c.https {
			t.Errorf("%s: got %+v, want %s %v", c.name, got, c.addr, c.https)
		}
	}
}

// FuzzOf: whatever a proxy passes on, the address is the last word of a trusted one.
func FuzzOf(f *testing.F) {
	f.Add("6.6.6.6, 203.0.113.9", "for=1.2.3.4;proto=https", true)
	f.Add("", `for="[2001:db8::7]:80", for=10.0.0.2`, false)
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, xff, fwd string, trust bool) {
		r := &http.Request{RemoteAddr: "192.0.2.1:1", Header: http.Header{}}
		if trust {
			r.RemoteAddr = "10.0.0.1:1"
		}
		if xff != "" {
			r.Header["X-Forwarded-For"] = []string{xff}
		}
		r.Header["Forwarded"] = []string{fwd}
		c := Of(r, trusted)
		if !trust && c.Addr.String() != "192.0.2.1" || !c.Addr.IsValid() || c.Addr.Zone() != "" || c.Addr.Is4In6() {
			t.Errorf("got %+v", c)
		}
		if i := strings.LastIndexByte(xff, ','); trust && xff != "" {
			if last, ok := parseHop(strings.Trim(xff[i+1:], " \t")); ok && !Contains(trusted, last) && c.Addr != last {
				t.Errorf("got %v, and the proxy saw %v", c.Addr, last)
			}
		}
	})
}
