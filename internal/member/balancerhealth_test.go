package member

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/internal/farm"
)

func TestPublicHealthAnswer(t *testing.T) {
	ready, draining := publicHealth{Ready: true, Lag: 3}, publicHealth{Draining: true}
	for name, c := range map[string]struct {
		health               publicHealth
		method, path, accept string
		status               int
		kind, body           string
	}{
		"text":           {ready, "GET", "/.tandem/health", "", 200, "text/plain; charset=utf-8", "ready\nlag 3\n"},
		"head":           {ready, "HEAD", "/.tandem/health", "", 200, "text/plain; charset=utf-8", ""},
		"query":          {ready, "GET", "/.tandem/health?json", "", 200, "application/json", `{"ready":true,"draining":false,"lag":3}` + "\n"},
		"accept":         {ready, "GET", "/.tandem/health", "application/json", 200, "application/json", `{"ready":true,"draining":false,"lag":3}` + "\n"},
		"draining":       {draining, "GET", "/.tandem/health", "", 503, "text/plain; charset=utf-8", "draining\nlag 0\n"},
		"draining, json": {draining, "GET", "/.tandem/health?json", "", 503, "application/json", `{"ready":false,"draining":true,"lag":0}` + "\n"},
		"not ready":      {publicHealth{}, "GET", "/.tandem/health", "", 503, "text/plain; charset=utf-8", "not ready\nlag 0\n"},
		"post":           {ready, "POST", "/.tandem/health", "", 405, "text/plain; charset=utf-8", "ask with GET\n"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Header.Set("Accept", c.accept)
			w := httptest.NewRecorder()
			c.health.answer(w, r)
			if w.Code != c.status || w.Header().Get("Content-Type") != c.kind || w.Body.String() != c.body {
				t.Errorf("got %d, %s, %q", w.Code, w.Header().Get("Content-Type"), w.Body)
			}
			if w.Header().Get("Cache-Control") != "no-store" {
				t.Error("it may be cached")
			}
		})
	}
}

// A node tells on its sites' ports, whatever the Host header, whether it is fit; all else of Tandem's own stays hidden.
func TestPublicHealthOnSitePorts(t *testing.T) {
	s := first(t, "web1")
	at := freeAddress(t)
	if err := os.WriteFile(filepath.Join(s.paths.Config, "sites", "a.caddy"),
		[]byte("http://a.test"+at[strings.LastIndexByte(at, ':'):]+" {\n\trespond hello\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	ask := func(host, path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+at+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	eventually(t, "the site answers", func() bool { status, _ := ask("a.test", "/"); return status == 200 })
	eventually(t, "the node is ready", func() bool {
		status, body := ask("b.test", "/.tandem/health")
		return status == 200 && body == "ready\nlag 0\n"
	})
	if status, body := ask("a.test", "/.tandem/staging"); status != 404 {
		t.Errorf("the private area answers with %d, %q", status, body)
	}
	s.own.change(func(o *farm.MemberState) { o.Draining = true })
	if status, body := ask("a.test", "/.tandem/health"); status != 503 || body != "draining\nlag 0\n" {
		t.Errorf("while it drains: %d, %q", status, body)
	}
}
