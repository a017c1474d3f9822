package control

import (
	"context"
	"net/http"
	"net/url"

	"tandem/internal/farm"
)

// pauseMember answers /v1/members/{name}/pause and resume.
func (s *Server) pauseMember(on bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name, err := farm.ParseMemberID(r.PathValue("name"))
		if err != nil {
			return &farm.Error{Op: "pause member", Kind: farm.Invalid, Err: err}
		}
		if err := s.opt.Backend.PauseMember(r.Context(), name, on); err != nil {
			return err
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
}

// PauseMember lets a member get and give no changes of folders, or lets it again.
func (c *Client) PauseMember(ctx context.Context, name farm.MemberID, on bool) error {
	verb := "resume"
	if on {
		verb = "pause"
	}
	return c.call(ctx, http.MethodPost, "/v1/members/"+url.PathEscape(string(name))+"/"+verb, nil, nil)
}
