package web

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// TestNodeVouches: a file's ETag is its digest, and the answer to an edge says as of which position it is right.
func TestNodeVouches(t *testing.T) {
	dir := t.TempDir()
	known, unknown := filepath.Join(dir, "known.txt"), filepath.Join(dir, "unknown.txt")
	writeFile(t, known, "0123456789")
	writeFile(t, unknown, "?")
	digest := farm.Digest{1, 2, 3}
	etag := `"` + digest.String() + `"`
	for name, tc := range map[string]struct {
		site    string // default: file_server, and a cache
		path    string // default: /known.txt
		request func(*http.Request)
		rest    string // what not every node has

		status int // default: 200
		etag   bool
		says   string
	}{
		"to an edge":                      {request: func(r *http.Request) { r.Header.Set(farm.CacheHeader, "ask") }, etag: true, says: "www:web2.a.5"},
		"to anybody else":                 {etag: true},
		"a range":                         {request: func(r *http.Request) { r.Header.Set("Range", "bytes=2-3"); r.Header.Set("If-Range", etag) }, status: 206, etag: true},
		"no news":                         {request: func(r *http.Request) { r.Header.Set("If-None-Match", etag); r.Header.Set(farm.CacheHeader, "ask") }, status: 304, etag: true, says: "www:web2.a.5"},
		"another node lacks something":    {request: func(r *http.Request) { r.Header.Set(farm.CacheHeader, "ask") }, rest: "web2.a.5", etag: true},
		"what the index does not know":    {path: "/unknown.txt"},
		"without a cache":                 {site: "file_server"},
		"the names of ETags are nobody's": {path: "/known.txt/.tandem/etag", status: 404},
		"what is no file":                 {site: "edge {\n\t\tcache 1MiB\n\t}\n\trespond x", request: func(r *http.Request) { r.Header.Set(farm.CacheHeader, "ask") }, says: "www:web2.a.5"},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFolders{
				digests: map[string]farm.Digest{known: digest}, rest: vector(tc.rest), applied: map[farm.FolderID]farm.Vector{"www": vector("web2.a.5")},
			}
			r := newRig(t, func(c *Config) { c.Consistency = f })
			r.folders = []config.Folder{{Name: "www", Path: dir}}
			if tc.site == "" {
				tc.site = "edge {\n\t\tcache 1MiB\n\t}\n\tfile_server"
			}
			r.mustLoad(map[string]string{"a": "http://a.test {\n\troot * " + dir + "\n\t" + tc.site + "\n}"})
			if tc.path == "" {
				tc.path = "/known.txt"
			}
			req := request(t, "GET", r.edge.URL, "a.test", tc.path)
			if tc.request != nil {
				tc.request(req)
			}
			res := do(t, req)
			if tc.status == 0 {
				tc.status = 200
			}
			if got := res.Header.Get("Etag") == etag; res.StatusCode != tc.status || got != tc.etag {
				t.Errorf("status %d, ETag %q", res.StatusCode, res.Header.Get("Etag"))
			}
			if got := res.Header.Get(farm.CacheHeader); got != tc.says {
				t.Errorf("it says %q, want %q", got, tc.says)
			}
		})
	}
}

func TestCacheOptionIsStrict(t *testing.T) {
	r := newRig(t)
	for _, arg := range []string{"", "much", "1TiB", "1MiB 2MiB"} {
		faults := r.load(map[string]string{"a": "http://a.test {\n\tedge {\n\t\tcache " + arg + "\n\t}\n}"})["sites/a.caddy"]
		if len(faults) != 1 || !strings.Contains(faults[0].Message, "it takes a size, such as 64MiB") || faults[0].Line != 3 {
			t.Errorf("%q: %v", arg, faults)
		}
	}
	r.mustLoad(map[string]string{"a": "http://a.test {\n\tedge {\n\t\tcache 64MiB\n\t}\n}"})
	if o := r.Edge("a.test"); o.CacheBytes != 64<<20 {
		t.Errorf("options are %+v", o)
	}
}
