//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestOtherBalancers: with the configuration that tandem export writes, HAProxy and nginx balance over the nodes without
// affinity; nodes die and come back, and the sessions' guarantees hold.
func TestOtherBalancers(t *testing.T) {
	for name, start := range map[string]func(*farmUnderTest){"haproxy": startHAProxy, "nginx": startNginx} {
		t.Run(name, func(t *testing.T) {
			need(t, "rsync", name)
			f := newFarm(t, "web1", "web2")
			lb := f.lan.host("lb")
			f.ledgerNodes("web1", "web2")
			f.found(ledgerFarm, map[string]string{"ledger.caddy": ledgerSite})
			f.inSync("web1", "web2")
			start(f)
			p := f.person(ledgerHost)
			f.await(20*time.Second, name+" answers", func() error {
				a, err := p.do(http.MethodGet, lb, "/nothing", "")
				if err == nil && a.status != http.StatusNotFound {
					err = fmt.Errorf("status %d", a.status)
				}
				return err
			})
			c := f.gatherLedger([]string{"web1", "web2"}, 16, *nemesisRate, func(int) []string { return []string{lb} })
			c.silent = name == "haproxy"
			f.awaitRequests(c.crowd, *nemesisRate)
			f.killInTurn(c)
			f.awaitRequests(c.crowd, *nemesisRate)
			c.end(t)
		})
	}
}

// ledgerNodes makes the folders and starts the applications.
func (f *farmUnderTest) ledgerNodes(nodes ...string) {
	f.t.Helper()
	for _, n := range nodes {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			f.t.Fatal(err)
		}
		f.startLedger(n)
	}
}

// noticeAlive is how long a balancer may take to send visitors to a node that is back.
const noticeAlive = 3 * time.Second

// killInTurn kills each node and brings it back.
func (f *farmUnderTest) killInTurn(c *ledgerCrowd) {
	f.t.Helper()
	for _, n := range c.nodes {
		f.kill(n)
		f.lasts(*nemesisTime / time.Duration(2*len(c.nodes)))
		f.start(n)
		f.allLinked(c.nodes...)
		f.lasts(noticeAlive)
	}
}

// lasts lets a part of the test go on for so long.
func (f *farmUnderTest) lasts(d time.Duration) {
	f.t.Helper()
	select {
	case <-time.After(d):
	case <-f.t.Context().Done():
	}
}

func startHAProxy(f *farmUnderTest) {
	conf := filepath.Join(f.t.TempDir(), "haproxy.cfg")
	f.write(conf, string(f.tandem("web1", "export", "haproxy")))
	if out, err := f.lan.command("lb", "haproxy", "-c", "-f", conf).CombinedOutput(); err != nil {
		f.t.Fatalf("haproxy -c: %v\n%s", err, out)
	}
	f.background(f.lan.command("lb", "haproxy", "-db", "-f", conf))
}

func startNginx(f *farmUnderTest) {
	dir := f.t.TempDir()
	f.write(filepath.Join(dir, "tandem.conf"), string(f.tandem("web1", "export", "nginx")))
	conf := filepath.Join(dir, "nginx.conf")
	f.write(conf, fmt.Sprintf(`daemon off;
user root;
pid %[1]s/pid;
error_log %[1]s/error.log;
worker_processes 1;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	include %[1]s/tandem.conf;
}
`, dir))
	if out, err := f.lan.command("lb", "nginx", "-t", "-c", conf).CombinedOutput(); err != nil {
		f.t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	f.background(f.lan.command("lb", "nginx", "-c", conf))
}
