package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"golang.org/x/crypto/ocsp"
)

const (
	stapleTime  = 10 * time.Second // for one question
	stapleBytes = 64 << 10         // of an answer
)

// Staple asks the authorities of the certificates that are served for the hosts whether these are still good, where they
// want to be asked and the last answer is half through, and from then on gives their answers to visitors (OCSP). What
// fails is joined in the error, and changes nothing; an answer that is over is not given any more.
func (s *Store) Staple(ctx context.Context, client *http.Client, hosts []string) error {
	var errs []error
	seen := map[*file]bool{}
	for _, host := range hosts {
		c, ok := s.choose(host)
		if !ok || seen[c.file] || len(c.cert.Leaf.OCSPServer) == 0 || len(c.cert.Certificate) < 2 {
			continue
		}
		seen[c.file] = true
		if err := c.file.restaple(ctx, client, s.cfg.Now()); err != nil {
			errs = append(errs, fmt.Errorf("ask about %s: %w", c.file.name, err))
		}
	}
	return errors.Join(errs...)
}

// restaple asks about the certificate that is served, if it is time.
func (f *file) restaple(ctx context.Context, client *http.Client, now time.Time) error {
	f.mu.Lock()
	cert := f.cert
	f.mu.Unlock()
	issuer, err := x509.ParseCertificate(cert.Certificate[1])
	if err != nil {
		return err
	}
	if old, err := ocsp.ParseResponseForCert(cert.OCSPStaple, cert.Leaf, issuer); err == nil {
		if now.Before(old.ThisUpdate.Add(old.NextUpdate.Sub(old.ThisUpdate) / 2)) {
			return nil
		}
		if now.After(old.NextUpdate) {
			cert = f.staple(cert, nil)
		}
	}
	raw, err := ask(ctx, client, cert.Leaf, issuer)
	if err != nil {
		return err
	}
	answer, err := ocsp.ParseResponseForCert(raw, cert.Leaf, issuer)
	switch {
	case err != nil:
		return err
	case answer.Status == ocsp.Revoked:
		f.tell("its authority says that the certificate is revoked since " + answer.RevokedAt.UTC().Format(time.DateOnly))
		f.staple(cert, nil)
	case answer.Status != ocsp.Good || answer.NextUpdate.IsZero() || now.After(answer.NextUpdate):
		return errors.New("the authority's answer says nothing")
	default:
		f.staple(cert, raw)
	}
	return nil
}

// staple puts the answer on the certificate, unless another is served by now. Handshakes may have the old one in their
// hands, so it is a copy that gets the answer.
func (f *file) staple(cert *tls.Certificate, raw []byte) *tls.Certificate {
	with := *cert
	with.OCSPStaple = raw
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cert != cert {
		return cert
	}
	if f.fresh == f.cert {
		f.fresh = &with
	}
	f.cert = &with
	return f.cert
}

func ask(ctx context.Context, client *http.Client, leaf, issuer *x509.Certificate) ([]byte, error) {
	question, err := ocsp.CreateRequest(leaf, issuer, nil)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, stapleTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, leaf.OCSPServer[0], bytes.NewReader(question))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, stapleBytes))
}
