//go:build linux

package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// certify puts a certificate for the hosts into the farm's store, and returns who trusts it. pem is what lies there.
func (f *farmUnderTest) certify(hosts ...string) (roots *x509.CertPool, both []byte) {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: hosts, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		f.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		f.t.Fatal(err)
	}
	both = append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	for _, h := range hosts {
		f.write(filepath.Join(f.members[f.order[0]].dir, "config", "certs", h+".pem"), string(both))
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(both)
	return roots, both
}

// browser is a client that trusts roots, sits in a host of the network, and takes an address for every name.
type browser struct {
	f       *farmUnderTest
	from    string
	address string // with port
	roots   *x509.CertPool
}

// dial connects to the address.
func (b browser) dial(ctx context.Context) (net.Conn, error) {
	return b.f.lan.dial(b.from)(ctx, "tcp", b.address)
}

// tls is a connection for HTTP/1.1.
func (b browser) tls(t *testing.T, host string) *tls.Conn {
	t.Helper()
	raw, err := b.dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return tls.Client(raw, &tls.Config{RootCAs: b.roots, ServerName: host, NextProtos: []string{"http/1.1"}})
}

// speaking is a client for one version of HTTP: "1", "2" or "3".
func (b browser) speaking(t *testing.T, version string) *http.Client {
	t.Helper()
	cfg := &tls.Config{RootCAs: b.roots}
	if version == "3" {
		conn, err := b.f.lan.packets(b.from)
		if err != nil {
			t.Fatal(err)
		}
		quicly := &quic.Transport{Conn: conn}
		tr := &http3.Transport{TLSClientConfig: cfg, Dial: func(ctx context.Context, _ string, tc *tls.Config, qc *quic.Config) (*quic.Conn, error) {
			to, err := net.ResolveUDPAddr("udp4", b.address)
			if err != nil {
				return nil, err
			}
			return quicly.DialEarly(ctx, to, tc, qc)
		}}
		t.Cleanup(func() {
			_ = tr.Close()
			_ = quicly.Close()
			_ = conn.Close()
		})
		return &http.Client{Transport: tr, Timeout: time.Minute}
	}
	tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: version == "2", MaxIdleConnsPerHost: 64,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return b.dial(ctx) }}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is an answer that was read to its end.
type reply struct {
	*http.Response
	text string
}

// ask sends a request and reads the whole answer. body may be nil; headers come in pairs.
func ask(c *http.Client, method, url string, body io.Reader, headers ...string) (reply, error) {
	r, err := http.NewRequest(method, url, body)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return do(c, r)
}

// do sends a request and reads the whole answer.
func do(c *http.Client, r *http.Request) (reply, error) {
	w, err := c.Do(r)
	if err != nil {
		return reply{}, err
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	return reply{w, string(b)}, err
}

// must is ask for who needs the answer.
func must(t *testing.T, c *http.Client, method, url string, body io.Reader, headers ...string) reply {
	t.Helper()
	a, err := ask(c, method, url, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return a
}

// is fails the test unless the answer has the status and holds the text.
func (a reply) is(t *testing.T, status int, text string) {
	t.Helper()
	if a.StatusCode != status || !strings.Contains(a.text, text) {
		t.Errorf("%s %s by HTTP/%d: status %d, %.200q; want %d, %q", a.Request.Method, a.Request.URL, a.ProtoMajor, a.StatusCode, a.text, status, text)
	}
}

// answers waits until the site answers with status 200.
func (f *farmUnderTest) answers(c *http.Client, url string) {
	f.t.Helper()
	f.await(20*time.Second, url+" answers", func() error {
		a, err := ask(c, http.MethodGet, url, nil)
		if err == nil && a.StatusCode != http.StatusOK {
			err = fmt.Errorf("status %d: %.200q", a.StatusCode, a.text)
		}
		return err
	})
}
