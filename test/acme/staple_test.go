//go:build linux

package acme

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"tandem/internal/acme/acmetest"
)

// responder is an authority that says of one certificate that it is good.
type responder struct {
	root, leaf *x509.Certificate
	rootKey    crypto.Signer
	pem        string // leaf, chain and key
	asked      atomic.Int64
}

func newResponder(t *testing.T, host string) *responder {
	t.Helper()
	a := &responder{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		a.asked.Add(1)
		raw, err := ocsp.CreateResponse(a.root, a.root, ocsp.Response{Status: ocsp.Good, SerialNumber: a.leaf.SerialNumber,
			ThisUpdate: time.Now().Add(-time.Minute), NextUpdate: time.Now().Add(time.Hour)}, a.rootKey)
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(raw)
	}))
	t.Cleanup(srv.Close)
	a.root, a.rootKey = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "issuing authority"}, IsCA: true, BasicConstraintsValid: true}, a)
	var key crypto.Signer
	a.leaf, key = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, OCSPServer: []string{srv.URL}}, a)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range []pem.Block{{Type: "CERTIFICATE", Bytes: a.leaf.Raw}, {Type: "CERTIFICATE", Bytes: a.root.Raw}, {Type: "PRIVATE KEY", Bytes: der}} {
		a.pem += string(pem.EncodeToMemory(&b))
	}
	return a
}

// sign has the authority sign a certificate; one that has no key yet has a root that nobody keeps sign it.
func sign(t *testing.T, tmpl *x509.Certificate, by *responder) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().AddDate(0, 3, 0)
	parent, signer := by.root, by.rootKey
	if parent == nil {
		parent = &x509.Certificate{Subject: pkix.Name{CommonName: "root"}}
		if signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// staple is what a member says in a handshake of whether its certificate is good; nil: nothing, or no handshake.
func (r *rig) staple(name string) []byte {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 2 * time.Second}, "tcp", r.addr(name, r.tls), &tls.Config{ServerName: "shop.test", InsecureSkipVerify: true})
	if err != nil {
		return nil
	}
	defer conn.Close()
	return conn.ConnectionState().OCSPResponse
}

// TestStapled: a certificate of an authority that answers OCSP is copied into the store of one node. All members ask soon, and
// say so to visitors; after a restart, too.
func TestStapled(t *testing.T) {
	r := newRig(t, acmetest.Options{}, "members = [\"web2\"]\nchallenges = []\ndns_hook = [\"/bin/false\"]")
	a := newResponder(t, "shop.test")
	r.write(filepath.Join(r.servers["web1"].dir, "config", "certs", "shop.test.pem"), a.pem)
	began := time.Now()
	stapled := func(members ...string) func() bool {
		return func() bool {
			for _, m := range members {
				said, err := ocsp.ParseResponseForCert(r.staple(m), a.leaf, a.root)
				if err != nil || said.Status != ocsp.Good {
					return false
				}
			}
			return true
		}
	}
	r.await("all staple", stapled(all...))
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("all staple after %s", took)
	} else {
		t.Logf("all staple after %s, and the authority was asked %d times", took.Round(time.Millisecond), a.asked.Load())
	}
	if n := a.asked.Load(); n != int64(len(all)) {
		t.Errorf("the authority was asked %d times by %d members", n, len(all))
	}
	r.kill("web2")
	r.start("web2")
	began = time.Now()
	r.await("it staples after a restart", stapled("web2"))
	t.Logf("after a restart it staples within %s", time.Since(began).Round(time.Millisecond))
}
