package web

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestStaticFiles(t *testing.T) {
	root := t.TempDir()
	writeFile(t, root+"/index.html", strings.Repeat("hello ", 400))
	writeFile(t, root+"/.tandem/kept", "secret")
	r := newRig(t)
	r.mustLoad(map[string]string{"a": fmt.Sprintf(`http://a.test {
		root * %s
		encode zstd gzip
		file_server browse
	}`, root)})

	req := request(t, "GET", r.edge.URL, "a.test", "/")
	req.Header.Set("Accept-Encoding", "zstd")
	if res := do(t, req); res.Header.Get("Content-Encoding") != "zstd" || len(res.body) > 1000 {
		t.Errorf("not compressed: %v, %d bytes", res.Header, len(res.body))
	}
	if res := r.viaEdge("a.test", "/"); res.body != strings.Repeat("hello ", 400) || res.Header.Get("Server") != "" {
		t.Errorf("got %q, Server %q", res.body, res.Header.Get("Server"))
	}
	for _, path := range []string{"/.tandem/kept", "/.TANDEM/kept", "/x/../.tandem/kept", "/%2etandem/kept", "/.tandem"} {
		if res := r.viaEdge("a.test", path); res.StatusCode != http.StatusNotFound || strings.Contains(res.body, "secret") {
			t.Errorf("%s: %d %q", path, res.StatusCode, res.body)
		}
	}
	if res := r.viaEdge("b.test", "/"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown host gets %d", res.StatusCode)
	}
}

func TestPrivateFilesAreHiddenFromRewritesAndListings(t *testing.T) {
	root := t.TempDir()
	writeFile(t, root+"/.tandem/kept", "secret")
	r := newRig(t)
	r.mustLoad(map[string]string{"a": fmt.Sprintf(`http://a.test {
		root * %s
		rewrite /get /{query}
		file_server browse
	}`, root)})
	if res := r.viaEdge("a.test", "/get?.tandem/kept"); res.StatusCode != http.StatusNotFound {
		t.Errorf("rewritten: %d %q", res.StatusCode, res.body)
	}
	if res := r.viaEdge("a.test", "/"); res.StatusCode != http.StatusOK || strings.Contains(res.body, ".tandem") {
		t.Errorf("listing: %d %q", res.StatusCode, res.body)
	}
}

func TestProxiedApplicationSeesTheVisitor(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "app/1")
		fmt.Fprint(w, r.Host, " ", r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"],
			r.Header["Forwarded"], r.Header["X-Real-Ip"])
	}))
	defer app.Close()
	port := freePort(t)
	r := newRig(t)
	r.mustLoad(map[string]string{"a": fmt.Sprintf(`http://a.test:%s {
		bind {member.address}
		reverse_proxy %s
	}`, port, app.URL)})

	forge := func(base string) answerOf {
		req := request(t, "GET", base, "a.test:"+port, "/")
		req.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.9")
		req.Header.Set("X-Forwarded-Proto", "https")
		req.Header.Set("X-Forwarded-Host", "evil.test")
		req.Header.Set("Forwarded", "for=6.6.6.6")
		return do(t, req)
	}
	host := "a.test:" + port
	res := forge("http://127.0.0.1:" + port)
	if want := host + " [127.0.0.1] [http] [" + host + "] [] []"; res.body != want {
		t.Errorf("by the open front:\n%s, want\n%s", res.body, want)
	}
	if via := res.Header["Via"]; len(via) != 1 || via[0] != "1.1 tandem" || res.Header.Get("Server") != "app/1" {
		t.Errorf("Via is %q, Server %q", via, res.Header.Get("Server"))
	}
	res = forge(r.edge.URL)
	if want := host + " [203.0.113.9] [https] [" + host + "] [for=203.0.113.9;host=\"" + host + "\";proto=https] []"; res.body != want {
		t.Errorf("by the edge:\n%s, want\n%s", res.body, want)
	}
}

func TestBadSiteIsRefusedAlone(t *testing.T) {
	r := newRig(t)
	good := `http://good.test {
		respond good
	}`
	for name, tc := range map[string]struct {
		source string
		line   int
		says   string
	}{
		"unknown directive": {"http://b.test {\n\tfly away\n}", 2, "unrecognized directive: fly"},
		"not linked":        {"http://b.test {\n\ttracing\n}", 2, "unrecognized directive: tracing"},
		"bad argument":      {"http://b.test {\n\n\tfile_server {\n\t\tnonsense\n\t}\n}", 4, "nonsense"},
		"syntax":            {"http://b.test {\n\trespond x\n", 2, ""},
		"load":              {"http://b.test {\n\trespond x\n\treverse_proxy {\n\t\tto localhost:1 localhost:2\n\t\tlb_policy cookie a {\n\t\t\tfallback nonsense\n\t\t}\n\t}\n}", 0, "nonsense"},
		"provision":         {"http://b.test {\n\t@x path_regexp [\n\trespond @x hi\n}", 0, "missing closing ]"},
		"global options":    {"{\n\tadmin :2019\n}\nhttp://b.test {\n}", 2, "no global options"},
		"import":            {"http://b.test {\n\timport /etc/passwd\n}", 2, "can't be imported"},
		"tls":               {"b.test {\n\ttls a.pem b.pem\n}", 2, "certificate store"},
		"placeholder":       {"http://b.test {\n\tbind {member.label.rack}\n}", 2, "member.label.rack"},
		"path":              {"http://b.test/x {\n}", 1, "has no path"},
		"unix socket":       {"http://b.test {\n\tbind unix//run/x\n}", 1, "bind takes IP addresses"},
		"taken":             {"http://good.test {\n\trespond bad\n}", 1, "served by sites/a.caddy already"},
		"other scheme":      {"https://b.test:80 {\n}", 1, "convention"},
		"log":               {"http://b.test {\n\tlog {\n\t\toutput file /dev/null/x\n\t}\n}", 2, ""},
		"own directive":     {"http://b.test {\n\tread_your_writes nowhere\n}", 2, ""},
		"empty":             {"# nothing\n", 0, "no site"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := r.load(map[string]string{"a": good, "b": tc.source})
			all := faults["sites/b.caddy"]
			if len(faults) != 1 || len(all) == 0 {
				t.Fatalf("faults are %v", faults)
			}
			f := all[0]
			t.Log(f)
			if f.File != "sites/b.caddy" || tc.line != 0 && f.Line != tc.line || !strings.Contains(f.Message, tc.says) {
				t.Errorf("fault is %q, want line %d and %q", f, tc.line, tc.says)
			}
			if res := r.viaEdge("good.test", "/"); res.body != "good" {
				t.Errorf("the good site says %q", res.body)
			}
		})
	}
}

func TestRefusedSiteGoesOnAsItWas(t *testing.T) {
	r := newRig(t)
	r.mustLoad(map[string]string{"a": "http://a.test {\n\trespond one\n}"})
	if faults := r.load(map[string]string{"a": "http://a.test {\n\tfly\n}"}); len(faults) != 1 {
		t.Fatal(faults)
	}
	if res := r.viaEdge("a.test", "/"); res.body != "one" {
		t.Errorf("got %q", res.body)
	}
	if st := r.Status(); len(st) != 1 || len(st[0].Faults) == 0 || len(st[0].Bindings) != 1 {
		t.Errorf("status is %+v", st)
	}
	r.mustLoad(map[string]string{"a": "http://a.test {\n\trespond two\n}"})
	if res := r.viaEdge("a.test", "/"); res.body != "two" {
		t.Errorf("got %q", res.body)
	}
	r.mustLoad(nil)
	if res := r.viaEdge("a.test", "/"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a removed site says %d %q", res.StatusCode, res.body)
	}
}

func TestWhatIsServedKeepsItsName(t *testing.T) {
	r := newRig(t)
	old := "http://a.test {\n\trespond old\n}"
	r.mustLoad(map[string]string{"b": old})
	faults := r.load(map[string]string{"a": "http://a.test {\n\trespond new\n}", "b": old})
	if len(faults) != 1 || len(faults["sites/a.caddy"]) != 1 {
		t.Errorf("faults are %v", faults)
	}
	if res := r.viaEdge("a.test", "/"); res.body != "old" {
		t.Errorf("got %q", res.body)
	}
}

func TestUnchangedSitesAreTakenOver(t *testing.T) {
	r := newRig(t)
	one, two := "http://a.test {\n\trespond a\n}", "http://b.test {\n\trespond b\n}"
	r.mustLoad(map[string]string{"a": one, "b": two})
	before := r.table.Load().all.exact["a.test"][0].site
	r.mustLoad(map[string]string{"a": one, "b": two + "\n# changed"})
	if after := r.table.Load().all.exact["a.test"][0].site; after != before {
		t.Error("an unchanged site was loaded again")
	}
}

func TestReplacedSiteIsUnloadedAfterItsLastRequest(t *testing.T) {
	in, out := make(chan struct{}), make(chan struct{})
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(in)
		<-out
		_, _ = io.WriteString(w, "old")
	}))
	defer app.Close()
	r := newRig(t)
	r.mustLoad(map[string]string{"a": "http://a.test {\n\treverse_proxy " + app.URL + "\n}"})
	old := r.table.Load().sites[0]
	got := make(chan string)
	go func() { got <- r.viaEdge("a.test", "/").body }()
	<-in
	r.mustLoad(map[string]string{"a": "http://a.test {\n\trespond new\n}"})
	if n := old.users.Load(); n != 1 {
		t.Errorf("%d users of the old site, want the request alone", n)
	}
	if res := r.viaEdge("a.test", "/"); res.body != "new" {
		t.Errorf("a new request gets %q", res.body)
	}
	close(out)
	if body := <-got; body != "old" {
		t.Errorf("the request in flight gets %q", body)
	}
	r.edge.Close() // its handlers have returned then
	if n := old.users.Load(); n != 0 {
		t.Errorf("%d users of the old site at the end", n)
	}
}

func TestDiscardUnloadsWhatWasPrepared(t *testing.T) {
	r := newRig(t)
	r.mustLoad(map[string]string{"a": "http://a.test {\n\trespond a\n}"})
	p, err := r.Prepare(t.Context(), nil, farmOf(map[string]string{"a": "http://a.test {\n\trespond b\n}"}))
	if err != nil {
		t.Fatal(err)
	}
	p.Discard()
	if n := p.(*prepared).loaded[0].users.Load(); n != 0 {
		t.Errorf("%d users", n)
	}
	if res := r.viaEdge("a.test", "/"); res.body != "a" {
		t.Errorf("got %q", res.body)
	}
}

// TestSwapUnderLoad changes one site and the set of fronts, while visitors keep their connections and fail never.
func TestSwapUnderLoad(t *testing.T) {
	port, extra := freePort(t), freePort(t)
	r := newRig(t)
	sites := func(i int) map[string]string {
		m := map[string]string{
			"a": fmt.Sprintf("http://a.test:%s {\n\tbind 127.0.0.1\n\trespond %d\n}", port, i),
			"b": fmt.Sprintf("http://b.test:%s {\n\tbind 127.0.0.1\n\trespond b\n}", port),
		}
		if i%2 == 1 {
			m["c"] = fmt.Sprintf("http://c.test:%s {\n\tbind 127.0.0.1\n\trespond c\n}", extra)
		}
		return m
	}
	r.mustLoad(sites(0))

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var requests atomic.Int64
	const visitors = 8
	for range visitors {
		wg.Go(func() {
			if err := visit(ctx, "127.0.0.1:"+port, "a.test", &requests); err != nil {
				t.Error(err)
			}
		})
	}
	for i := range 50 {
		for n := requests.Load(); requests.Load() < n+visitors && !t.Failed(); {
			do(t, request(t, "GET", "http://127.0.0.1:"+port, "b.test", "/"))
		}
		r.mustLoad(sites(i + 1))
	}
	stop()
	wg.Wait()
	t.Logf("%d requests during 50 changes", requests.Load())
}

// visit asks again and again until ctx ends, over one connection: http.Transport, which makes another one when it was slow itself,
// could not tell that the first was closed.
func visit(ctx context.Context, address, host string, requests *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	br := bufio.NewReader(conn)
	for ctx.Err() == nil {
		if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
			return err
		}
		res, err := http.ReadResponse(br, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusOK || res.Close {
			return fmt.Errorf("status %d, close %v: %w", res.StatusCode, res.Close, err)
		}
		requests.Add(1)
	}
	return nil
}
