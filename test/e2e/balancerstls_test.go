//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestOtherBalancersByTLS: HAProxy and nginx, with certificates and the configuration that tandem export writes, before nodes that
// have the site by HTTPS. A node is drained, stopped and brought back under load as docs/other-balancers.md says; nobody notices.
func TestOtherBalancersByTLS(t *testing.T) {
	need(t, "haproxy", "nginx")
	f := newFarm(t, "web1", "web2")
	balancers := map[string]string{"haproxy": f.lan.host("haproxy"), "nginx": f.lan.host("nginx")}
	for _, n := range f.order {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			t.Fatal(err)
		}
		f.startSpeaker(n)
	}
	f.found(fmt.Sprintf("\n[folder.www]\npath = \"/var/www\"\n\n[edge]\ntrusted_proxies = [%q, %q]\n", balancers["haproxy"], balancers["nginx"]),
		map[string]string{"app.caddy": "https://app.test {\n\troot * {folder.www}\n\tread_your_writes www\n\treverse_proxy " + speakerHTTP + "\n}\n"})
	roots, both := f.certify("app.test")
	store := t.TempDir()
	f.write(filepath.Join(store, "app.test.pem"), string(both))
	f.inSync(f.order...)
	for name, start := range map[string]func(*behind){"haproxy": (*behind).haproxy, "nginx": (*behind).nginx} {
		t.Run(name, func(t *testing.T) {
			whole := f.t
			f.t = t
			defer func() { f.t = whole }()
			b := &behind{farmUnderTest: f, name: name, dir: t.TempDir(), store: store, browser: browser{f, "visitor", balancers[name] + ":443", roots}}
			start(b)
			b.drained(t)
		})
	}
}

// behind is a farm behind a balancer of another make.
type behind struct {
	*farmUnderTest
	browser   browser
	name      string
	dir       string // of the balancer's configuration
	store     string // of its certificates
	exported  func() // when a node has begun or ended to drain
	balancing *exec.Cmd
}

// export writes the balancer's configuration.
func (b *behind) export(file string) string {
	b.t.Helper()
	path := filepath.Join(b.dir, file)
	b.write(path, string(b.tandem("web1", "export", b.name, "--certificates", b.store, "--ca", filepath.Join(b.store, "app.test.pem"))))
	return path
}

func (b *behind) run(args ...string) {
	b.t.Helper()
	b.balancing = b.lan.command(b.name, args...)
	b.balancing.Stderr = os.Stderr
	b.background(b.balancing)
	b.answers(b.browser.speaking(b.t, "2"), "https://app.test/")
}

func (b *behind) haproxy() {
	b.exported = func() {} // it asks the nodes for their health
	b.run("haproxy", "-db", "-q", "-f", b.export("haproxy.cfg"))
}

func (b *behind) nginx() {
	b.export("tandem.conf")
	conf := filepath.Join(b.dir, "nginx.conf")
	temp := ""
	for _, of := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		temp += fmt.Sprintf("\t%s_temp_path %s/%[1]s;\n", of, b.dir)
	}
	b.write(conf, fmt.Sprintf("daemon off;\nuser root;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nworker_processes 1;\nevents { }\nhttp {\n\taccess_log off;\n%s\tinclude %[1]s/tandem.conf;\n}\n", b.dir, temp))
	b.exported = func() {
		b.export("tandem.conf")
		if err := b.balancing.Process.Signal(syscall.SIGHUP); err != nil {
			b.t.Fatal(err)
		}
	}
	b.run("nginx", "-c", conf)
}

// drained takes a node out of service and back, under load, with a WebSocket at the other one.
func (b *behind) drained(t *testing.T) {
	b.knowsVisitors(t)
	stays := b.browser.socket(t)
	defer stays.Close()
	stays.echoes(t, strings.Repeat("x", 100_000))
	leaves := map[string]string{"web1": "web2", "web2": "web1"}[stays.node]

	steps := make([]func() error, 8)
	for i := range steps {
		steps[i] = b.visits(t, i)
	}
	load := gather(t, 80, steps)
	b.awaitRequests(load, 40)
	began := time.Now()
	if _, err := b.try(stays.node, "drain", leaves, "--timeout", "0"); err != nil {
		t.Fatal(err)
	}
	b.exported()
	b.tandem(stays.node, "drain", leaves)
	safe := time.Since(began)
	b.awaitRequests(load, 40)
	b.stop(leaves)
	b.awaitRequests(load, 80)
	stays.echoes(t, "the other node is away")
	b.start(leaves)
	b.tandem(leaves, "undrain")
	b.exported()
	began = time.Now()
	c := b.browser.speaking(t, "1")
	b.await(20*time.Second, leaves+" has visitors again", func() error {
		if a, err := ask(c, http.MethodGet, "https://app.test/", nil); err != nil || a.text != leaves {
			return fmt.Errorf("%s, %v", a.said(), err)
		}
		return nil
	})
	back := time.Since(began)
	b.awaitRequests(load, 40)
	load.leave()
	stays.echoes(t, "the other node is back")
	t.Logf("%d requests, %d failed; %s was safe to stop after %s, and had visitors %s after its return", load.sent, len(load.failed), leaves, safe.Round(time.Millisecond), back.Round(time.Millisecond))
	for _, line := range load.failed {
		t.Error(line)
	}
	b.allLinked(b.order...)
}

// knowsVisitors: the application has the visitor's address and scheme.
func (b *behind) knowsVisitors(t *testing.T) {
	a := must(t, b.browser.speaking(t, "2"), http.MethodGet, "https://app.test/who", nil, "X-Forwarded-For", "6.6.6.6")
	var who whoCame
	if err := json.Unmarshal([]byte(a.text), &who); err != nil {
		t.Fatalf("%v: %s", err, a.text)
	}
	c, err := b.browser.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if ip, _, _ := strings.Cut(c.LocalAddr().String(), ":"); who.Header.Get("X-Forwarded-For") != ip || who.Header.Get("X-Forwarded-Proto") != "https" {
		t.Errorf("the application has %v, want %s by https", who.Header, ip)
	}
}

// visits are a visitor's who reads, and posts now and then.
func (b *behind) visits(t *testing.T, i int) func() error {
	c := b.browser.speaking(t, fmt.Sprint(1+i%2))
	calls := i
	return func() error {
		method, path, want := http.MethodGet, "/wait/10", "web"
		if calls++; calls%4 == 0 {
			method, path, want = http.MethodPost, "/upload", "5 "
		}
		a, err := ask(c, method, "https://app.test"+path, strings.NewReader("hello"))
		if err == nil && (a.StatusCode != http.StatusOK || !strings.HasPrefix(a.text, want)) {
			err = fmt.Errorf("%s", a.said())
		}
		if err != nil {
			err = fmt.Errorf("%s by HTTP/%d: %w", method, 1+i%2, err)
		}
		return err
	}
}
