package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tandem/internal/farm"
)

// testClock is a wall clock that stands still until it is set.
type testClock struct{ at time.Time }

func (c *testClock) now() time.Time { return c.at }

func newClock() *testClock { return &testClock{time.Now().Truncate(time.Second)} }

func createFarm(t *testing.T, c *testClock, name farm.MemberID) *Identity {
	t.Helper()
	id, err := CreateFarm(filepath.Join(t.TempDir(), "identity"), name, c.now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// join makes a member of the farm of ca, with or without authority.
func join(t *testing.T, ca *Identity, name farm.MemberID, authority bool) *Identity {
	t.Helper()
	req, err := NewRequest(filepath.Join(t.TempDir(), "identity"), name, ca.now)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ca.Issue(req.CSR, name)
	if err != nil {
		t.Fatal(err)
	}
	var key []byte
	if authority {
		if key, err = ca.CAKey(); err != nil {
			t.Fatal(err)
		}
	}
	id, err := req.Accept(EncodeCert(der), ca.CA(), key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestFarmIsStoredAndLoaded(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	edge1 := join(t, web1, "edge1", false)
	for _, id := range []*Identity{web1, edge1} {
		got, err := Load(id.dir, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got.Name() != id.Name() || got.Farm() != web1.Farm() || got.Fingerprint() != id.Fingerprint() ||
			got.Authority() != id.Authority() {
			t.Errorf("loaded %v %v, stored %v %v", got.Name(), got.Authority(), id.Name(), id.Authority())
		}
		files, err := os.ReadDir(id.dir)
		if err != nil {
			t.Fatal(err)
		}
		want := 3
		if id.Authority() {
			want = 4
		}
		if len(files) != want {
			t.Errorf("%v: %d files, want %d: nothing temporary may stay", id.Name(), len(files), want)
		}
		for _, f := range files {
			if info, err := f.Info(); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v, %v", f.Name(), info.Mode(), err)
			}
		}
	}
	if _, err := CreateFarm(web1.dir, "web1", c.now); farm.KindOf(err) != farm.Exists {
		t.Errorf("second farm in a directory: %v", err)
	}
	if _, err := edge1.CAKey(); farm.KindOf(err) != farm.Denied {
		t.Errorf("CA key without authority: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	c := newClock()
	damage := map[string]struct {
		do   func(dir string) error
		kind farm.Kind
	}{
		"nothing there":  {os.RemoveAll, farm.NotFound},
		"no member cert": {func(d string) error { return os.Remove(filepath.Join(d, memberFile)) }, farm.NotFound},
		"loose key":      {func(d string) error { return os.Chmod(filepath.Join(d, memberKeyFile), 0o640) }, farm.Denied},
		"loose CA key":   {func(d string) error { return os.Chmod(filepath.Join(d, caKeyFile), 0o604) }, farm.Denied},
		"not PEM":        {func(d string) error { return os.WriteFile(filepath.Join(d, caFile), []byte("x"), 0o600) }, farm.Invalid},
		"another's key": {func(d string) error {
			b, err := os.ReadFile(filepath.Join(d, caKeyFile))
			return errors.Join(err, os.WriteFile(filepath.Join(d, memberKeyFile), b, 0o600))
		}, farm.Invalid},
		"another's CA key": {func(d string) error {
			b, err := os.ReadFile(filepath.Join(d, memberKeyFile))
			return errors.Join(err, os.WriteFile(filepath.Join(d, caKeyFile), b, 0o600))
		}, farm.Invalid},
	}
	for name, x := range damage {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && x.kind == farm.Denied {
				t.Skip("windows has no such permissions")
			}
			id := createFarm(t, c, "web1")
			if err := x.do(id.dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(id.dir, c.now); farm.KindOf(err) != x.kind {
				t.Errorf("got %v, want kind %v", err, x.kind)
			}
		})
	}
}

func TestRenewal(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	before, key := web1.Expires(), web1.Fingerprint()
	c.at = c.at.AddDate(1, 0, 0)
	csr, err := web1.CSR()
	if err != nil {
		t.Fatal(err)
	}
	der, err := web1.Issue(csr, web1.Name())
	if err != nil {
		t.Fatal(err)
	}
	if err := web1.Install(der); err != nil {
		t.Fatal(err)
	}
	if !web1.Expires().After(before) || web1.Fingerprint() != key {
		t.Errorf("expires %v then %v, key %v then %v", before, web1.Expires(), key, web1.Fingerprint())
	}
	if got, err := Load(web1.dir, c.now); err != nil || !got.Expires().Equal(web1.Expires()) {
		t.Errorf("renewed certificate was not stored: %v", err)
	}
	other, err := web1.Issue(csr, "web2")
	if err != nil {
		t.Fatal(err)
	}
	if err := web1.Install(other); farm.KindOf(err) != farm.Invalid {
		t.Errorf("another name's certificate: %v", err)
	}
}

// TestRenewOnlyTheListedKey: whoever stole a name can't turn it into a certificate for a key of his own.
func TestRenewOnlyTheListedKey(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	edge1 := join(t, web1, "edge1", false)
	csr, err := edge1.CSR()
	if err != nil {
		t.Fatal(err)
	}
	before := edge1.Expires()
	c.at = c.at.AddDate(1, 0, 0)
	der, err := web1.Renew(csr, "edge1", edge1.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	if err := edge1.Install(der); err != nil || !edge1.Expires().After(before) {
		t.Errorf("installed: %v, ends %v", err, edge1.Expires())
	}
	for name, err := range map[string]error{
		"another key":  errOf(web1.Renew(csr, "edge1", web1.Fingerprint())),
		"no authority": errOf(edge1.Renew(csr, "edge1", edge1.Fingerprint())),
	} {
		if farm.KindOf(err) != farm.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := web1.Renew([]byte("no request"), "edge1", ""); farm.KindOf(err) != farm.Invalid {
		t.Errorf("no request: %v", err)
	}
}

func errOf(_ []byte, err error) error { return err }

func TestIssueRefusesBadRequests(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	edge1 := join(t, web1, "edge1", false)
	csr, err := web1.CSR()
	if err != nil {
		t.Fatal(err)
	}
	forged := append([]byte(nil), csr...)
	forged[len(forged)-1] ^= 1
	for name, x := range map[string]struct {
		by   *Identity
		csr  []byte
		name farm.MemberID
		kind farm.Kind
	}{
		"garbage":      {web1, []byte("x"), "web2", farm.Invalid},
		"forged":       {web1, forged, "web2", farm.Invalid},
		"bad name":     {web1, csr, "../web2", farm.Invalid},
		"no authority": {edge1, csr, "web2", farm.Denied},
	} {
		if _, err := x.by.Issue(x.csr, x.name); farm.KindOf(err) != x.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// keysOf lists the keys of the members.
func keysOf(ids ...*Identity) Keys {
	return func(name farm.MemberID) (string, bool) {
		for _, id := range ids {
			if id.Name() == name {
				return id.Fingerprint(), true
			}
		}
		return "", false
	}
}

// handshake connects a client and a server and returns what each said.
func handshake(client, server *tls.Config) (clientErr, serverErr error) {
	a, b := net.Pipe()
	done := make(chan error, 1)
	go func() {
		c := tls.Server(b, server)
		err := c.Handshake()
		if err == nil {
			_, err = c.Write([]byte{1})
		}
		done <- err
		_ = b.Close()
	}()
	c := tls.Client(a, client)
	clientErr = c.Handshake()
	if clientErr == nil {
		_, clientErr = c.Read(make([]byte, 1)) // the server's verdict on a client comes after the handshake
	}
	_ = a.Close()
	return clientErr, <-done
}

func TestHandshake(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	web2 := join(t, web1, "web2", true)
	edge1 := join(t, web1, "edge1", false)
	twin := join(t, web1, "web2", true) // same name, another key
	stranger := createFarm(t, newClock(), "web2")
	all := keysOf(web1, web2, edge1)
	later := &testClock{c.at.AddDate(memberYears, 0, 1)}
	future, err := Load(web1.dir, later.now)
	if err != nil {
		t.Fatal(err)
	}

	for _, x := range []struct {
		name   string
		client *Identity
		server *Identity
		keys   Keys // of the server, who decides here
		reason Reason
	}{
		{"members", web2, web1, all, ""},
		{"edge and node", edge1, web1, all, ""},
		{"another farm's", stranger, web1, all, AnotherFarm},
		{"unknown name", edge1, web1, keysOf(web1, web2), UnknownName},
		{"revoked key", twin, web1, all, RevokedKey},
		{"expired", web2, future, all, Expired},
	} {
		t.Run(x.name, func(t *testing.T) {
			client := Trust{x.client, func(farm.MemberID) (string, bool) { return "", false }}.ClientTLS("web1", "h2")
			client.VerifyConnection = nil // only the server's decision is under test
			cerr, serr := handshake(client, Trust{x.server, x.keys}.ServerTLS("h2"))
			checkRefusal(t, serr, x.reason)
			if (cerr == nil) != (x.reason == "") {
				t.Errorf("client saw %v", cerr)
			}
		})
	}
	t.Run("client refuses the wrong member", func(t *testing.T) {
		cerr, _ := handshake(Trust{edge1, all}.ClientTLS("web2", "h2"), Trust{web1, all}.ServerTLS("h2"))
		checkRefusal(t, cerr, WrongName)
	})
	t.Run("client refuses another farm", func(t *testing.T) {
		cerr, _ := handshake(Trust{web1, all}.ClientTLS("web2", "h2"), Trust{stranger, all}.ServerTLS("h2"))
		checkRefusal(t, cerr, AnotherFarm)
	})
	t.Run("no certificate", func(t *testing.T) {
		_, serr := handshake(PinTLS(web1.Farm(), "h2", c.now), Trust{web1, all}.ServerTLS("h2"))
		if serr == nil {
			t.Error("accepted")
		}
	})
	t.Run("nothing below TLS 1.3", func(t *testing.T) {
		old := Trust{web2, all}.ClientTLS("web1", "h2")
		old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		if _, serr := handshake(old, Trust{web1, all}.ServerTLS("h2")); serr == nil {
			t.Error("accepted")
		}
	})
}

func checkRefusal(t *testing.T, err error, want Reason) {
	t.Helper()
	var r *Refusal
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (!errors.As(err, &r) || r.Reason != want || farm.KindOf(err) != farm.Denied):
		t.Errorf("got %v, want %q", err, want)
	}
}

func TestRevocationActsAtTheNextHandshake(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	web2 := join(t, web1, "web2", true)
	trusted := keysOf(web1, web2)
	server := Trust{web1, func(n farm.MemberID) (string, bool) { return trusted(n) }}.ServerTLS("h2")
	client := Trust{web2, keysOf(web1, web2)}.ClientTLS("web1", "h2")
	if _, err := handshake(client, server); err != nil {
		t.Fatal(err)
	}
	trusted = keysOf(web1)
	_, err := handshake(client, server)
	checkRefusal(t, err, UnknownName)
}

func TestPin(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	server := Trust{web1, keysOf(web1)}.JoinTLS("join")
	if cerr, serr := handshake(PinTLS(web1.Farm(), "join", c.now), server); cerr != nil || serr != nil {
		t.Fatal(cerr, serr)
	}
	cerr, _ := handshake(PinTLS(createFarm(t, c, "web1").Farm(), "join", c.now), server)
	checkRefusal(t, cerr, AnotherFarm)

	// A certificate for a site must not pass as a member's.
	site, err := web1.IssueServer("web1")
	if err != nil {
		t.Fatal(err)
	}
	site.Certificate = append(site.Certificate, web1.ca.Raw)
	cerr, _ = handshake(PinTLS(web1.Farm(), "join", c.now),
		&tls.Config{Certificates: []tls.Certificate{*site}, NextProtos: []string{"join"}})
	checkRefusal(t, cerr, BadCert)
	_, err = Trust{web1, keysOf(web1)}.Verify(site.Leaf)
	checkRefusal(t, err, BadCert)
}

func TestServerCertificates(t *testing.T) {
	c := newClock()
	web1 := createFarm(t, c, "web1")
	edge1 := join(t, web1, "edge1", false)
	if _, err := edge1.IssueServer("gallery.test"); farm.KindOf(err) != farm.Denied {
		t.Errorf("without authority: %v", err)
	}
	req, err := NewServerRequest("gallery.test", "127.0.0.20")
	if err != nil {
		t.Fatal(err)
	}
	der, err := web1.SignServer(req.CSR)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := req.Certificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"gallery.test", "127.0.0.20"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: web1.roots, DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := NewServerRequest(); farm.KindOf(err) != farm.Invalid {
		t.Errorf("no names: %v", err)
	}
	if _, err := web1.SignServer([]byte("x")); farm.KindOf(err) != farm.Invalid {
		t.Errorf("garbage: %v", err)
	}
	other, err := NewServerRequest("gallery.test")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Certificate(der); farm.KindOf(err) != farm.Invalid {
		t.Errorf("certificate for another key: %v", err)
	}
}
