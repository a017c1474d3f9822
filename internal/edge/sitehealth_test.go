package edge

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestSiteHealth(t *testing.T) {
	p := &config.Probe{Fails: 2, Passes: 3}
	e := &config.Eject{Share: 50, Of: 4, Within: 10 * time.Second, For: 30 * time.Second}
	for name, c := range map[string]struct {
		steps string // g, b: probe good, bad; +, -: answer good, failed; 1: a second passes
		want  SiteState
		out   bool
	}{
		"new":                        {"", Serving, false},
		"one bad probe":              {"b", Serving, false},
		"a good one between":         {"bgb", Serving, false},
		"two bad probes":             {"bb", SiteFailing, true},
		"too few good ones":          {"bbgg", SiteFailing, true},
		"a bad one between":          {"bbggbgg", SiteFailing, true},
		"enough good ones":           {"bbggg", Serving, false},
		"too few answers":            {"---", Serving, false},
		"half of four":               {"-+-+", Ejected, true},
		"less than half":             {"-++++-", Serving, false},
		"too slowly":                 {"---1111111111-", Serving, false},
		"not over yet":               {"----1111111111", Ejected, true},
		"over":                       {"----111111111111111111111111111111", Ejected, false},
		"tried again":                {"----111111111111111111111111111111+", Serving, false},
		"tried again, in vain":       {"----111111111111111111111111111111----", Ejected, true},
		"ejected, then failing":      {"----bb", SiteFailing, true},
		"failing, answers are worth": {"bb++++", SiteFailing, true},
	} {
		now := time.Unix(1000, 0)
		var h siteHealth
		for _, step := range c.steps {
			switch step {
			case 'g', 'b':
				h = h.probed(step == 'g', p)
			case '+', '-':
				h = h.answered(step == '-', e, now)
			case '1':
				now = now.Add(time.Second)
			}
		}
		if h.state != c.want || h.out(now) != c.out {
			t.Errorf("%s: %s, out %v; want %s, %v", name, h.state, h.out(now), c.want, c.out)
		}
	}
	failing, ejected := siteHealth{state: SiteFailing}, siteHealth{state: Ejected}
	for _, c := range []struct{ got, want siteHealth }{
		{failing.without(&config.EdgeSite{}), siteHealth{}},
		{failing.without(&config.EdgeSite{Probe: p}), failing},
		{ejected.without(&config.EdgeSite{Probe: p}), siteHealth{}},
		{ejected.without(&config.EdgeSite{Eject: e}), ejected},
	} {
		if c.got != c.want {
			t.Errorf("%+v, want %+v", c.got, c.want)
		}
	}
}

// sick is a farm of two nodes whose two sites answer as told, by host and node.
type sick struct {
	mu     sync.Mutex
	status map[string]int // by "host node"; 0: 200
}

func (k *sick) set(key string, status int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.status[key] = status
}

func (k *sick) node(id string) func(net.Conn) {
	return serving(func(w http.ResponseWriter, r *http.Request) {
		k.mu.Lock()
		status := k.status[r.Host+" "+id]
		k.mu.Unlock()
		if status != 0 {
			w.WriteHeader(status)
		}
		fmt.Fprintf(w, "%s of %s, %s", r.URL.Path, id, r.Header.Get("X-Forwarded-Proto"))
	})
}

func (k *sick) farm(log *events, options map[string]*config.EdgeSite) *Edge {
	k.status = map[string]int{}
	network := newNetwork()
	network.set("web1", k.node("web1"))
	network.set("web2", k.node("web2"))
	return healthyEdge(network, Config{Sink: log.sink, Site: func(host string) *config.EdgeSite { return options[host] }}, "web1", "web2")
}

// seen is which nodes answer a few requests for the host, and with what status.
func seen(e *Edge, host string) string {
	got := map[string]bool{}
	for range 4 {
		r := visit("GET", "/", nil)
		r.Host = host
		w := get(e, r)
		got[fmt.Sprintf("%s %d", w.Header().Get(NodeHeader), w.Code)] = true
	}
	var all []string
	for _, s := range []string{"web1 200", "web2 200", "web1 500", "web2 500", " 503"} {
		if got[s] {
			all = append(all, s)
		}
	}
	return strings.Join(all, ", ")
}

func TestAProbeTakesANodeOutForOneSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := config.NewProbe()
		p.Path, p.Host, p.TLS, p.Contains = "/health", "shop.test", true, "of web"
		options := map[string]*config.EdgeSite{
			"shop.test": {Name: "shop", Probe: &p, Sorry: "back soon", RetryAfter: 90 * time.Second}, "blog.test": {Name: "blog"},
		}
		var k sick
		log := &events{}
		e := k.farm(log, options)
		stop := runEdge(t, e)
		defer stop()
		e.SetSites([]*config.EdgeSite{options["shop.test"], options["blog.test"]})
		check := func(what, shop, blog string) {
			t.Helper()
			pass(11 * time.Second) // two probes
			synctest.Wait()
			if got := seen(e, "shop.test"); got != shop {
				t.Errorf("%s: the shop is answered by %q, want %q", what, got, shop)
			}
			if got := seen(e, "blog.test"); got != blog {
				t.Errorf("%s: the blog is answered by %q, want %q", what, got, blog)
			}
		}
		check("all is well", "web1 200, web2 200", "web1 200, web2 200")
		k.set("shop.test web2", 500)
		check("web2 fails for the shop", "web1 200", "web1 200, web2 200")
		if out := e.Stats()[1].Out; len(out) != 1 || out[0].Site != "shop" || out[0].State != SiteFailing || out[0].Cause != "status 500 Internal Server Error" {
			t.Errorf("the state is %+v", out)
		}
		k.set("shop.test web1", 500)
		check("both fail", " 503", "web1 200, web2 200")
		r := visit("GET", "/", nil)
		w := get(e, r)
		if w.Body.String() != "back soon\n" || w.Header().Get("Retry-After") != "90" {
			t.Errorf("the sorry page is %q, %v", w.Body, w.Header())
		}
		k.set("shop.test web1", 0)
		check("web1 is back", "web1 200", "web1 200, web2 200")
		if got := log.count(farm.EventSiteDown); got != 3 {
			t.Errorf("%d events, want 3", got)
		}
		options["shop.test"] = &config.EdgeSite{Name: "shop"}
		e.SetSites([]*config.EdgeSite{options["shop.test"]})
		if got := seen(e, "shop.test"); got != "web1 200, web2 500" {
			t.Errorf("without the probe: %q", got)
		}
	})
}

// runEdge runs e until the function that it returns is called.
func runEdge(t *testing.T, e *Edge) (stop func()) {
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		_ = e.Run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

func TestAnswersTakeANodeOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rule := config.NewEject()
		options := map[string]*config.EdgeSite{"shop.test": {Name: "shop", Eject: &rule}}
		var k sick
		log := &events{}
		e := k.farm(log, options)
		defer closeIdle(e)
		k.set("shop.test web2", 500)
		for range 12 {
			seen(e, "shop.test")
		}
		if got := seen(e, "shop.test"); got != "web1 200" {
			t.Errorf("after many failures of web2: %q", got)
		}
		if log.count(farm.EventSiteEjected) != 1 {
			t.Errorf("%d events, want 1", log.count(farm.EventSiteEjected))
		}
		k.set("shop.test web2", 0)
		pass(rule.For)
		if got := seen(e, "shop.test"); got != "web1 200, web2 200" {
			t.Errorf("when the time is over: %q", got)
		}
		// A site that fails everywhere is not better off with no node.
		k.set("shop.test web1", 500)
		k.set("shop.test web2", 500)
		for range 20 {
			seen(e, "shop.test")
		}
		if got := seen(e, "shop.test"); got != "web1 500, web2 500" {
			t.Errorf("when all answers are failures: %q", got)
		}
	})
}

func TestProbeOfAPort(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	e := New(Config{})
	e.SetNodes([]Node{{ID: "web1", Host: "127.0.0.1"}})
	p := config.NewProbe()
	p.Port = port
	if err := e.probeSite(t.Context(), e.nodes[0], &p); err != nil {
		t.Errorf("somebody listens: %v", err)
	}
	_ = ln.Close()
	if err := e.probeSite(t.Context(), e.nodes[0], &p); err == nil {
		t.Error("nobody listens, and the probe is content")
	}
}

func TestProbeJudgesTheAnswer(t *testing.T) {
	var asked atomic.Int64
	network := newNetwork()
	network.set("web1", serving(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusNoContent - 2)
		_, _ = io.WriteString(w, r.Host+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Forwarded-Proto"))
	}))
	e := healthyEdge(network, Config{}, "web1")
	defer closeIdle(e)
	for contains, c := range map[string]struct {
		low, high int
		fault     string
	}{
		"shop.test /a?b https": {200, 299, ""},
		"":                     {202, 202, ""},
		"x":                    {200, 299, "does not hold the text"},
		"shop":                 {200, 201, "status 202"},
	} {
		p := config.NewProbe()
		p.Path, p.Host, p.TLS, p.Low, p.High, p.Contains = "/a?b", "shop.test", true, c.low, c.high, contains
		err := e.probeSite(t.Context(), e.nodes[0], &p)
		if (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%q, %d to %d: %v, want %q", contains, c.low, c.high, err, c.fault)
		}
	}
	if network.dials["web1"] != 1 || asked.Load() != 4 {
		t.Errorf("%d connections for %d probes", network.dials["web1"], asked.Load())
	}
}

func TestSorryPages(t *testing.T) {
	const html = "  <!doctype html><h1>Back at noon</h1>"
	for _, c := range []struct {
		sorry, accept, kind, body string
	}{
		{"", "", "text/plain", "The site can't be reached"},
		{"back at noon", "", "text/plain", "back at noon\n"},
		{"back <at> noon", "text/html", "text/html", "back &lt;at&gt; noon"},
		{"back <at> noon", "text/html", "text/html", "content=\"10\">"}, // it tries again by itself
		{"", "text/html", "text/html", "The site can&#39;t be reached at the moment. "},
		{html, "", "text/html", html},
		{html, "text/html", "text/html", html},
	} {
		options := &config.EdgeSite{Sorry: c.sorry}
		e := New(Config{Site: func(string) *config.EdgeSite { return options }})
		v := *e.view.Load()
		v.lackFrom = time.Unix(0, 0) // no news
		e.view.Store(&v)
		r := visit("GET", "/", nil)
		r.Header.Set("Accept", c.accept)
		w := get(e, r)
		if w.Code != 503 || w.Header().Get("Retry-After") != "3" || w.Header().Get("Cache-Control") != "no-store" ||
			!strings.HasPrefix(w.Header().Get("Content-Type"), c.kind) || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%+v: %d, %v, %q", c, w.Code, w.Header(), w.Body)
		}
	}
}

// A body that is kept can be sent again as long as no node has seen a byte of the request; the limit is a setting.
func TestKeptBodies(t *testing.T) {
	for _, c := range []struct {
		size  int
		limit config.Size
		whole bool
	}{{KeptBodyBytes, 0, true}, {KeptBodyBytes + 1, 0, false}, {KeptBodyBytes + 1, 1 << 20, true}, {100, 10, false}} {
		x := exchange{edge: New(Config{}), options: &config.EdgeSite{KeepBody: c.limit}, r: visit("POST", "/", bytes.NewReader(make([]byte, c.size)))}
		if _, err := x.takeBody(); err != nil || x.load.stream == c.whole || c.whole && len(x.load.kept) != c.size {
			t.Errorf("%d bytes with a limit of %v: streams %v, %d kept, %v", c.size, c.limit, x.load.stream, len(x.load.kept), err)
		}
	}
	x := exchange{edge: New(Config{}), options: &config.EdgeSite{KeepBody: 1 << 20}, r: visit("POST", "/", strings.NewReader("short"))}
	x.r.ContentLength = 1 << 19
	if status, err := x.takeBody(); err == nil || status != http.StatusBadRequest {
		t.Errorf("a body that ends early: %d, %v", status, err)
	}
}

// A deadline bounds all that is tried for a request: waits, queues and nodes that do not answer.
func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := newNetwork()
		mute := serving(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		network.set("web1", mute)
		network.set("web2", mute)
		options := &config.EdgeSite{Name: "shop", Deadline: 3 * time.Second}
		e := healthyEdge(network, Config{Site: func(string) *config.EdgeSite { return options }}, "web1", "web2")
		defer closeIdle(e)
		for _, method := range []string{"GET", "POST"} {
			if got := <-ask(e, visit(method, "/", nil)); got.status != http.StatusGatewayTimeout || got.took != 3*time.Second {
				t.Errorf("%s: %d after %v", method, got.status, got.took)
			}
		}
		options = &config.EdgeSite{Name: "shop", AnswerTime: time.Second, RetryTime: 1500 * time.Millisecond}
		if got := <-ask(e, visit("GET", "/", nil)); got.status != http.StatusGatewayTimeout || got.took != 2*time.Second {
			t.Errorf("with a second for an answer and another try: %d after %v", got.status, got.took)
		}
		e.SetLimits(Limits{MaxPerNode: 1, MaxQueue: 9, AnswerTime: time.Hour, Deadline: time.Second})
		options = &config.EdgeSite{Name: "shop"}
		var all []<-chan result
		for range 3 {
			all = append(all, ask(e, visit("POST", "/", nil)))
		}
		for _, a := range all {
			if got := <-a; got.status < 500 || got.took > time.Second {
				t.Errorf("in the queue: %d after %v", got.status, got.took)
			}
		}
	})
}
