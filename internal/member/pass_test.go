package member

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// call asks a host on a connection of its own, and returns the answer and the certificate that was shown.
func call(at, host, port string) (body string, leaf []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	tr := &http.Transport{DisableKeepAlives: true, DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true}}
		c, err := d.DialContext(ctx, "tcp", at)
		if err == nil {
			leaf = c.(*tls.Conn).ConnectionState().PeerCertificates[0].Raw
		}
		return c, err
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+net.JoinHostPort(host, port)+"/", nil)
	if err != nil {
		return "", nil, err
	}
	req.Header.Set("X-Forwarded-For", "198.51.100.9")
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return "", leaf, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), leaf, err
}

// callAs asks for a host on a connection for another one.
func callAs(at, sni, host string) (status int, err error) {
	c, err := tls.Dial("tcp", at, &tls.Config{ServerName: sni, InsecureSkipVerify: true})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", host); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

// TestPassthrough: of two sites on one port of an edge, TLS of one ends at the edge, that of the other at a node; when that
// node is gone the next connection goes to another.
func TestPassthrough(t *testing.T) {
	web1, web2 := two(t)
	edge1 := web1.joinAs("edge1", farm.RoleEdge)
	at := freeAddress(t)
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	web1.edit(config.FarmFile, func(src string) string { return src + fmt.Sprintf("\n[edge]\nhttp = []\nhttps = %q\n", at) })
	eventually(t, "the edge listens", func() bool {
		c, err := net.Dial("tcp", at)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	for name, option := range map[string]string{"ends": "", "passes": "\tedge {\n\t\tpassthrough\n\t}\n"} {
		site := fmt.Sprintf("https://%s.test:%s {\n\tbind 192.0.2.1\n\ttls internal\n%s\trespond \"{member.name} {remote_host} {tls_version}\"\n}\n", name, port, option)
		if err := os.WriteFile(filepath.Join(web1.paths.Config, config.SitesDir, name+".caddy"), []byte(site), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	nodes := map[string]*server{"web1": web1, "web2": web2}
	// shown tells whether the certificate is the member's own for the host.
	shown := func(s *server, host string, leaf []byte) bool {
		s.certs.mu.Lock()
		defer s.certs.mu.Unlock()
		c := s.certs.own[host]
		return c != nil && string(c.Leaf.Raw) == string(leaf)
	}
	served := map[string]int{}
	eventually(t, "both nodes serve what passes through", func() bool {
		body, leaf, err := call(at, "passes.test", port)
		name, rest, _ := strings.Cut(body, " ")
		if err != nil || nodes[name] == nil {
			return false
		}
		if !shown(nodes[name], "passes.test", leaf) {
			return false // before the edge knew of the site
		}
		if rest != "127.0.0.1 tls1.3" {
			t.Fatalf("the node sees %q", body)
		}
		served[name]++
		return len(served) == 2 && served[name] > 2
	})
	body, leaf, err := call(at, "ends.test", port)
	if err != nil || !strings.Contains(body, " 127.0.0.1 ") || !shown(edge1, "ends.test", leaf) {
		t.Errorf("the site that ends at the edge: %q, %v", body, err)
	}
	if shown(edge1, "passes.test", leaf) {
		t.Error("the edge has shown a certificate for the site that passes through")
	}

	// A connection for the one is none for the other: what an edge does for a site can't be got round.
	for sni, host := range map[string]string{"passes.test": "ends.test", "ends.test": "passes.test"} {
		if status, err := callAs(at, sni, host); status != http.StatusMisdirectedRequest {
			t.Errorf("asked for %s on a connection for %s: %d, %v", host, sni, status, err)
		}
	}

	web2.end()
	for range 10 {
		if body, _, err := call(at, "passes.test", port); err != nil || !strings.HasPrefix(body, "web1 ") {
			t.Errorf("after web2 has gone: %q, %v", body, err)
		}
	}
}
