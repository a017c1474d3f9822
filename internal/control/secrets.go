package control

import (
	"context"
	"net/http"
	"net/url"

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
