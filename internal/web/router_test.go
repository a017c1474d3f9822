package web

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/farm"
)

func TestPrivate(t *testing.T) {
	for path, want := range map[string]bool{
		"/": false, "/a.b/c": false, "/.tandemx": false, "/x.tandem": false, "/.well-known/a": false, "/tandem": false, "": false,
		"/.tandem": true, "/a/.tandem/b": true, "/a.b/.tandem": true, "/.x/.Tandem. /y": true, `/a\.tandem\b`: true,
		"/index.php/.tandem/x": true, "/.tandem::$DATA": true, ".tandem": true, "/..tandem": false, "/.tandem.d": false,
	} {
		if got := private(path); got != want {
			t.Errorf("private(%q) is %v", path, got)
		}
	}
}

func TestRouter(t *testing.T) {
	port, other := freePort(t), freePort(t)
	r := newRig(t)
	r.mustLoad(map[string]string{
		"a": fmt.Sprintf("http://a.test:%[1]s, http://Alias.test:%[1]s {\n\tbind 127.0.0.1\n\trespond a\n}", port),
		"b": fmt.Sprintf("http://*.b.test:%s {\n\tbind 127.0.0.1\n\trespond wild\n}", port),
		"c": fmt.Sprintf("http://:%s {\n\tbind 127.0.0.1\n\trespond any\n}", port),
		"d": fmt.Sprintf("http://a.test:%s {\n\tbind 127.0.0.1 127.0.0.9\n\trespond {scheme}-d\n}", other),
		"e": "https://e.test {\n\tbind 127.0.0.9\n\trespond secret-e\n}\nhttp://e.test {\n\tbind 127.0.0.9\n\tredir https://{host}{uri}\n}",
		"f": "http://bücher.test {\n\tbind 127.0.0.9\n\trespond f\n}",
	})
	open := "http://127.0.0.1:" + port
	for _, tc := range []struct{ base, host, proto, want string }{
		{open, "a.test", "", "a"},
		{open, "A.TEST.:81", "", "a"},
		{open, "alias.test", "", "a"},
		{open, "x.b.test", "", "wild"},
		{open, "x.y.b.test", "", "any"},
		{open, "b.test", "", "any"},
		{open, "e.test", "", "any"}, // not bound here
		{"http://127.0.0.1:" + other, "a.test", "", "http-d"},
		{"http://127.0.0.1:" + other, "b.test", "", ""},
		{r.edge.URL, "a.test:" + other, "http", "http-d"},
		{r.edge.URL, "a.test:" + port, "http", "a"},
		{r.edge.URL, "x.b.test", "https", "wild"},
		{r.edge.URL, "nobody.test", "https", "any"},
		{r.edge.URL, "e.test", "https", "secret-e"},
		{r.edge.URL, "e.test", "http", "301"},
		{r.edge.URL, "xn--bcher-kva.test", "http", "f"},
	} {
		req := request(t, "GET", tc.base, tc.host, "/")
		req.Header.Set("X-Forwarded-Proto", tc.proto)
		res := do(t, req)
		got := res.body
		switch res.StatusCode {
		case http.StatusNotFound:
			got = ""
		case http.StatusMovedPermanently, http.StatusFound:
			got = "301"
		}
		if got != tc.want {
			t.Errorf("%s %s %s: %d %q, want %q", tc.base, tc.host, tc.proto, res.StatusCode, res.body, tc.want)
		}
	}
	for _, st := range r.Status() {
		if st.File == "sites/d.caddy" && strings.Join(st.Skipped, " ") != "127.0.0.9:"+other {
			t.Errorf("skipped are %v", st.Skipped)
		}
	}
	if n := len(r.Fronts()); n != 2 {
		t.Errorf("%d fronts", n)
	}
}

func TestOneInterfaceBesideAll(t *testing.T) {
	port := freePort(t)
	r := newRig(t)
	r.mustLoad(map[string]string{
		"a": fmt.Sprintf("http://a.test:%s {\n\trespond all\n}", port),
		"b": fmt.Sprintf("http://a.test:%s {\n\tbind 127.0.0.1\n\trespond one\n}", port),
	})
	if fronts := r.Fronts(); len(fronts) != 1 || fronts[0].Address != ":"+port {
		t.Errorf("fronts are %v", fronts)
	}
	for ip, want := range map[string]string{"127.0.0.1": "one", "127.0.0.2": "all"} {
		if res := do(t, request(t, "GET", "http://"+ip+":"+port, "a.test", "/")); res.body != want {
			t.Errorf("at %s: %q", ip, res.body)
		}
	}
}

func TestErrorsAndNamedRoutes(t *testing.T) {
	r := newRig(t)
	r.mustLoad(map[string]string{"a": `&(tea) {
		respond "tea for {host}" 418
	}
	(common) {
		header X-Common yes
	}
	http://a.test, http://b.test {
		import common
		handle /tea {
			invoke tea
		}
		handle /moved {
			uri strip_prefix /moved
			error "gone" 410
		}
		handle /plain {
			error 404
		}
		handle_errors 410 {
			respond "{err.status_code} at {path}"
		}
	}`})
	for path, want := range map[string]string{
		"/tea": "418 tea for b.test", "/moved": "410 410 at /moved", "/plain": "404 ", "/none": "200 ",
	} {
		res := r.viaEdge("b.test", path)
		if got := fmt.Sprint(res.StatusCode, " ", res.body); got != want || res.Header.Get("X-Common") != "yes" {
			t.Errorf("%s: %q, X-Common %q", path, got, res.Header.Get("X-Common"))
		}
	}
}

func TestAnEdgeOnlyLearnsTheNames(t *testing.T) {
	r := newRig(t)
	sites := map[string]string{"a": "http://a.test {\n\trespond a\n}", "b": "http://b.test {\n\tfly\n}"}
	apply := func(role farm.Role) {
		c := farmOf(sites)
		c.Members[0].Roles = []farm.Role{role}
		p, err := r.Prepare(t.Context(), nil, c)
		if len(err.(config.SiteFaults)) != 1 {
			t.Fatal(err)
		}
		p.Commit()
	}
	apply(farm.RoleEdge)
	if !r.Serves("a.test") || r.Serves("b.test") || len(r.Fronts()) != 0 {
		t.Errorf("a.test %v, b.test %v, fronts %v", r.Serves("a.test"), r.Serves("b.test"), r.Fronts())
	}
	if res := r.viaEdge("a.test", "/"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an edge serves a site: %d %q", res.StatusCode, res.body)
	}
	apply(farm.RoleNode)
	if res := r.viaEdge("a.test", "/"); res.body != "a" {
		t.Errorf("after it became a node: %d %q", res.StatusCode, res.body)
	}
}

func BenchmarkRouter5000Sites(b *testing.B) {
	t := newTable()
	for i := range 5000 {
		host := fmt.Sprintf("site%d.test", i)
		for _, h := range []string{host, "*." + host} {
			to := target{&site{}, &block{}, nil, binding{host: h, address: ":80"}}
			t.all.add(to)
			t.add(to)
		}
	}
	for name, host := range map[string]string{"first": "site0.test", "last": "site4999.test", "wildcard": "x.site4999.test:80", "none": "x.test"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				t.first(":80", normalHost(host))
			}
		})
	}
}
