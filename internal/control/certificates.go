package control

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tandem/internal/farm"
)

// Certificates is what there is in the certificate store (GET /v1/certificates).
type Certificates struct {
	Certificates []Certificate `json:"certificates"` // the most urgent first
	Bare         []SiteHost    `json:"bare"`         // hosts with HTTPS for which the store has none: browsers warn of what is served
}

// Certificate is a file of the store.
type Certificate struct {
	File        string     `json:"file"`   // its name; of the member's own directory its path
	Origin      string     `json:"origin"` // local, shared or acme
	Names       []string   `json:"names"`
	Issuer      string     `json:"issuer,omitempty"`
	Key         string     `json:"key,omitempty"` // kind and size, as "ECDSA P-256"
	From        *time.Time `json:"from,omitempty"`
	Until       *time.Time `json:"until,omitempty"`
	Fingerprint string     `json:"fingerprint,omitempty"` // SHA-256, in hex
	Faults      []string   `json:"faults"`                // why it is not served
	Hosts       []SiteHost `json:"hosts"`                 // that it is served for
}

// SiteHost is a host name that a site answers to with HTTPS.
type SiteHost struct {
	Host string `json:"host"` // "*.example.com"; empty: any
	Site string `json:"site"` // the site's file
}

// HostCheck says what would be served for a host (GET /v1/certificates/check).
type HostCheck struct {
	Host        string       `json:"host"`
	Site        string       `json:"site,omitempty"`        // its file; empty: no site answers to the name with HTTPS
	Certificate *Certificate `json:"certificate,omitempty"` // nil: one of the farm's own
	Why         string       `json:"why"`                   // it is this one
	Passed      []string     `json:"passed"`                // others that are for the host, and why they are not served
	Trust       string       `json:"trust,omitempty"`       // why a browser would not trust it; empty: this system does
}

// ImportRequest is the body of POST /v1/certificates/import.
type ImportRequest struct {
	Files    []ImportFile `json:"files"`              // PEM, DER or PFX: certificate, chain and key, in any order
	Password string       `json:"password,omitempty"` // of PFX files
	Name     string       `json:"name,omitempty"`     // host name that the file is called by; empty: the first in the certificate
	Local    bool         `json:"local,omitempty"`    // into the member's own directory
	Force    bool         `json:"force,omitempty"`    // although it is not valid now, or ends before the one that it replaces
}

// ImportFile is a file as it was given.
type ImportFile struct {
	Name    string `json:"name"` // for messages
	Content []byte `json:"content"`
}

// Imported says what came of an import.
type Imported struct {
	Certificate Certificate `json:"certificate"`
	Path        string      `json:"path"`     // that was written
	Replaced    bool        `json:"replaced"` // a file of that name
	Notes       []string    `json:"notes"`    // what an admin may want to know: an incomplete chain, a host that no site has
}

// CertKeeper looks after the certificates of the sites.
type CertKeeper interface {
	Certificates(ctx context.Context) (Certificates, error)
	CheckHost(ctx context.Context, host string) (HostCheck, error)
	// ImportCertificate writes a certificate into the store. Invalid if it can't be used.
	ImportCertificate(ctx context.Context, req ImportRequest) (Imported, error)
}

// maxImportBytes bounds the body of an import: files of a megabyte, in base64.
const maxImportBytes = 4 << 20

func (s *Server) certificates(w http.ResponseWriter, r *http.Request) error {
	all, err := s.opt.Backend.Certificates(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, all)
	return nil
}

func (s *Server) checkHost(w http.ResponseWriter, r *http.Request) error {
	host := r.URL.Query().Get("host")
	if host == "" || len(host) > 255 || strings.ContainsAny(host, "/\\ ") {
		return farm.Errorf("check certificate", host, farm.Invalid, "it is no host name")
	}
	check, err := s.opt.Backend.CheckHost(r.Context(), host)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, check)
	return nil
}

func (s *Server) importCertificate(w http.ResponseWriter, r *http.Request) error {
	var req ImportRequest
	if err := decode(w, r, maxImportBytes, &req); err != nil {
		return err
	}
	done, err := s.opt.Backend.ImportCertificate(r.Context(), req)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, done)
	return nil
}

// Certificates is what there is in the certificate store.
func (c *Client) Certificates(ctx context.Context) (all Certificates, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/certificates", nil, &all)
}

// CheckHost says what is served for a host.
func (c *Client) CheckHost(ctx context.Context, host string) (check HostCheck, err error) {
	return check, c.call(ctx, http.MethodGet, "/v1/certificates/check?host="+url.QueryEscape(host), nil, &check)
}

// ImportCertificate writes a certificate into the store.
func (c *Client) ImportCertificate(ctx context.Context, req ImportRequest) (done Imported, err error) {
	return done, c.call(ctx, http.MethodPost, "/v1/certificates/import", req, &done)
}
