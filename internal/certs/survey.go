package certs

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Info is what there is to know of a certificate in the store.
type Info struct {
	File        string // its name; of a member's own directory its path
	Path        string
	Origin      Origin
	Names       []string
	Issuer      string
	Key         string // "ECDSA P-256"
	NotBefore   time.Time
	NotAfter    time.Time // zero: it can't be read
	Fingerprint string    // SHA-256 of the certificate, in hex
	Faults      []string  // why it is not served, or not trusted
}

// Survey looks at all files, raises the events of those that are bad, and describes them, the most urgent first: faults,
// then by their ends.
func (s *Store) Survey() []Info {
	now := s.cfg.Now()
	all := []Info{}
	for _, d := range s.dirs {
		d.mu.Lock()
		d.list(now)
		d.stale = true
		d.mu.Unlock()
		d.readAll(now)
		d.mu.Lock()
		files := slices.Clone(d.files)
		d.mu.Unlock()
		for _, f := range files {
			all = append(all, f.info(now))
		}
	}
	if s.cfg.Keep != "" {
		s.sweep()
	}
	slices.SortStableFunc(all, func(a, b Info) int {
		return cmp.Or(cmp.Compare(min(1, len(b.Faults)), min(1, len(a.Faults))), a.NotAfter.Compare(b.NotAfter), cmp.Compare(a.File, b.File))
	})
	return all
}

func (f *file) info(now time.Time) Info {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := Info{File: f.name, Path: f.paths[0], Origin: f.dir.Origin, Names: []string{}, Faults: []string{}}
	if f.err != nil {
		i.Faults = append(i.Faults, f.err.Error())
	}
	if f.fresh != nil {
		leaf := f.fresh.Leaf
		describe(&i, leaf)
		if err := validity(leaf, now); err != nil {
			i.Faults = append(i.Faults, err.Error())
		}
		if len(leaf.DNSNames) == 0 {
			i.Faults = append(i.Faults, "the certificate has no host name among its alternative names: browsers take it for none")
		}
	}
	if n := len(i.Faults); n > 0 && f.cert != nil && f.cert != f.fresh {
		i.Faults[n-1] += ". The last good one is served, until " + f.cert.Leaf.NotAfter.UTC().Format(time.DateOnly)
	}
	return i
}

func describe(i *Info, leaf *x509.Certificate) {
	sum := sha256.Sum256(leaf.Raw)
	i.Names = append(i.Names, leaf.DNSNames...)
	i.Issuer = cmp.Or(leaf.Issuer.CommonName, leaf.Issuer.String())
	i.NotBefore, i.NotAfter, i.Fingerprint, i.Key = leaf.NotBefore, leaf.NotAfter, hex.EncodeToString(sum[:]), keyOf(leaf)
}

func keyOf(c *x509.Certificate) string {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + k.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// Verdict says what is served for a host.
type Verdict struct {
	Host   string
	Served *Info    // nil: the farm's own certificate, which browsers do not trust
	Why    string   // it is this one
	Passed []string // others that are for the host, and why they are not served, the best first
	Trust  string   // why a browser would not trust what is served; empty: this system does
}

// Explain says what is served for a host, and why.
func (s *Store) Explain(host string) Verdict {
	now := s.cfg.Now()
	probe := normal(strings.Replace(host, "*", "any", 1)) // what a visitor of a wildcard may type
	v := Verdict{Host: normal(host), Passed: []string{}, Why: "no certificate in the store is for " + normal(host)}
	served, ok := s.choose(probe)
	if !ok {
		v.Trust = "the farm's own certificate is known to no browser"
		return v
	}
	for c := range s.choices(probe) {
		if c.file == served.file {
			continue
		}
		why := "comes after it"
		if err := validity(c.cert.Leaf, now); err != nil {
			why = err.Error()
		}
		v.Passed = append(v.Passed, c.file.name+": "+why)
	}
	info := Info{File: served.file.name, Path: served.file.paths[0], Origin: served.file.dir.Origin, Names: []string{}, Faults: []string{}}
	describe(&info, served.cert.Leaf)
	v.Served, v.Why = &info, served.why()
	v.Trust = s.trust(served, now)
	return v
}

func (c choice) why() string {
	why := "the certificate has the name " + c.name
	if c.named {
		why = "the file has the name " + c.name
	}
	if c.file.dir.Origin == Local {
		why += ", in this member's own directory"
	}
	c.file.mu.Lock()
	defer c.file.mu.Unlock()
	if c.file.err != nil {
		why += "; it is the last good one, because of the file as it is now: " + c.file.err.Error()
	} else if c.file.fresh != c.cert {
		why += "; it is the last good one, because what the file has now is not valid now"
	}
	return why
}

// trust says why a visitor's browser may not trust the certificate.
func (s *Store) trust(c choice, now time.Time) string {
	above := x509.NewCertPool()
	for _, der := range c.cert.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			above.AddCert(cert)
		}
	}
	_, err := c.cert.Leaf.Verify(x509.VerifyOptions{Intermediates: above, CurrentTime: now})
	switch {
	case err == nil:
		return ""
	case len(c.cert.Certificate) == 1 && !selfSigned(c.cert.Leaf):
		return "the file has no intermediate certificate; if the issuer is no root, add it behind the certificate"
	}
	return err.Error()
}
