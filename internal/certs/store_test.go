package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// makeCert returns chain and key in PEM; the common name tells certificates apart.
func makeCert(t *testing.T, cn string, until time.Time, names ...string) (chain, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: cn}, DNSNames: names, NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}))
}

// storeRig is a store with a clock of its own.
type storeRig struct {
	*Store
	t      *testing.T
	dir    string
	now    time.Time
	events []string
}

func newStore(t *testing.T) *storeRig {
	r := &storeRig{t: t, dir: t.TempDir(), now: time.Now()}
	chain, key := makeCert(t, "fallback", r.now.Add(time.Hour))
	fallback, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	r.Store = NewStore(Config{
		Dirs:     []Dir{{Shared, r.dir}},
		Fallback: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &fallback, nil },
		Sink:     func(e farm.Event) { r.events = append(r.events, string(e.Severity)+" "+e.Subject+": "+e.Message) },
		Now:      func() time.Time { return r.now },
	})
	return r
}

// put writes a file, later than any before it.
func (r *storeRig) put(name, content string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(content), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.touch(name)
}

func (r *storeRig) touch(name string) {
	r.now = r.now.Add(2 * time.Second)
	for _, p := range []string{filepath.Join(r.dir, name), r.dir} {
		if err := os.Chtimes(p, r.now, r.now); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *storeRig) pem(file, cn string, names ...string) {
	r.t.Helper()
	chain, key := makeCert(r.t, cn, r.now.Add(time.Hour), names...)
	r.put(file, key+chain)
}

// ask is the common name of the certificate for a host.
func (r *storeRig) ask(host string) string {
	r.t.Helper()
	cert, err := r.GetCertificate(&tls.ClientHelloInfo{ServerName: host})
	if err != nil {
		r.t.Fatal(err)
	}
	return cert.Leaf.Subject.CommonName
}

func TestStoreFindsByName(t *testing.T) {
	r := newStore(t)
	r.pem("a.test.pem", "exact", "a.test")
	r.pem("_.a.test.pem", "wildcard", "*.a.test")
	r.pem("many.pem", "many", "b.test", "c.test", "*.d.test", "www.a.test")
	chain, key := makeCert(t, "pair", r.now.Add(time.Hour), "p.test")
	r.put("p.test.crt", chain)
	r.put("p.test.key", key)
	r.pem("e.test.pem", "other", "not-e.test")
	r.put("notes.txt", "x")
	for host, want := range map[string]string{
		"a.test": "exact", "A.Test.": "exact", "x.a.test": "wildcard", "x.y.a.test": "fallback",
		"www.a.test": "many", "b.test": "many", "c.test": "many", "x.d.test": "many", "d.test": "fallback",
		"p.test": "pair", "e.test": "fallback", "not-e.test": "other", "": "fallback",
		"../a.test": "fallback", "many": "fallback",
	} {
		if got := r.ask(host); got != want {
			t.Errorf("%q gets %s, want %s", host, got, want)
		}
	}
}

func TestStoreFollowsTheFiles(t *testing.T) {
	r := newStore(t)
	if got := r.ask("a.test"); got != "fallback" {
		t.Fatalf("empty store gives %s", got)
	}
	r.pem("a.test.pem", "one", "a.test")
	if got := r.ask("a.test"); got != "one" {
		t.Errorf("after it was put: %s", got)
	}
	r.pem("a.test.pem", "two", "a.test")
	if got := r.ask("a.test"); got != "two" {
		t.Errorf("after it was replaced: %s", got)
	}
	r.put("a.test.pem", "garbage")
	for range 3 {
		if got := r.ask("a.test"); got != "two" {
			t.Errorf("a bad file replaced a good certificate: %s", got)
		}
		r.now = r.now.Add(2 * time.Second)
	}
	if len(r.events) != 1 || !strings.HasPrefix(r.events[0], "warning a.test.pem: ") {
		t.Errorf("events are %q", r.events)
	}
	r.pem("a.test.pem", "three", "a.test")
	if got := r.ask("a.test"); got != "three" || len(r.events) != 2 || !strings.HasPrefix(r.events[1], "healed a.test.pem") {
		t.Errorf("after it was mended: %s, events %q", got, r.events)
	}
	if err := os.Remove(r.dir + "/a.test.pem"); err != nil {
		t.Fatal(err)
	}
	r.touch(".")
	if got := r.ask("a.test"); got != "fallback" {
		t.Errorf("after it was removed: %s", got)
	}
}

func TestStoreLooksSeldomUnlessToldTo(t *testing.T) {
	r := newStore(t)
	r.pem("a.test.pem", "one", "a.test")
	r.ask("a.test")
	now := r.now
	r.pem("a.test.pem", "two", "a.test")
	r.now = now
	if got := r.ask("a.test"); got != "one" {
		t.Errorf("within a second: %s", got)
	}
	r.Changed()
	if got := r.ask("a.test"); got != "two" {
		t.Errorf("after Changed: %s", got)
	}
}

func TestStoreTellsOfExpiredAndMissing(t *testing.T) {
	r := newStore(t)
	chain, key := makeCert(t, "old", r.now.Add(-time.Hour), "a.test")
	r.put("a.test.pem", key+chain)
	if got := r.ask("a.test"); got != "old" {
		t.Errorf("got %s", got)
	}
	r.put("b.test.crt", chain)
	if got := r.ask("b.test"); got != "fallback" {
		t.Errorf("without a key: %s", got)
	}
	if len(r.events) != 2 || !strings.Contains(r.events[0], "has expired") || !strings.Contains(r.events[1], "read b.test.key") {
		t.Errorf("events are %q", r.events)
	}
	r.cfg.Fallback = nil
	if _, err := r.GetCertificate(&tls.ClientHelloInfo{ServerName: "x.test"}); farm.KindOf(err) != farm.NotFound {
		t.Errorf("without a fallback: %v", err)
	}
}
