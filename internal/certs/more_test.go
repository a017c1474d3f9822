package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"tandem/internal/farm"
)

// issued is a certificate with an intermediate above it, and the root above that.
type issued struct {
	key                      *ecdsa.PrivateKey
	leaf, intermediate, root *x509.Certificate
}

func issue(t *testing.T, from, until time.Time, names ...string) issued {
	t.Helper()
	make := func(cn string, ca bool, names []string, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: cn}, DNSNames: names,
			NotBefore: from, NotAfter: until, IsCA: ca, BasicConstraintsValid: true}
		if parent == nil {
			parent, parentKey = tmpl, key
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
	root, rootKey := make("root", true, nil, nil, nil)
	mid, midKey := make("intermediate", true, nil, root, rootKey)
	leaf, key := make(names[0], false, names, mid, midKey)
	return issued{key, leaf, mid, root}
}

func (i issued) pfx(t *testing.T, password string) []byte {
	t.Helper()
	b, err := pkcs12.Modern.Encode(i.key, i.leaf, []*x509.Certificate{i.intermediate, i.root}, password)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func pemOf(certs ...*x509.Certificate) (out []byte) {
	for _, c := range certs {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

func (i issued) keyPEM(t *testing.T) []byte {
	t.Helper()
	der, err := x509.MarshalECPrivateKey(i.key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
}

func TestParsePutsTheChainInOrder(t *testing.T) {
	i := issue(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "a.test")
	other := issue(t, time.Now(), time.Now().Add(time.Hour), "b.test")
	for name, contents := range map[string][][]byte{
		"usual":       {append(pemOf(i.leaf, i.intermediate), i.keyPEM(t)...)},
		"upside down": {pemOf(i.root, i.intermediate, i.leaf), i.keyPEM(t)},
		"strangers":   {pemOf(other.intermediate, i.leaf, other.root), i.keyPEM(t), pemOf(i.intermediate)},
		"pfx":         {i.pfx(t, "secret")},
		"der":         {i.leaf.Raw, i.keyPEM(t), i.intermediate.Raw},
	} {
		cert, err := Parse("secret", contents...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.EqualFunc(cert.Certificate, [][]byte{i.leaf.Raw, i.intermediate.Raw}, slices.Equal) {
			t.Errorf("%s: the chain has %d certificates, or others", name, len(cert.Certificate))
		}
		content, err := Encode(cert)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tls.X509KeyPair(content, content); err != nil {
			t.Errorf("%s: what is encoded can't be used: %v", name, err)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	i, other := issue(t, time.Now(), time.Now().Add(time.Hour), "a.test"), issue(t, time.Now(), time.Now().Add(time.Hour), "b.test")
	for want, contents := range map[string][][]byte{
		"there is no certificate in it":                            {i.keyPEM(t)},
		"there is no private key in it":                            {pemOf(i.leaf)},
		"the private key does not match the certificate of a.test": {pemOf(i.leaf, i.intermediate), other.keyPEM(t)},
		"the password is wrong":                                    {i.pfx(t, "secret")},
		"the private key is encrypted":                             {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY"})},
		"it is no certificate or key":                              {[]byte("hello")},
	} {
		if _, err := Parse("", contents...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestStoreReadsPFX(t *testing.T) {
	r := newStore(t)
	password := ""
	r.cfg.Password = func() (string, error) { return password, nil }
	i := issue(t, r.now.Add(-time.Hour), r.now.Add(time.Hour), "a.test")
	r.put("open.test.pfx", string(issue(t, r.now.Add(-time.Hour), r.now.Add(time.Hour), "open.test").pfx(t, "")))
	r.put("a.test.pfx", string(i.pfx(t, "secret")))
	if got := r.ask("open.test"); got != "open.test" {
		t.Errorf("without a password: %s", got)
	}
	if got := r.ask("a.test"); got != "fallback" {
		t.Errorf("with a wrong password: %s", got)
	}
	if len(r.events) != 1 || !strings.Contains(r.events[0], "warning a.test.pfx: the password is wrong: it is taken from a.test.pfx.pass, else") {
		t.Errorf("events are %q", r.events)
	}
	password = "secret"
	r.now = r.now.Add(2 * time.Second)
	if got := r.ask("a.test"); got != "a.test" {
		t.Errorf("with the store's password: %s", got)
	}
	password = "other"
	r.put("a.test.pfx.pass", "secret\r\n")
	if got := r.ask("a.test"); got != "a.test" {
		t.Errorf("with the password beside it: %s", got)
	}
	if len(r.events) != 2 || !strings.HasPrefix(r.events[1], "healed a.test.pfx") {
		t.Errorf("events are %q", r.events)
	}
}

func TestStoreLetsNothingReplaceAGoodOne(t *testing.T) {
	good := func(r *storeRig) { r.pem("a.test.pem", "good", "a.test") }
	for name, bad := range map[string]func(r *storeRig, chain, key string) string{
		"an expired one": func(r *storeRig, _, _ string) string {
			chain, key := makeCert(r.t, "bad", r.now.Add(-time.Minute), "a.test")
			return chain + key
		},
		"one of tomorrow": func(r *storeRig, _, _ string) string {
			i := issue(r.t, r.now.Add(24*time.Hour), r.now.Add(48*time.Hour), "a.test")
			return string(pemOf(i.leaf)) + string(i.keyPEM(r.t))
		},
		"a foreign key": func(r *storeRig, chain, _ string) string {
			_, key := makeCert(r.t, "bad", r.now.Add(time.Hour), "a.test")
			return chain + key
		},
		"half a file": func(_ *storeRig, chain, key string) string { return (chain + key)[:len(chain)+40] },
	} {
		t.Run(name, func(t *testing.T) {
			r := newStore(t)
			good(r)
			r.ask("a.test")
			chain, key := makeCert(t, "bad", r.now.Add(time.Hour), "a.test")
			r.put("a.test.pem", bad(r, chain, key))
			for range 3 {
				if got := r.ask("a.test"); got != "good" {
					t.Errorf("it replaced a good one: %s", got)
				}
				r.now = r.now.Add(2 * time.Second)
			}
			if len(r.events) != 1 {
				t.Errorf("events are %q", r.events)
			}
			if v := r.Explain("a.test"); v.Served == nil || !strings.Contains(v.Why, "it is the last good one") {
				t.Errorf("explained as %+v", v)
			}
		})
	}
}

func TestStoreTakesWhatBecomesValid(t *testing.T) {
	r := newStore(t)
	r.pem("a.test.pem", "good", "a.test")
	r.ask("a.test")
	i := issue(t, r.now.Add(30*time.Minute), r.now.Add(48*time.Hour), "a.test")
	r.put("a.test.pem", string(pemOf(i.leaf))+string(i.keyPEM(t)))
	if got := r.ask("a.test"); got != "good" {
		t.Errorf("before its time: %s", got)
	}
	r.now = r.now.Add(31 * time.Minute)
	if got := r.ask("a.test"); got != "a.test" {
		t.Errorf("from then on: %s", got)
	}
	if len(r.events) != 2 || !strings.HasPrefix(r.events[1], "healed") {
		t.Errorf("events are %q", r.events)
	}
}

func TestStorePrefersItsOwnDirectory(t *testing.T) {
	r := newStore(t)
	own, acme := t.TempDir(), filepath.Join(r.dir, "acme")
	if err := os.Mkdir(acme, 0o700); err != nil {
		t.Fatal(err)
	}
	r.cfg.Dirs = []Dir{{Local, own}, {Shared, r.dir}, {ACME, acme}}
	r.Store = NewStore(r.cfg)
	put := func(dir, file, cn string, until time.Time, names ...string) {
		t.Helper()
		chain, key := makeCert(t, cn, until, names...)
		if err := os.WriteFile(filepath.Join(dir, file), []byte(chain+key), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(acme, "a.test.pem", "acme", r.now.Add(time.Hour), "a.test")
	put(acme, "b.test.pem", "acme", r.now.Add(time.Hour), "b.test")
	put(r.dir, "a.test.pem", "shared", r.now.Add(time.Minute), "a.test")
	put(r.dir, "c.test.pem", "shared", r.now.Add(time.Hour), "c.test")
	put(own, "_.test.pem", "local", r.now.Add(time.Minute), "*.test")
	put(own, "c.test.pem", "expired", r.now.Add(-time.Minute), "c.test")
	for host, want := range map[string]string{"a.test": "local", "b.test": "local", "c.test": "local", "d.test": "local"} {
		if got := r.ask(host); got != want {
			t.Errorf("%s gets %s, want %s", host, got, want)
		}
	}
	if err := os.Remove(filepath.Join(own, "_.test.pem")); err != nil {
		t.Fatal(err)
	}
	r.Changed()
	for host, want := range map[string]string{"a.test": "shared", "b.test": "acme", "c.test": "shared", "d.test": "fallback"} {
		if got := r.ask(host); got != want {
			t.Errorf("%s gets %s, want %s", host, got, want)
		}
	}
	v := r.Explain("c.test")
	if v.Served.File != "c.test.pem" || len(v.Passed) != 1 || !strings.Contains(v.Passed[0], "has expired") {
		t.Errorf("explained as %+v", v)
	}
}

func TestSurvey(t *testing.T) {
	r := newStore(t)
	r.pem("late.test.pem", "late", "late.test")
	chain, key := makeCert(t, "soon", r.now.Add(time.Minute), "soon.test", "www.soon.test")
	r.put("soon.test.pem", chain+key)
	r.put("bad.test.pem", "nothing")
	var got []string
	for _, i := range r.Survey() {
		got = append(got, i.File+" "+strings.Join(i.Names, ",")+" "+strings.Join(i.Faults, ";"))
	}
	want := []string{"bad.test.pem  it is no certificate or key in PEM, DER or PFX", "soon.test.pem soon.test,www.soon.test ", "late.test.pem late.test "}
	if !slices.EqualFunc(got, want, strings.HasPrefix) {
		t.Errorf("got %q", got)
	}
	if len(r.events) != 1 {
		t.Errorf("events are %q", r.events)
	}
}

func TestSaveReplacesInOneStep(t *testing.T) {
	dir := t.TempDir()
	i := issue(t, time.Now(), time.Now().Add(time.Hour), "*.a.test")
	cert, err := Parse("", pemOf(i.leaf, i.intermediate), i.keyPEM(t))
	if err != nil {
		t.Fatal(err)
	}
	name, err := FileName(i.leaf.DNSNames[0])
	if err != nil || name != "_.a.test.pem" {
		t.Fatalf("the file is %s, %v", name, err)
	}
	for _, again := range []bool{false, true} {
		if replaced, err := Save(filepath.Join(dir, "stage"), filepath.Join(dir, name), cert); err != nil || replaced != again {
			t.Errorf("replaced %v, %v", replaced, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it has mode %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "stage")); err != nil || len(left) > 0 {
		t.Errorf("the stage holds %v, %v", left, err)
	}
	for _, bad := range []string{"", "../x", "a..b", ".hidden", "a/b", "*"} {
		if name, err := FileName(bad); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%q is a name: %s", bad, name)
		}
	}
}

// TestExpiryTellsOnceForEachDay lets a month go by for two members, of which one speaks, and dies on the way.
func TestExpiryTellsOnceForEachDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		member := func(name string) *Expiry {
			return &Expiry{Path: filepath.Join(t.TempDir(), "told.json"), Now: time.Now, Sink: func(e farm.Event) {
				told = append(told, fmt.Sprintf("%s %s %s %s", name, e.Severity, e.Subject, e.Fields["days"]))
			}}
		}
		a, b := member("a"), member("b")
		used := func(o Origin, print string, days int) Used {
			return Used{Info{File: print, Fingerprint: print, Origin: o, NotAfter: time.Now().Add(time.Duration(days) * 24 * time.Hour)}, []string{print}}
		}
		all := []Used{used(Shared, "shared", 40), used(ACME, "acme", 40), used(Shared, "lasting", 400)}
		check := func(e *Expiry, speaker bool) {
			t.Helper()
			if err := e.Check(all, speaker); err != nil {
				t.Error(err)
			}
		}
		for hour := range 41 * 24 {
			alive := hour < 35*24
			if alive {
				check(a, true)
			}
			check(b, !alive)
			if hour == 30*24 {
				b = &Expiry{Path: b.Path, Now: b.Now, Sink: b.Sink} // restarted
			}
			time.Sleep(time.Hour)
		}
		want := []string{
			"a warning shared 30", "a warning shared 14", "a warning acme 14", "a warning shared 7", "a warning acme 7",
			"b fault shared 1", "b fault acme 1", "b fault shared 0", "b fault acme 0",
		}
		if !slices.Equal(told, want) {
			t.Errorf("told:\n%s", strings.Join(told, "\n"))
		}
		told, all = nil, []Used{used(Shared, "new", 90)}
		check(b, true)
		check(b, true)
		slices.Sort(told)
		if !slices.Equal(told, []string{"b healed acme ", "b healed shared "}) {
			t.Errorf("told after they were replaced: %q", told)
		}
	})
}

// TestGoodOnesOutliveARestart: a bad file does not take a good one's place by way of a restart, and copies go with the files.
func TestGoodOnesOutliveARestart(t *testing.T) {
	r := newStore(t)
	r.cfg.Keep = filepath.Join(t.TempDir(), "keep")
	restart := func() { r.Store = NewStore(r.cfg) }
	restart()
	r.pem("a.test.pem", "good", "a.test", "b.test")
	r.pem("c.test.pem", "other", "c.test")
	r.Survey()
	r.put("a.test.pem", "torn")
	restart()
	for _, host := range []string{"a.test", "b.test"} {
		if got := r.ask(host); got != "good" {
			t.Errorf("%s gets %s after a restart", host, got)
		}
	}
	if faults := r.Survey()[0].Faults; len(faults) != 1 || !strings.Contains(faults[0], ". The last good one is served, until ") {
		t.Errorf("the faults are %q", faults)
	}
	copies := func() int {
		entries, err := os.ReadDir(r.cfg.Keep)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	if n := copies(); n != 2 {
		t.Errorf("%d copies", n)
	}
	if err := os.Remove(filepath.Join(r.dir, "a.test.pem")); err != nil {
		t.Fatal(err)
	}
	restart()
	r.Survey()
	if n, got := copies(), r.ask("a.test"); n != 1 || got != "fallback" {
		t.Errorf("after the file is gone there are %d copies, and a.test gets %s", n, got)
	}
	old := r.dir
	r.cfg.Dirs = []Dir{{Shared, filepath.Join(old, "unmounted")}}
	restart()
	r.Survey()
	if n := copies(); n != 1 {
		t.Errorf("%d copies after the directory could not be listed", n)
	}
}
