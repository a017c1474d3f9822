package identity

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"

	"tandem/internal/farm"
)

// ServerRequest is a key for host names and the certificate request for it, in DER, which SignServer on a member
// with authority turns into a certificate.
type ServerRequest struct {
	CSR []byte
	key crypto.Signer
}

// NewServerRequest makes a key and a request for the host names; IP addresses are taken as such.
func NewServerRequest(names ...string) (*ServerRequest, error) {
	const op = "request server certificate"
	key, err := newKey()
	if err != nil {
		return nil, farm.Errorf(op, "", farm.Internal, "%w", err)
	}
	var req x509.CertificateRequest
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			req.IPAddresses = append(req.IPAddresses, ip)
		} else {
			req.DNSNames = append(req.DNSNames, n)
		}
	}
	if err := checkHosts(req.DNSNames, req.IPAddresses); err != nil {
		return nil, &farm.Error{Op: op, Kind: farm.Invalid, Err: err}
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &req, key)
	if err != nil {
		return nil, farm.Errorf(op, "", farm.Invalid, "%w", err)
	}
	return &ServerRequest{CSR: csr, key: key}, nil
}

// Certificate joins the key with the signed certificate.
func (r *ServerRequest) Certificate(der []byte) (*tls.Certificate, error) {
	const op = "use server certificate"
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, farm.Errorf(op, "", farm.Invalid, "%w", err)
	}
	if !samePublic(leaf.PublicKey, r.key.Public()) {
		return nil, farm.Errorf(op, "", farm.Invalid, "the certificate is for another key")
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: r.key, Leaf: leaf}, nil
}

// IssueServer makes a key and a certificate of the farm for the host names. The caller caches it and asks again
// before Leaf.NotAfter. Errors as for Issue; members without authority use NewServerRequest and a node's SignServer.
func (id *Identity) IssueServer(names ...string) (*tls.Certificate, error) {
	req, err := NewServerRequest(names...)
	if err != nil {
		return nil, err
	}
	der, err := id.SignServer(req.CSR)
	if err != nil {
		return nil, err
	}
	return req.Certificate(der)
}
