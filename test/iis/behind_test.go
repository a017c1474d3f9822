package iis

import (
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestWeblogOnPHP has a FastCGI server in the place of php-fpm, which says what it was asked for.
func TestWeblogOnPHP(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "php")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		_ = fcgi.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // ends with the listener
			env := fcgi.ProcessEnv(r)
			fmt.Fprintf(w, "%s for %s", env["SCRIPT_FILENAME"][strings.LastIndex(env["SCRIPT_FILENAME"], "/")+1:], r.URL.RequestURI())
		}))
	}()
	n := serve(t, "wordpress", map[string]string{
		"c/inetpub/weblog/index.php":                   "<?php",
		"c/inetpub/weblog/wp-login.php":                "<?php",
		"c/inetpub/weblog/wp-includes/ms-files.php":    "<?php",
		"c/inetpub/weblog/wp-content/theme/style.css":  "body {}",
		"c/inetpub/weblog/wp-content/theme/index.html": "a theme",
	}, func(source string) string { return strings.ReplaceAll(source, "/run/php/php-fpm.sock", socket) })
	const at = "http://blog.example.com"
	n.check([]ask{
		{url: at + "/", status: 200, body: "index.php for /"},
		{url: at + "/hello-world/?p=1", status: 200, body: "index.php for /hello-world/?p=1"},
		{url: at + "/2009/FIRST.html", status: 301, location: "/hello-world/"},
		{url: at + "/cost-$5?", status: 301, location: "/prices/"},
		{url: at + "/wp-content/theme/style.css", status: 200, body: "body {}"},
		{url: at + "/wp-content/theme/", status: 200, body: "a theme"},
		{url: at + "/blog/wp-content/theme/style.css", status: 200, body: "body {}"},
		{url: at + "/files/2026/duck.jpg", status: 200, body: "ms-files.php for /files/2026/duck.jpg"},
		{url: at + "/wp-login.php", status: 200, body: "wp-login.php"},
		{url: at + "/wp-login.php", from: "203.0.113.1", status: 403, body: "Not from here."},
		{url: at + "/web.config", status: 404},
	})
}

// TestPortal: rules of an application below the site, one of which looks for a file that its path names.
func TestPortal(t *testing.T) {
	n := serve(t, "portal", map[string]string{
		"d/cms/public/cache/news/today.html": "from the cache",
		"d/cms/public/logo.txt":              "the logo",
		"d/web/portal/about.html":            "about",
		"d/web/portal/setup.yml":             "secret",
	})
	const at = "https://portal.example.com"
	for range 20 { // matchers are looked at in no order
		n.check([]ask{{url: at + "/cms/news/today", status: 200, body: "from the cache"}})
	}
	n.check([]ask{
		{url: "http://portal.example.org/a/b?c=d", status: 301, location: at + "/a/b?c=d"},
		{url: "https://portal.example.org/cms/b?c=d", status: 301, location: at + "/cms/b?c=d"},
		{url: at + "/cms/logo.txt", status: 200, body: "the logo"},
		{url: at + "/cms/x/?a=b", status: 301, location: "/cms/x?a=b"},
		{url: at + "/about.html", status: 200, body: "about"},
		{url: "http://portal.example.com/about.html?a=b", status: 307, location: at + "/about.html?a=b"},
		{method: "OPTIONS", url: "http://portal.example.com/setup.yml", status: 403, body: "Access is forbidden."},
		{url: at + "/favicon.ico", status: 404, body: "The file was not found."},
		{url: at + "/.git/config", status: 404},
	})
}

// TestProxies has one server in the place of all that requests are passed on to.
func TestProxies(t *testing.T) {
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s of %s, once for %s", r.URL, r.Host, r.Header.Get("X-Original-Host"))
	}))
	defer behind.Close()
	address := strings.TrimPrefix(behind.URL, "http://")
	n := serve(t, "proxy", nil, strings.NewReplacer(
		"http://10.0.0.11:8080 http://10.0.0.12:80", "http://"+address, "https://search.example.net:9443", "http://"+address,
		"127.0.0.1:8081", address, "127.0.0.1:5000", address, "127.0.0.1:5001", address,
	).Replace)
	n.check([]ask{
		{url: "http://front.example.com/app/x/y?z=1", status: 200, body: "/x/y?z=1 of front.example.com,"},
		{url: "http://front.example.com/search?q=duck", status: 200, body: "/query?site=front&q=duck of " + address + ", once for front.example.com"},
		{url: "http://front.example.com/else/%20where?a=b", status: 200, body: "/else/%20where?a=b of " + address},
		{url: "http://orders.example.com/list?a=b", status: 200, body: "/list?a=b of orders.example.com"},
		{url: "http://orders.example.com/node/a", status: 200, body: "/a of orders.example.com"},
		{url: "http://orders.example.com/node", status: 301, location: "/node/"},
		{url: "http://orders.example.com/bin/Orders.dll", status: 404},
	})
}
