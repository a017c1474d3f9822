package iis

import (
	"testing"
)

func TestRewriteRules(t *testing.T) {
	n := serve(t, "rewrite", map[string]string{
		"c/inetpub/site/article.html":              "article",
		"c/inetpub/site/about.html":                "about us",
		"c/inetpub/site/dir/index.html":            "in dir",
		"c/inetpub/site/pages/page/one.html":       "page one",
		"c/inetpub/site/customers/acme/index.html": "acme",
		"c/inetpub/site/web.config":                "secret",
		"c/inetpub/site/bin/site.dll":              "secret",
		"c/inetpub/site/site.mdb":                  "secret",
		"c/inetpub/site/login.php":                 "<?php $secret",
		"c/inetpub/site/Page.ASPX":                 "<% secret %>",
	})
	const www = "https://www.example.com"
	n.check([]ask{
		{url: "http://www.example.com/a/b?c=d", status: 301, location: www + "/a/b?c=d"},
		{url: "http://localhost/about", status: 200, body: "about us"},
		{url: "https://example.net/x?y=z", status: 302, location: www + "/x?y=z"},
		{url: "https://example.com/", status: 302, location: www + "/"},
		{url: "https://acme.customers.example.com/", status: 200, body: "acme"},
		{url: "https://acme.customers.example.com/assets/x", status: 404},
		{url: www + "/article/7/on-ducks?x=1", status: 200, body: "article"},
		{url: www + "/ARTICLE/7/ON-DUCKS", status: 200, body: "article"},
		{url: www + "/nowhere/?q=1", status: 301, location: "/nowhere?q=1"},
		{url: www + "/dir/", status: 200, body: "in dir"},
		{url: www + "/page.asp?lang=de&id=12", status: 303, location: "/de/12"},
		{url: www + "/page.asp?lang=en&id=12", status: 404},
		{method: "PUT", url: www + "/about.html", status: 405},
		{url: www + "/about", header: "User-Agent: a BadBot 1", status: 0},
		{url: www + "/about", header: "Referer: http://spam.test/", status: 0},
		{url: www + "/older/stuff", status: 307, location: "/new/stuff"},
		{url: www + "/old", status: 307, location: "/new/"},
		{url: www + "/page/one", status: 200, body: "page one"},
		{url: www + "/about", status: 200, body: "about us", has: "Strict-Transport-Security: max-age=31536000; includeSubDomains"},
		{url: "http://localhost/about", status: 200, has: "-Strict-Transport-Security"},
		{url: www + "/web.config", status: 404},
		{url: www + "/BIN/site.dll", status: 404},
		{url: www + "/site.MDB", status: 404},
		{url: www + "/login.php", status: 404},
		{url: www + "/Page.ASPX", status: 404},
	})
}

func TestGuards(t *testing.T) {
	n := serve(t, "guards", map[string]string{
		"c/inetpub/site/index.html":        "home",
		"c/inetpub/site/a.txt":             "a text",
		"c/inetpub/site/b.exe":             "no",
		"c/inetpub/site/private/x.txt":     "no",
		"c/inetpub/site/bin/x.txt":         "here it may be seen",
		"c/inetpub/site/staff/index.html":  "staff",
		"c/inetpub/site/members/a.html":    "members",
		"c/inetpub/site/members/join.html": "join",
	})
	const at = "https://a.test"
	long := make([]byte, 1100)
	for i := range long {
		long[i] = 'x'
	}
	n.check([]ask{
		{url: at + "/", status: 200, body: "home"},
		{url: "http://a.test/", status: 403},
		{url: at + "/", from: "198.51.100.8", status: 404},
		{url: at + "/", from: "198.51.100.7", status: 200},
		{url: at + "/", from: "203.0.113.9", status: 404},
		{url: at + "/", from: "2001:db8::1", status: 200},
		{url: at + "/a.txt", status: 200, body: "a text"},
		{url: at + "/b.exe", status: 404},
		{url: at + "/private/x.txt", status: 404},
		{url: at + "/bin/x.txt", status: 200},
		{method: "POST", url: at + "/", status: 404},
		{url: at + "/?q=XP_cmdshell", status: 404},
		{url: at + "/?q=" + string(long), status: 404},
		{url: at + "/" + string(long), status: 404},
		{url: at + "/", header: "X-Token: " + string(long[:101]), status: 431},
		{url: at + "/", header: "X-Token: " + string(long[:100]), status: 200},
		{url: at + "/staff/", status: 403},
		{url: at + "/STAFF/index.html", status: 403},
		{url: at + "/members/a.html", status: 403},
		{url: at + "/members/join.html", status: 200, body: "join"},
	})
}

func TestContent(t *testing.T) {
	n := serve(t, "content", map[string]string{
		"c/inetpub/site/index.html":          "home",
		"c/inetpub/site/app.mjs":             "export {}",
		"c/inetpub/site/pictures/duck.txt":   "a duck",
		"c/inetpub/site/old-asp/Default.asp": "<% secret %>",
		"c/inetpub/site/download/x.txt":      "x",
		"c/inetpub/site/errors/404.html":     "not here, sorry",
	})
	const at = "http://a.test"
	n.check([]ask{
		{url: at + "/", status: 200, has: `Report-To: {"group":"a","max_age":60}`},
		{url: at + "/", status: 200, has: "Content-Security-Policy: default-src 'self'"},
		{url: at + "/app.mjs", status: 200, has: "Content-Type: text/javascript"},
		{url: at + "/app.mjs", status: 200, has: "Cache-Control: max-age=604800, public"},
		{url: at + "/download/x.txt", status: 200, has: "Cache-Control: no-cache, public"},
		{url: at + "/pictures/", status: 200, body: "duck.txt"},
		{url: at + "/old-asp/", status: 200, body: "Default.asp"}, // a listing
		{url: at + "/old-asp/Default.asp", status: 404, body: "not here, sorry"},
		{url: at + "/nothing", status: 404, body: "not here, sorry"},
		{url: at + "/errors.config", status: 404, body: "not here, sorry"},
		{url: at + "/old/a/b?c=d", status: 301, location: "https://new.example.com/archive/a/b?c=d"},
		{url: at + "/start", status: 307, location: "/welcome.html"},
		{url: at + "/list/one?x=1", status: 302, location: "/items/one?x=1"},
		{url: at + "/list/deep/one", status: 404},
	})
}

func TestDirectoriesAndApplications(t *testing.T) {
	n := serve(t, "server", map[string]string{
		"c/inetpub/shop/index.html":        "shop",
		"c/inetpub/shop/docs/a.txt":        "a document",
		"c/inetpub/shop/docs/drafts/a.txt": "a draft",
		"c/inetpub/shop admin/index.html":  "the office",
		"d/Data/Pictures/duck.txt":         "a duck",
	})
	const at = "https://shop.example.com"
	n.check([]ask{
		{url: at + "/", status: 200, body: "shop", has: "X-Frame-Options: SAMEORIGIN"},
		{url: "http://shop.example.com/a?b=c", status: 307, location: at + "/a?b=c"},
		{url: at + "/docs/", status: 200, body: "a.txt"},
		{url: at + "/pictures", status: 301, location: "/pictures/"},
		{url: at + "/pictures/duck.txt", status: 200, body: "a duck"},
		{url: at + "/docs/a.txt", status: 200, body: "a document"},
		{url: at + "/docs/drafts/a.txt", status: 403},
		{url: at + "/admin/", status: 200, body: "the office"},
		{url: at + "/admin/", from: "203.0.113.5", status: 403},
		{url: at + "/admin/", from: "2001:db8::5", status: 200},
		{url: "https://eu.shop.example.com/", status: 200, body: "shop"},
	})
}
