package control

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Limits of a configuration, beyond those of package config, and of an invite.
const (
	MaxConfigFilesBytes = 16 << 20
	MaxInviteTTL        = 30 * 24 * time.Hour
)

// now is the backend's status with the journal's faults.
func (s *Server) now(ctx context.Context) (Status, error) {
	st, err := s.opt.Backend.Status(ctx)
	st.Faults = s.opt.Journal.Faults()
	return st, err
}

func (s *Server) status(w http.ResponseWriter, r *http.Request) error {
	st, err := s.now(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, st)
	return nil
}

func (s *Server) health(w http.ResponseWriter, r *http.Request) error {
	st, err := s.now(r.Context())
	if err != nil {
		return err
	}
	h, code := HealthOf(st), http.StatusOK
	if !h.OK {
		code = http.StatusServiceUnavailable
	}
	answer(w, code, h)
	return nil
}

func (s *Server) folders(w http.ResponseWriter, r *http.Request) error {
	st, err := s.now(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, st.Folders)
	return nil
}

func (s *Server) members(w http.ResponseWriter, r *http.Request) error {
	st, err := s.now(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, st.Members)
	return nil
}

func (s *Server) removeMember(w http.ResponseWriter, r *http.Request) error {
	name, err := farm.ParseMemberID(r.PathValue("name"))
	if err != nil {
		return &farm.Error{Op: "remove member", Kind: farm.Invalid, Err: err}
	}
	if err := s.opt.Backend.RemoveMember(r.Context(), name); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) invite(w http.ResponseWriter, r *http.Request) error {
	var req InviteRequest
	if err := decode(w, r, maxBodyBytes, &req); err != nil {
		return err
	}
	if err := checkInvite(req); err != nil {
		return &farm.Error{Op: "invite", Kind: farm.Invalid, Err: err}
	}
	inv, err := s.opt.Backend.Invite(r.Context(), req)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, inv)
	return nil
}

func checkInvite(req InviteRequest) error {
	if req.Name != "" {
		if _, err := farm.ParseMemberID(string(req.Name)); err != nil {
			return err
		}
	}
	if len(req.Roles) == 0 {
		return fmt.Errorf("an invite needs a role: %s, %s or both", farm.RoleNode, farm.RoleEdge)
	}
	for i, role := range req.Roles {
		if role != farm.RoleNode && role != farm.RoleEdge || slices.Contains(req.Roles[:i], role) {
			return fmt.Errorf("roles are %s, %s or both, not %q", farm.RoleNode, farm.RoleEdge, req.Roles)
		}
	}
	if ttl := req.TTLSec; ttl <= 0 || ttl > int64(MaxInviteTTL/time.Second) {
		return fmt.Errorf("an invite lives 1 second to %v, not %d seconds", MaxInviteTTL, ttl)
	}
	return nil
}

func (s *Server) configStatus(w http.ResponseWriter, r *http.Request) error {
	st, err := s.now(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, st.Config)
	return nil
}

func (s *Server) configCheck(w http.ResponseWriter, r *http.Request) error {
	req, err := configRequest(w, r)
	if err != nil {
		return err
	}
	check, err := s.opt.Backend.CheckConfig(r.Context(), req.Files)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, check)
	return nil
}

func configRequest(w http.ResponseWriter, r *http.Request) (req ConfigRequest, err error) {
	if err := decode(w, r, maxConfigBytes, &req); err != nil {
		return req, err
	}
	if err := req.Files.check(); err != nil {
		return req, &farm.Error{Op: "read configuration", Kind: farm.Invalid, Err: err}
	}
	return req, nil
}

// check refuses names that would leave the directory, and too much of anything.
func (f Files) check() error {
	if len(f) > config.MaxFiles {
		return fmt.Errorf("%d files are more than %d", len(f), config.MaxFiles)
	}
	size := 0
	for name, data := range f {
		if !fs.ValidPath(name) || name == "." {
			return fmt.Errorf("%q is not a name inside a configuration directory", name)
		}
		size += len(data)
	}
	if size > MaxConfigFilesBytes {
		return fmt.Errorf("%d bytes are more than %d", size, MaxConfigFilesBytes)
	}
	return nil
}
