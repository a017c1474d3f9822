//go:build linux

package acme

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/acme/acmetest"
	"tandem/internal/control"
	"tandem/internal/farm"
)

var program string // the binary under test

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "tandem-acme-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "tandem")
		if out, err := exec.Command("go", "build", "-o", program, "tandem/cmd/tandem").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// server is a member of the farm under test, with a loopback address of its own.
type server struct {
	name, ip, dir string
	cmd           *exec.Cmd
	done          chan struct{}
}

// rig is web1, web2 and edge1, and an authority. All listen on the ports on which it asks.
type rig struct {
	t         *testing.T
	ca        *acmetest.Authority
	http, tls int
	servers   map[string]*server
}

// servers are in their order of joining. None of the addresses is one that other tests use.
var addresses = [][2]string{{"web1", "127.8.0.11"}, {"web2", "127.8.0.12"}, {"edge1", "127.8.0.20"}}

func newRig(t *testing.T, o acmetest.Options, extra string) *rig {
	t.Helper()
	if testing.Short() {
		t.Skip("long test, left out by -short")
	}
	o.HTTPPort, o.TLSPort = acmetest.Port(t), acmetest.Port(t)
	r := &rig{t: t, ca: acmetest.Start(t, o), http: o.HTTPPort, tls: o.TLSPort, servers: map[string]*server{}}
	port := acmetest.Port(t) // free on 127.0.0.1, and most likely on the others
	for _, a := range addresses {
		s := &server{name: a[0], ip: a[1], dir: filepath.Join(t.TempDir(), a[0])}
		if err := os.MkdirAll(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		r.servers[s.name] = s
		role, at := "node", fmt.Sprintf("%s:%d", s.ip, port)
		if strings.HasPrefix(s.name, "edge") {
			role = "edge"
		}
		own := []string{"--name", s.name, "--address", at, "--listen", at}
		if s.name == "web1" {
			r.must("web1", append([]string{"init", "--farm", "test", "--role", role}, own...)...)
			r.configure(extra)
		} else {
			var inv struct{ Token string }
			if err := json.Unmarshal(r.must("web1", "invite", "--role", role, "--json"), &inv); err != nil {
				t.Fatal(err)
			}
			r.must(s.name, append([]string{"join", inv.Token}, own...)...)
		}
		r.own(s)
		r.start(s.name)
		r.await(s.name+" runs", func() bool { _, err := r.try(s.name, "status"); return err == nil })
	}
	return r
}

// own says which of the machine's addresses is the server's.
func (r *rig) own(s *server) {
	path := filepath.Join(s.dir, "config", "member.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(path, string(src)+fmt.Sprintf("\naddresses = %q\n", s.ip))
}

// configure completes the first configuration: what is served where, and the authority.
func (r *rig) configure(extra string) {
	dir := filepath.Join(r.servers["web1"].dir, "config")
	src, err := os.ReadFile(filepath.Join(dir, "farm.toml"))
	if err != nil {
		r.t.Fatal(err)
	}
	r.write(filepath.Join(dir, "farm.toml"), string(src)+fmt.Sprintf(`
[edge]
http = "127.8.0.20:%d"
https = "127.8.0.20:%d"

[acme]
agree = true
email = "admin@shop.test"
directory = %q
root = """%s"""
%s
`, r.http, r.tls, r.ca.Directory, r.ca.Roots, extra))
	r.write(filepath.Join(dir, "sites", "shop.caddy"), fmt.Sprintf(`https://shop.test:%d {
	bind 127.8.0.11 127.8.0.12
	respond "the shop"
}
http://shop.test:%d {
	bind 127.8.0.11 127.8.0.12
	respond "the shop, in the clear"
}
`, r.tls, r.http))
}

func (r *rig) write(path, text string) {
	r.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) flags(name string) []string {
	d := r.servers[name].dir
	return []string{"--config", d + "/config", "--state", d + "/state", "--socket", d + "/sock"}
}

func (r *rig) try(name string, args ...string) ([]byte, error) {
	cmd := exec.Command(program, append(args, r.flags(name)...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s: %v: %w: %s", name, args, err, stderr.Bytes())
	}
	return out, err
}

// typed runs a command with a text on its standard input.
func (r *rig) typed(name, text string, args ...string) {
	r.t.Helper()
	cmd := exec.Command(program, append(args, r.flags(name)...)...)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v: %v: %s", name, args, err, out)
	}
}

// edit changes farm.toml on a member that runs.
func (r *rig) edit(name, old, new string) {
	r.t.Helper()
	path := filepath.Join(r.servers[name].dir, "config", "farm.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		r.t.Fatal(err)
	}
	text := strings.Replace(string(src), old, new, 1)
	if text == string(src) {
		r.t.Fatalf("%s has no %q", path, old)
	}
	r.write(path, text)
}

func (r *rig) must(name string, args ...string) []byte {
	r.t.Helper()
	out, err := r.try(name, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) start(name string) {
	r.t.Helper()
	s := r.servers[name]
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		r.t.Fatal(err)
	}
	s.cmd = exec.Command(program, append([]string{"run"}, r.flags(name)...)...)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	if err := s.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	s.done = make(chan struct{})
	go func() {
		_ = s.cmd.Wait() // it is killed
		_ = log.Close()
		close(s.done)
	}()
	r.t.Cleanup(func() {
		r.kill(name)
		if r.t.Failed() {
			b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			r.t.Logf("--- %s\n%s", name, b[max(0, len(b)-6000):])
		}
	})
}

func (r *rig) kill(name string) {
	s := r.servers[name]
	_ = s.cmd.Process.Kill()
	<-s.done
}

// await waits until ok.
func (r *rig) await(what string, ok func() bool) {
	r.t.Helper()
	limit := time.After(90 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			r.t.Fatalf("not so in time: %s", what)
		}
	}
}

// told are the events of that id that the member has raised.
func (r *rig) told(name string, id farm.EventID) []farm.Event {
	r.t.Helper()
	var events []farm.Event
	for line := range bytes.Lines(r.must(name, "events", "--json", "--limit", "1000")) {
		var e control.Recorded
		if err := json.Unmarshal(line, &e); err != nil {
			r.t.Fatal(err)
		}
		if e.ID == id {
			events = append(events, e.Event)
		}
	}
	return events
}

func (r *rig) addr(name string, port int) string {
	return net.JoinHostPort(r.servers[name].ip, fmt.Sprint(port))
}
