package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// TestStaple: an authority that is asked once for half of an answer's time, goes away, comes back and revokes.
func TestStaple(t *testing.T) {
	r := newStore(t)
	asked, status, up := 0, ocsp.Good, true
	var issuer, leaf *x509.Certificate
	var key crypto.Signer
	authority := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		raw, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{SerialNumber: leaf.SerialNumber, Status: status,
			ThisUpdate: r.now.Add(-time.Minute), NextUpdate: r.now.Add(8 * time.Hour), RevokedAt: r.now}, key)
		if err != nil || !up {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write(raw)
	}))
	defer authority.Close()
	issuer, key = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true}, nil, nil)
	var own crypto.Signer
	leaf, own = sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"a.test"}, OCSPServer: []string{authority.URL}}, issuer, key)
	r.put("a.test.pem", string(pemOf(leaf, issuer))+string(issued{key: own.(*ecdsa.PrivateKey)}.keyPEM(t)))
	stapled := func() int {
		t.Helper()
		return len(r.Find("a.test").OCSPStaple)
	}
	staple := func() error { return r.Staple(t.Context(), authority.Client(), []string{"a.test", "none.test"}) }
	if err := staple(); err != nil || stapled() == 0 || asked != 1 {
		t.Fatalf("asked %d times, %d bytes, %v", asked, stapled(), err)
	}
	r.now = r.now.Add(3 * time.Hour)
	if err := staple(); err != nil || asked != 1 {
		t.Errorf("asked %d times before half of the time, %v", asked, err)
	}
	up = false
	r.now = r.now.Add(2 * time.Hour)
	if err := staple(); err == nil || stapled() == 0 {
		t.Errorf("while it is down: %v, %d bytes", err, stapled())
	}
	r.now = r.now.Add(4 * time.Hour)
	if err := staple(); err == nil || stapled() != 0 {
		t.Errorf("after the answer's end: %v, %d bytes", err, stapled())
	}
	up, status = true, ocsp.Revoked
	if err := staple(); err != nil || stapled() != 0 {
		t.Errorf("when revoked: %v, %d bytes", err, stapled())
	}
	if len(r.events) != 1 || !strings.Contains(r.events[0], "is revoked since") {
		t.Errorf("events are %q", r.events)
	}
}

// sign makes a certificate that is good for a year. Without a parent it is signed by a root that is made for it.
func sign(t *testing.T, tmpl, parent *x509.Certificate, parentKey crypto.Signer) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl.SerialNumber, tmpl.NotBefore, tmpl.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	if parent == nil {
		root := &x509.Certificate{Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true}
		parent, parentKey = sign(t, root, root, nil)
	}
	if parentKey == nil {
		parentKey = key
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, key.Public(), parentKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}
