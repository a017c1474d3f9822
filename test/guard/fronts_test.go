package guard

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/edge"
	"tandem/internal/farm"
	"tandem/internal/shell"
)

// dialTo is a way to one node, whatever its name.
type dialTo struct{ net.Addr }

// DialHTTP implements edge.Dialer.
func (d dialTo) DialHTTP(ctx context.Context, _ farm.MemberID) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, d.Network(), d.String())
}

func tandemFront(t *testing.T, _ int, node *recorder) net.Addr {
	return startEdge(t, node.Addr()).plain
}

// entrance is where an edge takes visitors.
type entrance struct {
	plain, tls net.Addr
	roots      *x509.CertPool // that certify shop.test
	edge       *edge.Edge
	shell      *shell.Shell
}

// startEdge runs an edge behind two fronts, as a member does, with one node, and waits until the node is healthy.
func startEdge(t *testing.T, node net.Addr) entrance {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	cert, roots := certificate(t)
	in := entrance{
		roots: roots,
		edge:  edge.New(edge.Config{Dialer: dialTo{node}}),
		shell: shell.New(shell.Config{
			Log: quiet, Sink: func(farm.Event) {}, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil },
		}),
	}
	ctx, stop := context.WithCancel(context.Background())
	run := make(chan struct{})
	go func() {
		defer close(run)
		_ = in.edge.Run(ctx)
	}()
	t.Cleanup(func() {
		soon, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = in.shell.Close(soon) // what waits for a visitor is cut off
		stop()
		<-run
	})
	if err := in.shell.Apply(ctx, []shell.Front{
		{Name: "plain", Address: "127.0.0.1:0", Direct: true, Handler: in.edge},
		{Name: "tls", Network: "tcp4", Address: "127.0.0.1:0", Direct: true, TLS: true, Handler: in.edge},
	}); err != nil {
		t.Fatal(err)
	}
	all := in.shell.Status()
	in.plain, in.tls = tcpAddr(t, all[0].Listening), tcpAddr(t, all[1].Listening)
	in.edge.SetNodes([]edge.Node{{ID: "web1"}})
	in.edge.Link("web1", true)
	for range 2000 {
		if in.edge.Stats()[0].State == edge.Healthy.String() {
			return in
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("the node did not become healthy")
	return in
}

// made is the certificate of all tests: to make one takes longer than most of them.
var made = sync.OnceValues(func() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"shop.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
})

func certificate(t *testing.T) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	cert, err := made()
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert.Leaf)
	return cert, roots
}

func tcpAddr(t *testing.T, s string) net.Addr {
	t.Helper()
	a, err := net.ResolveTCPAddr("tcp", s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// nginxVersion is what nginx says of itself; empty where there is none.
func nginxVersion() string {
	out, err := exec.Command("nginx", "-v").CombinedOutput()
	if err != nil {
		return ""
	}
	_, version, _ := strings.Cut(strings.TrimSpace(string(out)), "nginx version: ")
	return version
}

const (
	nginxConf = `
daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/log;
events { worker_connections 4096; }
http {
	access_log off;
	client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
	client_header_timeout %[2]d; client_body_timeout %[2]d;
	proxy_http_version 1.1; proxy_set_header Host $host;
	%[3]s
}
`
	nginxServer = "server { listen unix:%[1]s/%[2]d; location / { proxy_pass http://%[3]s; } }\n"
)

// startNginx starts one nginx with n proxies, when it has been told the nodes of all.
func startNginx(t *testing.T, n int) entry {
	dir, err := os.MkdirTemp("", "ng") // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	var servers bytes.Buffer
	return func(t *testing.T, i int, node *recorder) net.Addr {
		fmt.Fprintf(&servers, nginxServer, dir, i, node.Addr())
		if i == n-1 {
			conf := filepath.Join(dir, "conf")
			if err := os.WriteFile(conf, fmt.Appendf(nil, nginxConf, dir, int(waitTime/time.Second)-1, servers.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			runNginx(t, dir, conf, filepath.Join(dir, fmt.Sprint(i)))
		}
		return &net.UnixAddr{Name: filepath.Join(dir, fmt.Sprint(i)), Net: "unix"}
	}
}

func runNginx(t *testing.T, dir, conf, socket string) {
	cmd := exec.Command("nginx", "-p", dir, "-c", conf)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
	})
	for range 2000 {
		if c, err := net.Dial("unix", socket); err == nil {
			_ = c.Close()
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("nginx: %v\n%s", err, out.String())
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatal("nginx does not listen")
}
