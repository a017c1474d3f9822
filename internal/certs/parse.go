package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// ErrPassword is the cause where a PKCS #12 file does not open with the password.
var ErrPassword = errors.New("the password is wrong")

// parts are what the contents of files hold, in their order.
type parts struct {
	certs []*x509.Certificate
	keys  []crypto.Signer
}

// Parse makes a certificate that can be served out of the contents of one or more files: PEM, DER or PKCS #12, which is
// opened with the password. The order does not matter: the leaf is the certificate that the key fits, the chain is put in
// order, and what does not belong to it is left out, roots too.
func Parse(password string, contents ...[]byte) (*tls.Certificate, error) {
	var p parts
	for _, c := range contents {
		if err := p.read(c, password); err != nil {
			return nil, err
		}
	}
	switch {
	case len(p.certs) == 0:
		return nil, errors.New("there is no certificate in it")
	case len(p.keys) == 0:
		return nil, errors.New("there is no private key in it")
	}
	for _, key := range p.keys {
		for _, leaf := range p.certs {
			if fits(key, leaf) {
				return &tls.Certificate{Certificate: p.chain(leaf), PrivateKey: key, Leaf: leaf}, nil
			}
		}
	}
	return nil, fmt.Errorf("the private key does not match the certificate of %s", nameOf(p.certs[0]))
}

func (p *parts) read(content []byte, password string) error {
	if bytes.Contains(content, []byte("-----BEGIN ")) {
		return p.readPEM(content)
	}
	if key, err := parseKey(content); err == nil {
		p.keys = append(p.keys, key)
		return nil
	}
	if certs, err := x509.ParseCertificates(content); err == nil && len(certs) > 0 {
		p.certs = append(p.certs, certs...)
		return nil
	}
	key, leaf, chain, err := pkcs12.DecodeChain(content, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword):
		return ErrPassword
	case errors.As(err, new(pkcs12.NotImplementedError)):
		return fmt.Errorf("the PFX file uses what is not known here: %w", err)
	case err != nil:
		return errors.New("it is no certificate or key in PEM, DER or PFX") // the parser's own words help nobody
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return fmt.Errorf("a private key of type %T can't be used", key)
	}
	p.keys = append(p.keys, signer)
	p.certs = append(append(p.certs, leaf), chain...)
	return nil
}

func (p *parts) readPEM(content []byte) error {
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			return nil
		}
		switch {
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return fmt.Errorf("a certificate in it can't be read: %w", err)
			}
			p.certs = append(p.certs, cert)
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return errors.New("the private key is encrypted; decrypt it with: openssl pkey -in KEY -out NEW, or use a PFX file with its password")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			key, err := parseKey(block.Bytes)
			if err != nil {
				return fmt.Errorf("the private key can't be read: %w", err)
			}
			p.keys = append(p.keys, key)
		}
	}
}

func parseKey(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err == nil {
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a key of type %T can't sign", key)
		}
		return signer, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key, nil
	}
	return nil, err
}

func fits(key crypto.Signer, cert *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// chain is the leaf and what leads from it towards its root.
func (p *parts) chain(leaf *x509.Certificate) [][]byte {
	chain := [][]byte{leaf.Raw}
	left := p.certs
	for cert := leaf; ; {
		next := -1
		for i, c := range left {
			if c != leaf && !selfSigned(c) && bytes.Equal(c.RawSubject, cert.RawIssuer) && cert.CheckSignatureFrom(c) == nil {
				next = i
				break
			}
		}
		if next < 0 {
			return chain
		}
		cert = left[next]
		left = append(append([]*x509.Certificate(nil), left[:next]...), left[next+1:]...)
		chain = append(chain, cert.Raw)
	}
}

func selfSigned(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// nameOf is what people call a certificate.
func nameOf(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.String()
}

// Encode is a certificate as one PEM file: key, leaf, chain.
func Encode(c *tls.Certificate) ([]byte, error) {
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		return nil, err
	}
	out := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for _, der := range c.Certificate {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out, nil
}
