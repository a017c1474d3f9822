package web

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/config"
	"tandem/internal/farm"
	"tandem/internal/shell"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a node: a shell, its sites, and an mTLS port without the mTLS.
type rig struct {
	*Sites
	t     testing.TB
	shell *shell.Shell
	edge  *httptest.Server
	log   *lockedLog
	last  *config.Config

	folders []config.Folder // nil: those of farmOf
}

type lockedLog struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newRig(t testing.TB, with ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, log: &lockedLog{}}
	log := slog.New(slog.NewTextHandler(r.log, nil))
	r.shell = shell.New(shell.Config{Log: log, Sink: func(farm.Event) {}})
	parent, err := r.shell.Caddy()
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Parent: parent, Self: "web1", Log: log,
		Own: func(ip netip.Addr) bool { return ip == netip.MustParseAddr("127.0.0.1") },
	}
	for _, f := range with {
		f(&cfg)
	}
	r.Sites = New(cfg)
	r.edge = httptest.NewServer(r.Trusted())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		r.edge.Close()
		r.Close()
		if err := r.shell.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

// farmOf is a configuration of two nodes with these site files.
func farmOf(sites map[string]string) *config.Config {
	c := &config.Config{Members: []config.Member{
		{Name: "web1", Address: "127.0.0.1:7443", Roles: []farm.Role{farm.RoleNode}},
		{Name: "web2", Address: "127.0.0.2:7443", Roles: []farm.Role{farm.RoleNode}},
	}, Folders: []config.Folder{{Name: "blog", Path: "/srv/blog"}, {Name: "shop", Path: "/srv/shop"}}}
	for _, file := range slices.Sorted(maps.Keys(sites)) {
		c.Sites = append(c.Sites, config.Site{File: "sites/" + file + ".caddy", Source: sites[file]})
	}
	return c
}

// load makes the site files live and returns what is wrong with them.
func (r *rig) load(sites map[string]string) config.SiteFaults {
	r.t.Helper()
	next := farmOf(sites)
	if r.folders != nil {
		next.Folders = r.folders
	}
	p, err := r.Prepare(context.Background(), r.last, next)
	var faults config.SiteFaults
	if err != nil && !errors.As(err, &faults) {
		r.t.Fatal(err)
	}
	p.Commit()
	r.last = next
	// The ports that http:// and https:// mean are not for tests.
	fronts := slices.DeleteFunc(r.Fronts(), func(f shell.Front) bool { return f.Address == ":80" || f.Address == ":443" })
	if err := r.shell.Apply(context.Background(), fronts); err != nil {
		r.t.Fatal(err)
	}
	return faults
}

// mustLoad is load of sites with no faults.
func (r *rig) mustLoad(sites map[string]string) {
	r.t.Helper()
	if faults := r.load(sites); faults != nil {
		r.t.Fatal(faults)
	}
}

// answerOf is a response whose body has been read.
type answerOf struct {
	*http.Response
	body string
}

func do(t testing.TB, req *http.Request) answerOf {
	t.Helper()
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answerOf{res, string(b)}
}

func request(t testing.TB, method, base, host, path string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	return req
}

// viaEdge asks as an edge does.
func (r *rig) viaEdge(host, path string) answerOf {
	r.t.Helper()
	return do(r.t, request(r.t, "GET", r.edge.URL, host, path))
}

// freePort is a port of 127.0.0.1 that was free a moment ago.
func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	return port
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
