package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"time"

	"tandem/internal/farm"
)

// Lifetimes of certificates. A certificate is valid from backdate before its making, for members whose clock is late.
const (
	caYears     = 10
	memberYears = 2
	serverDays  = 397 // the longest that browsers accept
	backdate    = time.Hour
)

// Limits of what is signed for an edge.
const (
	maxHostNames     = 100
	maxHostNameBytes = 253
)

// Fingerprint is the name of a certificate's key: "sha256:" and the digest of its SubjectPublicKeyInfo in lower-case
// hexadecimal. It stays the same when the certificate is renewed for the same key.
func Fingerprint(c *x509.Certificate) string { return fingerprint(c.RawSubjectPublicKeyInfo) }

func fingerprint(publicKeyInfo []byte) string {
	sum := sha256.Sum256(publicKeyInfo)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// newKey makes a P-256 key: the fastest signature of Go's TLS, and one that every browser takes from an edge.
func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func newSerial() (*big.Int, error) {
	return rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
}

// newCA makes the certificate of a new farm.
func newCA(now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	cert, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "Tandem farm CA"},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.AddDate(caYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}, nil, &key.PublicKey, key)
	return cert, key, err
}

// sign gives the template a serial number and signs it; a nil parent is the template itself.
func sign(template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	var err error
	if template.SerialNumber, err = newSerial(); err != nil {
		return nil, err
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// parseRequest checks that a certificate request is signed with the key that it names, and that the key is of a kind
// that members use.
func parseRequest(csr []byte) (*x509.CertificateRequest, error) {
	req, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	if pub, ok := req.PublicKey.(*ecdsa.PublicKey); !ok || pub.Curve != elliptic.P256() {
		return nil, fmt.Errorf("the key is not ECDSA P-256")
	}
	return req, req.CheckSignature()
}

// Issue signs a member certificate, in DER, for the key of a certificate request in DER. Issuing again for the same
// name and key renews. Errors: farm.Denied if this member has no authority, farm.Invalid for a bad request.
func (id *Identity) Issue(csr []byte, name farm.MemberID) ([]byte, error) {
	const op = "issue certificate"
	if id.caKey == nil {
		return nil, noAuthority(op)
	}
	if _, err := farm.ParseMemberID(string(name)); err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Invalid, Err: err}
	}
	req, err := parseRequest(csr)
	if err != nil {
		return nil, farm.Errorf(op, string(name), farm.Invalid, "certificate request: %w", err)
	}
	now := id.now()
	cert, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: string(name)},
		DNSNames:    []string{string(name)},
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.AddDate(memberYears, 0, 0),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, id.ca, req.PublicKey, id.caKey)
	if err != nil {
		return nil, farm.Errorf(op, string(name), farm.Internal, "%w", err)
	}
	return cert.Raw, nil
}

// Renew is Issue for a member that exists: only for the key with that fingerprint, as the configuration lists it. Error
// farm.Denied for another key.
func (id *Identity) Renew(csr []byte, name farm.MemberID, listed string) ([]byte, error) {
	const op = "renew certificate"
	req, err := parseRequest(csr)
	if err != nil {
		return nil, farm.Errorf(op, string(name), farm.Invalid, "certificate request: %w", err)
	}
	if fingerprint(req.RawSubjectPublicKeyInfo) != listed {
		return nil, farm.Errorf(op, string(name), farm.Denied, "the request is for another key than the one listed in farm.toml")
	}
	return id.Issue(csr, name)
}

// SignServer signs a certificate, in DER, for the host names and addresses that a certificate request lists, so that
// an edge can serve HTTPS for a site without a certificate. It can't pass as a member's: it lacks the client use.
// Errors as for Issue.
func (id *Identity) SignServer(csr []byte) ([]byte, error) {
	const op = "sign server certificate"
	if id.caKey == nil {
		return nil, noAuthority(op)
	}
	req, err := parseRequest(csr)
	if err != nil {
		return nil, farm.Errorf(op, "", farm.Invalid, "certificate request: %w", err)
	}
	if err := checkHosts(req.DNSNames, req.IPAddresses); err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Invalid, Err: err}
	}
	now := id.now()
	cert, err := sign(&x509.Certificate{
		Subject:     pkix.Name{CommonName: "Tandem site"},
		DNSNames:    req.DNSNames,
		IPAddresses: req.IPAddresses,
		NotBefore:   now.Add(-backdate),
		NotAfter:    now.AddDate(0, 0, serverDays),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, id.ca, req.PublicKey, id.caKey)
	if err != nil {
		return nil, farm.Errorf(op, "", farm.Internal, "%w", err)
	}
	return cert.Raw, nil
}

func checkHosts(names []string, addresses []net.IP) error {
	switch n := len(names) + len(addresses); {
	case n == 0:
		return fmt.Errorf("no host name")
	case n > maxHostNames:
		return fmt.Errorf("%d host names are more than %d", n, maxHostNames)
	}
	for _, n := range names {
		if n == "" || len(n) > maxHostNameBytes {
			return fmt.Errorf("host name of %d bytes: want 1 to %d", len(n), maxHostNameBytes)
		}
	}
	return nil
}

func noAuthority(op string) error {
	return &farm.Error{Op: op, Kind: farm.Denied, Err: fmt.Errorf("this member has no key of the farm CA"),
		Next: "ask a node"}
}
