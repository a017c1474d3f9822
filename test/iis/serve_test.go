package iis

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/iis"
	"tandem/internal/iis/iistest"
	"tandem/internal/shell"
	"tandem/internal/web"
)

// node serves the sites of an imported server as a node of a farm does.
type node struct {
	t    *testing.T
	web  *web.Sites
	root string // directory in which the server's C:\ lies
}

// serve imports a server of testdata with its disk in a temporary directory, which holds the files given.
func serve(t *testing.T, name string, files map[string]string, change ...func(string) string) *node {
	t.Helper()
	n := &node{t: t, root: t.TempDir()}
	for file, content := range files {
		path := filepath.Join(n.root, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var res *iis.Result
	for _, s := range iistest.Servers(t, "../../internal/iis/testdata/import") {
		if s.Name == name {
			opts := s.Options()
			opts.Map = []iis.Mapping{{From: `C:`, To: n.root + "/c"}, {From: `D:`, To: n.root + "/d"}}
			var err error
			if res, err = iis.Import(opts); err != nil {
				t.Fatal(err)
			}
		}
	}
	if res == nil {
		t.Fatalf("there is no server called %s", name)
	}
	n.start(res, change)
	return n
}

func (n *node) start(res *iis.Result, change []func(string) string) {
	n.t.Helper()
	log := slog.New(slog.DiscardHandler)
	sh := shell.New(shell.Config{Log: log, Sink: func(farm.Event) {}})
	parent, err := sh.Caddy()
	if err != nil {
		n.t.Fatal(err)
	}
	n.web = web.New(web.Config{
		Parent: parent, Self: "web1", Log: log, Consistency: alone{}, Own: func(netip.Addr) bool { return true },
	})
	next := &config.Config{Members: []config.Member{{Name: "web1", Address: "127.0.0.1:7443", Roles: []farm.Role{farm.RoleNode}}}, Folders: res.Folders}
	for _, site := range res.Sites {
		for _, c := range change {
			site.Source = c(site.Source)
		}
		if site.Disabled == "" {
			next.Sites = append(next.Sites, config.Site{File: site.File, Source: site.Source})
		}
	}
	p, err := n.web.Prepare(context.Background(), nil, next)
	if err != nil {
		n.t.Fatal(err)
	}
	p.Commit()
	n.t.Cleanup(func() {
		n.web.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := sh.Close(ctx); err != nil {
			n.t.Error(err)
		}
	})
}

// alone is a member whose folders nobody else has.
type alone struct{ web.Consistency }

func (alone) Barrier(context.Context, farm.FolderID) (farm.Position, error) {
	return farm.Position{}, nil
}
func (alone) Wait(context.Context, farm.FolderID, farm.Position) error { return nil }
func (alone) Rest(farm.FolderID, farm.Vector) farm.Vector              { return farm.Vector{} }
func (alone) Arriving(farm.FolderID) bool                              { return false }
func (alone) Reach(context.Context, farm.FolderID, bool) farm.Vector   { return farm.Vector{} }

// ask is a request and what its answer has to be.
type ask struct {
	method, url string // "GET" if empty
	from        string // address of the visitor; 192.0.2.1 if empty
	header      string // "Name: value"
	status      int
	location    string
	body        string // a part of it
	has         string // header of the answer, "Name: value"; "-Name": it is not there
}

func (n *node) check(asks []ask) {
	n.t.Helper()
	for _, a := range asks {
		if a.method == "" {
			a.method = "GET"
		}
		scheme, rest, _ := strings.Cut(a.url, "://")
		host, target, _ := strings.Cut(rest, "/")
		req := httptest.NewRequest(a.method, "/"+target, nil)
		req.Host = host
		if name, value, ok := strings.Cut(a.header, ": "); ok {
			req.Header.Set(name, value)
		}
		// As an edge passes it on.
		from := a.from
		if from == "" {
			from = "192.0.2.1"
		}
		req.Header.Set("X-Forwarded-For", from)
		req.Header.Set("X-Forwarded-Proto", scheme)
		res := n.do(req)
		body, _ := io.ReadAll(res.Body)
		name, value, _ := strings.Cut(a.has, ": ")
		absent := strings.HasPrefix(name, "-")
		got := res.Header.Get(strings.TrimPrefix(name, "-"))
		if res.StatusCode != a.status || res.Header.Get("Location") != a.location || !strings.Contains(string(body), a.body) ||
			a.has != "" && (absent && got != "" || !absent && got != value) {
			n.t.Errorf("%s %s from %s %s: status %d, location %q, body %.200q, %v; want %+v", a.method, a.url, from, a.header,
				res.StatusCode, res.Header.Get("Location"), body, res.Header, a)
		}
	}
}

// do serves one request; one that is aborted has status 0.
func (n *node) do(req *http.Request) (res *http.Response) {
	rec := httptest.NewRecorder()
	defer func() {
		if r := recover(); r != nil {
			if r != http.ErrAbortHandler {
				panic(r)
			}
			res = &http.Response{Body: http.NoBody, Header: http.Header{}}
		}
	}()
	n.web.Trusted().ServeHTTP(rec, req)
	return rec.Result()
}
