package edge

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
)

func networks(list ...string) (all []netip.Prefix) {
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

func TestWhoMayVisit(t *testing.T) {
	for name, c := range map[string]struct {
		guard  Guard
		site   config.EdgeSite
		from   string
		header string // X-Forwarded-For
		status int
	}{
		"nothing said":                      {status: 200},
		"denied":                            {guard: Guard{Deny: networks("192.0.2.0/24")}, status: 403},
		"another is denied":                 {guard: Guard{Deny: networks("192.0.3.0/24")}, status: 200},
		"allowed":                           {guard: Guard{Allow: networks("192.0.2.1/32")}, status: 200},
		"another is allowed":                {guard: Guard{Allow: networks("2001:db8::/32")}, status: 403},
		"allowed and denied":                {guard: Guard{Allow: networks("192.0.2.0/24"), Deny: networks("192.0.2.1/32")}, status: 403},
		"denied by the site":                {site: config.EdgeSite{Deny: networks("192.0.2.1/32")}, status: 403},
		"allowed by the site, not the farm": {guard: Guard{Deny: networks("192.0.2.1/32")}, site: config.EdgeSite{Allow: networks("192.0.2.1/32")}, status: 403},
		"behind a proxy":                    {guard: Guard{Trusted: networks("10.0.0.0/8"), Deny: networks("203.0.113.9/32")}, from: "10.0.0.1:1", header: "203.0.113.9", status: 403},
		"who only says so":                  {guard: Guard{Trusted: networks("10.0.0.0/8"), Allow: networks("203.0.113.9/32")}, header: "203.0.113.9", status: 403},
	} {
		network := newNetwork()
		network.set("web1", named("web1"))
		e := healthyEdge(network, Config{Site: func(string) *config.EdgeSite { return &c.site }}, "web1")
		e.SetGuard(c.guard)
		r := visit("GET", "/", nil)
		if c.from != "" {
			r.RemoteAddr = c.from
		}
		r.Header.Set("X-Forwarded-For", c.header)
		if w := get(e, r); w.Code != c.status || c.status != 200 && network.dials["web1"] > 0 {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.status)
		}
		closeIdle(e)
	}
}

// What a trusted proxy says of the visitor reaches the node; what anybody else says does not.
func TestProxiesBeforeTheEdge(t *testing.T) {
	network := newNetwork()
	network.set("web1", serving(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		fmt.Fprintf(w, "%s %s %s %q", h.Get("X-Forwarded-For"), h.Get("X-Forwarded-Proto"), h.Get("X-Request-Id"), h.Get("Forwarded"))
	}))
	e := healthyEdge(network, Config{}, "web1")
	defer closeIdle(e)
	e.SetGuard(Guard{Trusted: networks("10.0.0.0/8")})
	ask := func(from, id string) string {
		r := visit("GET", "/", nil)
		r.RemoteAddr = from
		for name, v := range map[string]string{"X-Forwarded-For": "6.6.6.6, 203.0.113.9", "X-Forwarded-Proto": "https", "X-Request-Id": id, "Forwarded": "for=7.7.7.7"} {
			r.Header.Set(name, v)
		}
		return get(e, r).Body.String()
	}
	if got := ask("10.0.0.1:1", "abc-1"); got != `203.0.113.9 https abc-1 ""` {
		t.Errorf("behind a proxy: %s", got)
	}
	for _, id := range []string{"", "a b", strings.Repeat("x", maxRequestIDBytes+1), "a\"b"} {
		if got := ask("10.0.0.1:1", id); id != "" && strings.Contains(got, id) || len(strings.Fields(got)[2]) != 16 {
			t.Errorf("id %q: %s", id, got)
		}
	}
	if got := ask("192.0.2.1:1", "abc-1"); !strings.HasPrefix(got, "192.0.2.1 http ") || strings.Contains(got, "abc-1") {
		t.Errorf("from a visitor: %s", got)
	}
}

func TestBodiesThatAreTooLarge(t *testing.T) {
	for name, c := range map[string]struct {
		farm   int64
		site   config.Size
		body   io.Reader
		status int
		asked  bool // a node
	}{
		"any":                             {0, 0, strings.NewReader("hello"), 200, true},
		"small enough":                    {5, 0, strings.NewReader("hello"), 200, true},
		"too large":                       {4, 0, strings.NewReader("hello"), 413, false},
		"too large for the site":          {0, 4, strings.NewReader("hello"), 413, false},
		"the site takes more":             {4, 5, strings.NewReader("hello"), 200, true},
		"the site takes any":              {4, -1, strings.NewReader("hello"), 200, true},
		"too large, of unknown length":    {1 << 20, 0, io.LimitReader(endless{}, 2<<20), 413, true},
		"small enough, of unknown length": {1 << 20, 0, io.LimitReader(endless{}, 1<<20), 200, true},
	} {
		network := newNetwork()
		network.set("web1", serving(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
		e := healthyEdge(network, Config{Site: func(string) *config.EdgeSite { return &config.EdgeSite{MaxBody: c.site} }}, "web1")
		e.SetGuard(Guard{MaxBody: c.farm})
		w := get(e, visit("POST", "/", c.body))
		if asked := network.dials["web1"] > 0; w.Code != c.status || asked != c.asked {
			t.Errorf("%s: status %d, want %d; a node was asked: %v", name, w.Code, c.status, asked)
		}
		closeIdle(e)
	}
}

// Requests by HTTP/2 need no connection each: they are counted.
func TestRequestsInFlightOfOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network, release := newNetwork(), make(chan struct{})
		network.set("web1", serving(func(http.ResponseWriter, *http.Request) { <-release }))
		e := healthyEdge(network, Config{}, "web1")
		defer closeIdle(e)
		e.SetGuard(Guard{MaxPerAddress: 2, Trusted: networks("10.0.0.1/32")})
		by2 := func(from string) *http.Request {
			r := visit("GET", "/", nil)
			r.ProtoMajor, r.RemoteAddr = 2, from
			return r
		}
		var under []<-chan result
		for _, r := range []*http.Request{by2("192.0.2.1:1"), by2("192.0.2.1:1"), by2("192.0.2.2:1"), visit("GET", "/", nil), by2("10.0.0.1:1"), by2("10.0.0.1:1"), by2("10.0.0.1:1")} {
			under = append(under, ask(e, r))
		}
		synctest.Wait()
		if w := get(e, by2("192.0.2.1:2")); w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Errorf("one too many got %d", w.Code)
		}
		close(release)
		for _, u := range under {
			if got := <-u; got.status != 200 {
				t.Errorf("got %d", got.status)
			}
		}
		if len(e.crowds.by) != 0 {
			t.Errorf("counted still: %v", e.crowds.by)
		}
	})
}

func TestRates(t *testing.T) {
	rs := newRates([]config.RateLimit{{PerSecond: 10, Burst: 5}, {PerSecond: .1, Burst: 2, Path: "/login*"}})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	now := time.Unix(1000, 0)
	for i, c := range []struct {
		from netip.Addr
		path string
		pass time.Duration
		wait time.Duration
	}{
		{a, "/login", 0, 0}, {a, "/LOGIN.php", 0, 0}, {a, "//x/../login", 0, 10 * time.Second}, // two logins at once, however they are written
		{a, "/", 0, 0}, {a, "/", 0, 0}, {a, "/", 0, 0}, {a, "/", 0, 100 * time.Millisecond}, // five requests, of which what was refused is none
		{b, "/login", 0, 0}, {b, "/", 0, 0}, // another visitor
		{a, "/", 100 * time.Millisecond, 0}, {a, "/", 0, 100 * time.Millisecond},
		{a, "/login", 9900 * time.Millisecond, 0}, {a, "/login", 0, 10 * time.Second},
		{netip.MustParseAddr("2001:db8::1"), "/login", 0, 0}, {netip.MustParseAddr("2001:db8::2"), "/login", 0, 0},
		{netip.MustParseAddr("2001:db8::3"), "/login", 0, 10 * time.Second}, // one network, one visitor
		{netip.MustParseAddr("2001:db8:0:1::3"), "/login", 0, 0},
	} {
		now = now.Add(c.pass)
		if wait := rs.take(c.from, c.path, now); wait.Round(time.Millisecond) != c.wait {
			t.Errorf("%d: %v %s waits %v, want %v", i, c.from, c.path, wait, c.wait)
		}
	}
}

// However many addresses ask, the table does not grow beyond its bound, and those that ask too much stay in it for long.
func TestRatesAreBounded(t *testing.T) {
	r := newRates([]config.RateLimit{{PerSecond: 1, Burst: 1}})[0]
	now := time.Unix(1000, 0)
	for i := range maxRated + 100 {
		r.limiter(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now).AllowN(now, 1)
	}
	if len(r.by) > maxRated {
		t.Errorf("%d addresses", len(r.by))
	}
	r.limiter(netip.MustParseAddr("192.0.2.1"), now.Add(time.Minute))
	if len(r.by) != 1 {
		t.Errorf("%d addresses of which all but one may ask again", len(r.by))
	}
}

// A revision that does not change a site's limits forgets nobody.
func TestRatesOutliveRevisions(t *testing.T) {
	var mu sync.Mutex
	o := &config.EdgeSite{Name: "a", Rates: []config.RateLimit{{PerSecond: .01, Burst: 1}}}
	network := newNetwork()
	network.set("web1", named("web1"))
	e := healthyEdge(network, Config{Site: func(string) *config.EdgeSite { mu.Lock(); defer mu.Unlock(); return o }}, "web1")
	defer closeIdle(e)
	first, second := get(e, visit("GET", "/", nil)).Code, get(e, visit("GET", "/", nil))
	if first != 200 || second.Code != 429 || second.Header().Get("Retry-After") != "100" {
		t.Fatalf("%d, %d %v", first, second.Code, second.Header())
	}
	again := *o
	o = &again
	if got := get(e, visit("GET", "/", nil)).Code; got != 429 {
		t.Errorf("after a revision: %d", got)
	}
	changed := again
	changed.Rates = []config.RateLimit{{PerSecond: 10, Burst: 10}}
	o = &changed
	if got := get(e, visit("GET", "/", nil)).Code; got != 200 {
		t.Errorf("after a change: %d", got)
	}
}

func TestMatchesPath(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"/login", "/login", true}, {"/login", "/login/", false}, {"/login*", "/Login/x", true}, {"*.php", "/a/b.PHP", true},
		{"*.php", "/a.php/x", false}, {"*admin*", "/x/admin/y", true}, {"*", "/", true}, {"/a", "/b", false},
	} {
		if got := matchesPath(c.pattern, c.path); got != c.want {
			t.Errorf("%s %s: %v", c.pattern, c.path, got)
		}
	}
}
