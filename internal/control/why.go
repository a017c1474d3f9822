package control

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"tandem/internal/farm"
)

// WhyQuery asks about one path.
type WhyQuery struct {
	Folder farm.FolderID // empty: the one in which Path lies
	Path   string        // in the folder, with "/" between names; without a folder an absolute one of this member
}

// Why is what members know of one path (GET /v1/why).
type Why struct {
	Folder  farm.FolderID `json:"folder"`
	Path    string        `json:"path"` // in the folder
	Members []WhyMember   `json:"members"`
	Silent  []Silent      `json:"silent,omitempty"` // members that could not be asked
}

// WhyMember is what one member knows of the path.
type WhyMember struct {
	Member farm.MemberID `json:"member"`
	Path   string        `json:"path,omitempty"` // where it lies there

	Halted   string       `json:"halted,omitempty"` // why the folder does not run there; then nothing else is known
	Paused   *FolderPause `json:"paused,omitempty"`
	Braked   *FolderBrake `json:"braked,omitempty"`
	ReadOnly bool         `json:"read_only,omitempty"` // changes that are made there are undone

	Replicated bool     `json:"replicated"`
	Private    bool     `json:"private,omitempty"`    // it is Tandem's own
	Rule       *WhyRule `json:"rule,omitempty"`       // which decided whether it is replicated; none: nothing speaks of it
	Passage    bool     `json:"passage,omitempty"`    // excluded, but a directory there is replicated for what is included below it
	LeftOut    bool     `json:"left_out,omitempty"`   // it stays as it is there, for its size or because it is a passage's
	MaxSize    int64    `json:"max_size,omitempty"`   // bytes; 0: no limit
	Special    string   `json:"special,omitempty"`    // what stands there and is never replicated: "fifo", "socket", "device", "mount"
	Unreadable string   `json:"unreadable,omitempty"` // why its disk could not be looked at

	Known   bool     `json:"known"`             // the farm has heard of it
	Deleted bool     `json:"deleted"`           // the farm knows it as deleted
	Disk    *WhyFile `json:"disk,omitempty"`    // what is on disk now; none: nothing
	Want    *WhyFile `json:"want,omitempty"`    // what should be there; none: nothing
	Version *Write   `json:"version,omitempty"` // who wrote what should be there
	Lost    []Write  `json:"lost,omitempty"`    // contents that lost against it
	Unkept  []string `json:"unkept,omitempty"`  // what can't be represented there: "name" (nothing of it is there), "mode", "owner", "xattrs", "mtime"

	State    string     `json:"state"`               // what it waits for: see replica.PathState; "at rest": nothing
	Retry    *time.Time `json:"retry,omitempty"`     // when it is tried again
	Problem  string     `json:"problem,omitempty"`   // what went wrong the last time
	NoSource bool       `json:"no_source,omitempty"` // no member that is linked has the content
}

// WhyRule is a pattern that decided.
type WhyRule struct {
	Pattern string `json:"pattern"`
	Include bool   `json:"include"`
	Default bool   `json:"default,omitempty"` // it holds for every folder, unless defaults = false
	Line    int    `json:"line,omitempty"`    // of farm.toml
	Why     string `json:"why,omitempty"`     // of a default: whose files these are
	Path    string `json:"path"`              // which it matches: the path, or a directory that it lies in
}

// WhyFile is what a path is.
type WhyFile struct {
	Type  string    `json:"type"`
	Size  int64     `json:"size"`
	Mode  string    `json:"mode,omitempty"`
	Owner string    `json:"owner,omitempty"`
	MTime time.Time `json:"mtime,omitzero"`
}

func (s *Server) why(w http.ResponseWriter, r *http.Request) error {
	q := WhyQuery{Folder: farm.FolderID(r.URL.Query().Get("folder")), Path: r.URL.Query().Get("path")}
	switch {
	case q.Path == "":
		return farm.Errorf("why", "", farm.Invalid, "a path is missing")
	case len(q.Path) > MaxGlobBytes:
		return farm.Errorf("why", "", farm.Invalid, "a path of %d bytes is longer than %d", len(q.Path), MaxGlobBytes)
	}
	why, err := s.opt.Backend.Why(r.Context(), q)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, why)
	return nil
}

// Why asks what the members know of a path.
func (c *Client) Why(ctx context.Context, q WhyQuery) (why Why, err error) {
	v := url.Values{"path": {q.Path}}
	if q.Folder != "" {
		v.Set("folder", string(q.Folder))
	}
	return why, c.call(ctx, http.MethodGet, "/v1/why?"+v.Encode(), nil, &why)
}
