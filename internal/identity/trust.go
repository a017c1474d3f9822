package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"tandem/internal/farm"
)

// Reason says why a certificate was refused.
type Reason string

const (
	AnotherFarm Reason = "another farm" // it does not chain to this farm's CA
	UnknownName Reason = "unknown name" // the configuration has no such member
	RevokedKey  Reason = "revoked key"  // the configuration lists another key for the member
	Expired     Reason = "expired"      // it is not valid now
	WrongName   Reason = "wrong name"   // it is not the member that was dialled
	BadCert     Reason = "bad certificate"
)

// Refusal is the error of a handshake with somebody who is not trusted.
type Refusal struct {
	Reason      Reason
	Name        string // that the certificate claims; not verified
	Fingerprint string // of its key
	Err         error  // detail; may be nil
}

func (r *Refusal) Error() string {
	s := fmt.Sprintf("certificate of %q refused: %s", r.Name, r.Reason)
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return s
}

func (r *Refusal) Unwrap() error { return r.Err }

// Keys gives the key fingerprint that the current configuration lists for a member; false if there is no such member.
// It is asked in every handshake by any goroutine and must not block.
type Keys func(name farm.MemberID) (fingerprint string, known bool)

// Trust makes the TLS configurations of a member that trusts those whom Keys lists.
type Trust struct {
	ID   *Identity
	Keys Keys
}

// Farm is the fingerprint of the farm's CA.
func (t Trust) Farm() string { return t.ID.Farm() }

var (
	errOtherKey = errors.New("it is for another key")
	errNoCert   = farm.Errorf("handshake", "", farm.Denied, "no certificate was shown")
)

// NameOf is the member that a certificate names, in its common name and as its only host name. It says nothing about
// trust.
func NameOf(cert *x509.Certificate) (farm.MemberID, error) {
	name, err := farm.ParseMemberID(cert.Subject.CommonName)
	if err != nil {
		return "", err
	}
	if len(cert.DNSNames) != 1 || cert.DNSNames[0] != string(name) {
		return "", fmt.Errorf("host names %q are not the member name %q alone", cert.DNSNames, name)
	}
	return name, nil
}

// Verify tells whether the certificate is that of a trusted member, and which. The error is a farm.Denied with a
// *Refusal inside.
func (t Trust) Verify(cert *x509.Certificate) (farm.MemberID, error) {
	refuse := func(r Reason, err error) (farm.MemberID, error) {
		return "", refusal(cert, r, err)
	}
	// Signature before dates, so that a stranger's expired certificate counts as a stranger's.
	if err := cert.CheckSignatureFrom(t.ID.ca); err != nil {
		return refuse(AnotherFarm, nil)
	}
	if err := checkDates(cert, t.ID.now()); err != nil {
		return refuse(Expired, err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: t.ID.roots, CurrentTime: t.ID.now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return refuse(BadCert, err)
	}
	name, err := NameOf(cert)
	if err != nil {
		return refuse(BadCert, err)
	}
	listed, known := t.Keys(name)
	if !known {
		return refuse(UnknownName, nil)
	}
	if listed != Fingerprint(cert) {
		return refuse(RevokedKey, nil)
	}
	return name, nil
}

func checkDates(cert *x509.Certificate, now time.Time) error {
	switch {
	case now.After(cert.NotAfter):
		return fmt.Errorf("it was valid until %s", cert.NotAfter.Format(time.RFC3339))
	case now.Before(cert.NotBefore):
		return fmt.Errorf("it is valid from %s on; compare the clocks", cert.NotBefore.Format(time.RFC3339))
	}
	return nil
}

func refusal(cert *x509.Certificate, r Reason, err error) error {
	return &farm.Error{Op: "handshake", Kind: farm.Denied,
		Err: &Refusal{Reason: r, Name: cert.Subject.CommonName, Fingerprint: Fingerprint(cert), Err: err}}
}

// ServerTLS is for connections that members open to this one; the protocols are ALPN names.
func (t Trust) ServerTLS(protocols ...string) *tls.Config {
	c := t.config(protocols)
	c.ClientAuth = tls.RequireAnyClientCert // Verify decides; Go's own check would know neither names nor keys
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		_, err := t.verifyState(cs)
		return err
	}
	return c
}

// ClientTLS is for a connection to one member.
func (t Trust) ClientTLS(to farm.MemberID, protocol string) *tls.Config {
	c := t.config([]string{protocol})
	c.InsecureSkipVerify = true // in favour of VerifyConnection, which is stricter
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		name, err := t.verifyState(cs)
		if err == nil && name != to {
			return refusal(cs.PeerCertificates[0], WrongName, fmt.Errorf("dialled %q", to))
		}
		return err
	}
	return c
}

// JoinTLS is for connections of those who have no certificate yet.
func (t Trust) JoinTLS(protocol string) *tls.Config { return t.config([]string{protocol}) }

func (t Trust) config(protocols []string) *tls.Config {
	certificate := func() (*tls.Certificate, error) { return t.ID.member.Load(), nil }
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		NextProtos: protocols,
		Time:       t.ID.now,
		// No resumption: every handshake asks Keys anew and shows a certificate.
		SessionTicketsDisabled: true,
		GetCertificate:         func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate() },
		GetClientCertificate:   func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate() },
	}
}

func (t Trust) verifyState(cs tls.ConnectionState) (farm.MemberID, error) {
	if len(cs.PeerCertificates) == 0 {
		return "", errNoCert
	}
	return t.Verify(cs.PeerCertificates[0])
}

// PinTLS is for a member that joins: it has no certificate yet and knows of the farm only the fingerprint of its CA.
// Whoever shows a certificate signed by that CA is a member.
func PinTLS(pin, protocol string, now func() time.Time) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		NextProtos:         []string{protocol},
		Time:               now,
		InsecureSkipVerify: true, // in favour of VerifyConnection: the root is known only by its fingerprint
		VerifyConnection: func(cs tls.ConnectionState) error {
			return verifyPin(cs.PeerCertificates, pin, now())
		},
	}
}

func verifyPin(certs []*x509.Certificate, pin string, now time.Time) error {
	if len(certs) == 0 {
		return errNoCert
	}
	for _, ca := range certs[1:] {
		if Fingerprint(ca) != pin || !ca.IsCA {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := certs[0].Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		if err != nil {
			return refusal(certs[0], BadCert, err)
		}
		return nil
	}
	return refusal(certs[0], AnotherFarm, errors.New("it is not the farm that the token is for"))
}
