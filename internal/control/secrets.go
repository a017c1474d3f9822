package control

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// maxSecretRequest bounds the body of a SecretRequest.
const maxSecretRequest = 64 << 10

// SecretRequest is the body of PUT /v1/secrets/{name}.
type SecretRequest struct {
	Value string `json:"value"`
}

func (s *Server) setSecret(w http.ResponseWriter, r *http.Request) error {
	var req SecretRequest
	if err := decode(w, r, maxSecretRequest, &req); err != nil {
		return err
	}
	name := r.PathValue("name")
	if err := config.CheckSecret(name, req.Value); err != nil {
		return &farm.Error{Op: "set secret", Kind: farm.Invalid, Err: err}
	}
	applied, err := s.opt.Backend.SetSecret(r.Context(), name, req.Value)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, applied)
	return nil
}

// SetSecret seals a value on the client's member and makes it a part of the farm's configuration.
func (c *Client) SetSecret(ctx context.Context, name, value string) (a ConfigApplied, err error) {
	return a, c.call(ctx, http.MethodPut, "/v1/secrets/"+url.PathEscape(name), SecretRequest{value}, &a)
}

// Secret is what may be known of a secret (GET /v1/secrets).
type Secret struct {
	Name   string        `json:"name"`
	Set    bool          `json:"set"`             // false: it is only used
	Since  *time.Time    `json:"since,omitempty"` // when the value was set, as far as the history goes back
	By     farm.MemberID `json:"by,omitempty"`    // the member on which it was set
	UsedIn []string      `json:"used_in"`         // files
}

// ExportRequest is the body of POST /v1/secrets/export.
type ExportRequest struct {
	Revision   string `json:"revision"`
	Passphrase string `json:"passphrase"`
}

// SealedSecrets is the answer.
type SealedSecrets struct {
	Secrets []byte `json:"secrets"`
}

func (s *Server) listSecrets(w http.ResponseWriter, r *http.Request) error {
	list, err := s.opt.Backend.Secrets(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) exportSecrets(w http.ResponseWriter, r *http.Request) error {
	var req ExportRequest
	if err := decode(w, r, maxSecretRequest, &req); err != nil {
		return err
	}
	sealed, err := s.opt.Backend.ExportSecrets(r.Context(), req.Revision, req.Passphrase)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, SealedSecrets{sealed})
	return nil
}

// Secrets are those that the head sets or uses.
func (c *Client) Secrets(ctx context.Context) (list []Secret, err error) {
	return list, c.call(ctx, http.MethodGet, "/v1/secrets", nil, &list)
}

// ExportSecrets is the values of a revision's secrets under a passphrase.
func (c *Client) ExportSecrets(ctx context.Context, revision, passphrase string) ([]byte, error) {
	var sealed SealedSecrets
	err := c.call(ctx, http.MethodPost, "/v1/secrets/export", ExportRequest{revision, passphrase}, &sealed)
	return sealed.Secrets, err
}
