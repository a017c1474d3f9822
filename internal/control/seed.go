package control

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tandem/internal/farm"
)

// Seeder brings folders that are new on this member to the farm's state.
type Seeder interface {
	// Seed says what the seeding of a folder has found, with some examples of what only this member has.
	Seed(ctx context.Context, folder farm.FolderID) (SeedSummary, error)
	// ChooseExtra says what becomes of what only this member has, of what is still to be found, too.
	ChooseExtra(ctx context.Context, folder farm.FolderID, extra farm.ExtraFiles) error
}

// MaxSeedExamples bounds the paths that a summary names.
const MaxSeedExamples = 20

// SeedSummary says how a folder has been, or is being, seeded (GET /v1/folders/{id}/seed).
type SeedSummary struct {
	Folder  farm.FolderID `json:"folder"`
	Seeding bool          `json:"seeding"` // it is under way: the numbers grow
	Mode    string        `json:"mode"`    // while it is: "empty", "pre-seeded" or "founding"
	Since   *time.Time    `json:"since"`   // when the seeding began; nil: there was none, no other member held it when it began here
	Choice  string        `json:"choice"`  // what becomes of extra files: "wait", "quarantine" or "push"

	Equal     SeedTally `json:"equal"`     // as the farm has it: adopted without a transfer
	Different SeedTally `json:"different"` // replaced by the farm's, and preserved
	Missing   SeedTally `json:"missing"`   // fetched from the farm
	Extra     SeedTally `json:"extra"`     // only here

	Examples []SeedExample `json:"examples"` // of extra, at most MaxSeedExamples
}

// SeedTally counts files, directories and links.
type SeedTally struct {
	Paths int64 `json:"paths"`
	Bytes int64 `json:"bytes"`
}

// SeedExample is a path that only this member has.
type SeedExample struct {
	Path  string `json:"path"`
	Type  string `json:"type"`
	Bytes int64  `json:"bytes"`
}

// SeedRequest is the body of POST /v1/folders/{id}/seed.
type SeedRequest struct {
	Extra string `json:"extra"` // "quarantine" or "push"
}

func (s *Server) seedSummary(w http.ResponseWriter, r *http.Request) error {
	sum, err := s.opt.Backend.Seed(r.Context(), farm.FolderID(r.PathValue("id")))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, sum)
	return nil
}

func (s *Server) seedChoose(w http.ResponseWriter, r *http.Request) error {
	var req SeedRequest
	if err := decode(w, r, maxBodyBytes, &req); err != nil {
		return err
	}
	extra, err := farm.ParseExtraFiles(req.Extra)
	if err != nil {
		return err
	}
	if err := s.opt.Backend.ChooseExtra(r.Context(), farm.FolderID(r.PathValue("id")), extra); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// SeedSummary says how a folder has been seeded.
func (c *Client) SeedSummary(ctx context.Context, folder farm.FolderID) (s SeedSummary, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/folders/"+url.PathEscape(string(folder))+"/seed", nil, &s)
}

// ChooseExtra says what becomes of what only this member has.
func (c *Client) ChooseExtra(ctx context.Context, folder farm.FolderID, extra farm.ExtraFiles) error {
	return c.call(ctx, http.MethodPost, "/v1/folders/"+url.PathEscape(string(folder))+"/seed", SeedRequest{extra.String()}, nil)
}

// Progress is how far a folder has come that is behind the others, or that compares its disk with the index.
type Progress struct {
	What         string   `json:"what"` // "seeding", "catching up" or "scanning"
	Entries      int64    `json:"entries"`
	EntriesTotal int64    `json:"entries_total"` // 0: not known
	Bytes        int64    `json:"bytes"`
	BytesTotal   int64    `json:"bytes_total"`
	EntriesRate  float64  `json:"entries_per_second"`
	BytesRate    float64  `json:"bytes_per_second"`
	EstimateSec  *float64 `json:"estimate_seconds,omitempty"` // until it is done; nil: not known
}
