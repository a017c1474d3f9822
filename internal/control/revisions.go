package control

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// WorkingRevision is the name under which ConfigRevision gives what stands in the configuration directory.
const WorkingRevision = "working"

// Limits of the history and of what is brought into it.
const (
	DefaultLogLimit = 20
	MaxLogLimit     = 1000
	maxEditBytes    = 192 << 20 // of a request, which may bring a history
)

// ConfigEdit is a change of the farm's configuration (POST /v1/config/apply, /v1/config/rollback).
type ConfigEdit struct {
	Files       Files         `json:"files,omitempty"`        // nil: what stands in the member's configuration directory now
	Patch       bool          `json:"patch,omitempty"`        // the files are put among the head's, not in place of all of them
	To          string        `json:"to,omitempty"`           // rollback: the revision; empty: the latest that says something else
	KeepMembers bool          `json:"keep_members,omitempty"` // the farm's members stay as they are
	History     [][]byte      `json:"history,omitempty"`      // encoded revisions, the last of them that of the files, to be kept too
	Message     string        `json:"message,omitempty"`      // why; kept with the revision
	IfRevision  string        `json:"if_revision,omitempty"`  // only if that is the head
	Canary      farm.MemberID `json:"canary,omitempty"`       // it is tried there first
	ForMS       int64         `json:"for_ms,omitempty"`       // for so long, milliseconds

	Secrets    []byte `json:"secrets,omitempty"`    // values for the files' secrets, under the passphrase: they are sealed to the farm
	Passphrase string `json:"passphrase,omitempty"` // of secrets

	DryRun bool `json:"dry_run,omitempty"` // check and compare, and change nothing
}

// ConfigRevision is one state of the farm's configuration (GET /v1/config/log, /v1/config/revisions/{rev}).
type ConfigRevision struct {
	Revision string              `json:"revision"` // digest; empty: the configuration directory
	Parents  []string            `json:"parents"`
	Author   farm.MemberID       `json:"author"`
	Time     time.Time           `json:"time"`
	Message  string              `json:"message"`
	Changes  []config.FileChange `json:"changes"`         // against its later parent
	Head     bool                `json:"head,omitempty"`  // it should be live
	Trial    *ConfigTrial        `json:"trial,omitempty"` // of one that was tried on a member first
	Runs     []farm.MemberID     `json:"runs"`            // who runs it, as last heard
	Files    Files               `json:"files,omitempty"` // not in the log
}

// ConfigTrial says that a revision is, or was, tried on one member first.
type ConfigTrial struct {
	Revision string        `json:"revision"`
	Canary   farm.MemberID `json:"canary"`
	ForMS    int64         `json:"for_ms"`
	Outcome  string        `json:"outcome"`       // TrialRunning, TrialPassed or TrialBack
	Why      string        `json:"why,omitempty"` // of the outcome
}

// Outcomes of a trial.
const (
	TrialRunning = "running"
	TrialPassed  = "passed"
	TrialBack    = "taken back"
)

// ConfigExport is what an export holds (GET /v1/config/export).
type ConfigExport struct {
	Farm      string   `json:"farm"`
	Head      string   `json:"head"`
	Revisions [][]byte `json:"revisions"` // encoded
}

func (s *Server) configApply(apply func(context.Context, ConfigEdit) (ConfigApplied, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		var e ConfigEdit
		if err := decode(w, r, maxEditBytes, &e); err != nil {
			return err
		}
		if err := e.Files.check(); err != nil {
			return &farm.Error{Op: "read configuration", Kind: farm.Invalid, Err: err}
		}
		applied, err := apply(r.Context(), e)
		if err != nil {
			return err
		}
		answer(w, http.StatusOK, applied)
		return nil
	}
}

func (s *Server) configLog(w http.ResponseWriter, r *http.Request) error {
	limit := DefaultLogLimit
	if text := r.URL.Query().Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MaxLogLimit {
			return &farm.Error{Op: "config log", Kind: farm.Invalid, Err: fmt.Errorf("a log has 1 to %d revisions, not %s", MaxLogLimit, text)}
		}
	}
	log, err := s.opt.Backend.ConfigLog(r.Context(), limit)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, log)
	return nil
}

func (s *Server) configRevision(w http.ResponseWriter, r *http.Request) error {
	rev, err := s.opt.Backend.ConfigRevision(r.Context(), r.PathValue("rev"))
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, rev)
	return nil
}

func (s *Server) configExport(w http.ResponseWriter, r *http.Request) error {
	export, err := s.opt.Backend.ExportConfig(r.Context(), r.URL.Query().Get("history") == "1")
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, export)
	return nil
}

// ApplyConfig makes files, or without any the member's configuration directory, the farm's configuration.
func (c *Client) ApplyConfig(ctx context.Context, e ConfigEdit) (a ConfigApplied, err error) {
	return a, c.call(ctx, http.MethodPost, "/v1/config/apply", e, &a)
}

// RollbackConfig brings back the files of a revision.
func (c *Client) RollbackConfig(ctx context.Context, e ConfigEdit) (a ConfigApplied, err error) {
	return a, c.call(ctx, http.MethodPost, "/v1/config/rollback", e, &a)
}

// ConfigLog is the history, the latest first.
func (c *Client) ConfigLog(ctx context.Context, limit int) (log []ConfigRevision, err error) {
	return log, c.call(ctx, http.MethodGet, "/v1/config/log?limit="+strconv.Itoa(limit), nil, &log)
}

// ConfigRevision is a revision with its files.
func (c *Client) ConfigRevision(ctx context.Context, rev string) (r ConfigRevision, err error) {
	return r, c.call(ctx, http.MethodGet, "/v1/config/revisions/"+url.PathEscape(rev), nil, &r)
}

// ExportConfig is the head, or the whole history.
func (c *Client) ExportConfig(ctx context.Context, history bool) (e ConfigExport, err error) {
	path := "/v1/config/export"
	if history {
		path += "?history=1"
	}
	return e, c.call(ctx, http.MethodGet, path, nil, &e)
}
