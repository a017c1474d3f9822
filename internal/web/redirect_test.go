package web

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"testing"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// secureSites are names with HTTPS, with and without HTTP.
var secureSites = map[string]string{
	"a": "a.test, *.b.test {\n\trespond secret\n}",
	"c": "c.test {\n\trespond secret\n}\nhttp://c.test {\n\trespond plain\n}",
	"d": "d.test {\n\tbind 127.0.0.1\n\trespond secret\n}",
	"e": "http://e.test {\n\trespond plain\n}",
}

func TestRedirectsToHTTPS(t *testing.T) {
	r := newRig(t)
	r.mustLoad(secureSites)
	h := r.front(":80")
	for target, want := range map[string]string{
		"http://a.test/x?y=1": "308 https://a.test/x?y=1", "http://A.test:80/": "308 https://A.test/", "http://x.b.test/": "308 https://x.b.test/",
		"http://c.test/": "200 plain", "http://d.test/": "308 https://d.test/", "http://e.test/": "200 plain", "http://none.test/": "404 ",
	} {
		req := httptest.NewRequestWithContext(t.Context(), "POST", target, nil)
		if got := statusAndBody(h, cameBy(req, "127.0.0.1:80")); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
	}
	// Only sites that are bound to another interface: the name is not redirected at this one.
	req := httptest.NewRequestWithContext(t.Context(), "GET", "http://d.test/", nil)
	if got := statusAndBody(h, cameBy(req, "127.0.0.2:80")); got != "404 " {
		t.Errorf("at another interface: %s", got)
	}
}

func TestRedirectsByAnEdge(t *testing.T) {
	for _, tt := range []struct {
		https []string
		roles []farm.Role
		want  string
	}{
		{[]string{":443"}, []farm.Role{farm.RoleEdge}, "308 https://a.test/x"},
		{[]string{"192.0.2.1:8443", ":443"}, []farm.Role{farm.RoleEdge}, "308 https://a.test:8443/x"},
		{nil, []farm.Role{farm.RoleEdge}, "200 secret"}, // somebody else ends TLS
		{[]string{":443"}, []farm.Role{farm.RoleNode}, "200 secret"},
	} {
		r := newRig(t)
		c := farmOf(secureSites)
		c.Edge.HTTPS = tt.https
		c.Members = append(c.Members, config.Member{Name: "edge1", Roles: tt.roles})
		p, err := r.Prepare(t.Context(), nil, c)
		if err != nil {
			t.Fatal(err)
		}
		p.Commit()
		for proto, want := range map[string]string{"http": tt.want, "https": "200 secret"} {
			req := httptest.NewRequestWithContext(t.Context(), "GET", "http://a.test:8080/x", nil)
			req.Header.Set("X-Forwarded-Proto", proto)
			if got := statusAndBody(r.Trusted(), req); got != want {
				t.Errorf("%v %v by %s: %s, want %s", tt.https, tt.roles, proto, got, want)
			}
		}
	}
}

func TestListensForRedirects(t *testing.T) {
	for name, tt := range map[string]struct {
		site string
		want string
	}{
		"a name":          {"a.test {\n}", ":443 tls, :80, "},
		"one interface":   {"a.test {\n\tbind 127.0.0.1\n}", "127.0.0.1:443 tls, 127.0.0.1:80, "},
		"HTTP is taken":   {"a.test {\n}\nhttp://b.test {\n}", ":443 tls, :80, "},
		"another port":    {"https://a.test:8443 {\n}", ":8443 tls, "},
		"HTTP only":       {"http://a.test:8080 {\n}", ":8080, "},
		"no name":         {":443 {\n}", ":443 tls, "},
		"not this member": {"a.test {\n\tbind 192.0.2.1\n}", ""},
	} {
		r := newRig(t)
		p, err := r.Prepare(t.Context(), nil, farmOf(map[string]string{"x": tt.site}))
		if err != nil {
			t.Fatal(err)
		}
		p.Commit()
		got := ""
		for _, f := range r.Fronts() {
			got += f.Address
			if f.TLS {
				got += " tls"
			}
			got += ", "
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

// statusAndBody is status and body, or for a redirect its target.
func statusAndBody(h http.Handler, req *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	body := w.Body.String()
	if to := w.Header().Get("Location"); to != "" {
		body = to
	}
	if w.Code == http.StatusNotFound {
		body = ""
	}
	return strconv.Itoa(w.Code) + " " + body
}

// cameBy is the request as it comes in by an address of this machine.
func cameBy(req *http.Request, address string) *http.Request {
	return req.WithContext(context.WithValue(req.Context(), http.LocalAddrContextKey, net.Addr(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address)))))
}
