package control

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tandem/internal/farm"
)

// Limits of questions for preserved files.
const (
	MaxConflicts   = 10_000 // in one answer
	MaxConflictIDs = 1000   // in one question
	MaxGlobBytes   = 4 << 10
)

// ConflictQuery selects preserved files of the whole farm. Its zero value selects all.
type ConflictQuery struct {
	IDs    []string      `json:"ids,omitempty"`    // beginnings of ids; each must fit exactly one
	Folder farm.FolderID `json:"folder,omitempty"` // empty: all
	Path   string        `json:"path,omitempty"`   // pattern as in exclude; empty: all
	Reason farm.Reason   `json:"reason,omitempty"` // empty: all
	Since  time.Time     `json:"since,omitzero"`   // preserved since then
	Member farm.MemberID `json:"member,omitempty"` // who keeps it; empty: any
	Limit  int           `json:"limit,omitempty"`  // for lists; 0: MaxConflicts
}

// Conflict is a preserved file: the version of a path that was kept outside the tree, by one member or several.
type Conflict struct {
	ID      string          `json:"id"` // the same on all members that keep this version
	Folder  farm.FolderID   `json:"folder"`
	Path    string          `json:"path"` // bytes that are no UTF-8 are replaced
	Reason  farm.Reason     `json:"reason"`
	Time    time.Time       `json:"time"`    // when it was preserved
	Members []farm.MemberID `json:"members"` // who keep it

	Type   string    `json:"type"` // "file", "dir" or "symlink"
	Size   int64     `json:"size"`
	Mode   string    `json:"mode,omitempty"` // as chmod takes it
	Owner  string    `json:"owner"`          // user:group, by name where it has one
	MTime  time.Time `json:"mtime,omitzero"`
	Digest string    `json:"digest,omitempty"`
	Target string    `json:"target,omitempty"` // of a symlink

	Written  *Write `json:"written,omitempty"`  // by whom and when its content was written; nil: it never had a version
	Replaced *Write `json:"replaced,omitempty"` // by whom and when it was replaced or deleted; nil: unknown
}

// Write is a write of a path.
type Write struct {
	Version farm.Position `json:"version"`
	Member  farm.MemberID `json:"member"`
	Time    time.Time     `json:"time"`
}

// Conflicts is an answer to a ConflictQuery (GET /v1/conflicts): the newest first.
type Conflicts struct {
	List   []Conflict `json:"list"`
	Count  int        `json:"count"`            // of all that match; with More at least so many
	Bytes  int64      `json:"bytes"`            // of those that are listed
	More   bool       `json:"more,omitempty"`   // the list was cut at its limit
	Silent []Silent   `json:"silent,omitempty"` // members that could not be asked
}

// Silent is a member that could not be asked.
type Silent struct {
	Member farm.MemberID `json:"member"`
	Reason string        `json:"reason"`
}

// DiffRequest is the body of POST /v1/conflicts/diff.
type DiffRequest struct {
	ID   string `json:"id"`             // its beginning is enough
	Path string `json:"path,omitempty"` // of the file to compare with; empty: the preserved file's own
}

// ConflictDiff says how a preserved file differs from a current one.
type ConflictDiff struct {
	Preserved Conflict `json:"preserved"`
	Path      string   `json:"path"` // of the current one
	Type      string   `json:"type"` // of the current one; "absent": there is none
	Size      int64    `json:"size"`
	Digest    string   `json:"digest,omitempty"`
	Target    string   `json:"target,omitempty"`
	Same      bool     `json:"same"`           // the contents are equal
	Text      string   `json:"text,omitempty"` // unified diff from preserved to current, if both are text and not too large
	Why       string   `json:"why,omitempty"`  // why there is no text although they differ
}

// RestoreRequest is the body of POST /v1/conflicts/restore.
type RestoreRequest struct {
	Query ConflictQuery `json:"query"`
	To    string        `json:"to,omitempty"`    // path to restore the one file to; empty: where it was
	Force bool          `json:"force,omitempty"` // also in the place of another file, which is preserved then
}

// Restored is what became of one preserved file that was to be restored.
type Restored struct {
	ID     string        `json:"id"`
	Folder farm.FolderID `json:"folder"`
	Path   string        `json:"path"`            // where it is now
	From   farm.MemberID `json:"from"`            // who had kept it
	Same   bool          `json:"same,omitempty"`  // it was there already
	Error  *ErrorBody    `json:"error,omitempty"` // why it was not restored
}

// RestoreLine is one line of the answer: progress, and in the last line the result or the error.
type RestoreLine struct {
	Done   int            `json:"done"`
	Count  int            `json:"count"`
	Result *RestoreResult `json:"result,omitempty"`
	Error  *ErrorBody     `json:"error,omitempty"`
}

// RestoreResult is what became of all of them. Of many that failed the first MaxRestoreFaults are named.
type RestoreResult struct {
	Count    int        `json:"count"`    // selected
	Restored int        `json:"restored"` // are at their paths now, those too that were there already
	Failed   int        `json:"failed"`
	List     []Restored `json:"list"`             // the first MaxRestoreFaults that failed, else the first that were restored
	Silent   []Silent   `json:"silent,omitempty"` // members that could not be asked what they keep
}

// MaxRestoreFaults is how many files the result of a restore names.
const MaxRestoreFaults = 100

// Dropped is what became of preserved files that were to be removed for good (POST /v1/conflicts/drop).
type Dropped struct {
	Count  int      `json:"count"` // versions removed, from all members that were asked
	Bytes  int64    `json:"bytes"`
	Silent []Silent `json:"silent,omitempty"` // members that could not be asked; what they keep stays
}

// PreservedUsage is what this member keeps of a folder outside its tree.
type PreservedUsage struct {
	Files     int        `json:"files"`
	Bytes     int64      `json:"bytes"`
	Conflicts int        `json:"conflicts"`        // of the files: those that nobody meant to lose
	Oldest    *time.Time `json:"oldest,omitempty"` // when the oldest was preserved
}

// check refuses what no member would understand.
func (q ConflictQuery) check() error {
	switch {
	case len(q.IDs) > MaxConflictIDs:
		return fmt.Errorf("%d ids are more than %d", len(q.IDs), MaxConflictIDs)
	case len(q.Path) > MaxGlobBytes:
		return fmt.Errorf("a pattern of %d bytes is longer than %d", len(q.Path), MaxGlobBytes)
	case q.Limit < 0 || q.Limit > MaxConflicts:
		return fmt.Errorf("a list has 1 to %d files, not %d", MaxConflicts, q.Limit)
	}
	for _, id := range q.IDs {
		if id == "" || len(id) > 64 {
			return fmt.Errorf("%q is no id of a preserved file", id)
		}
	}
	for _, r := range farm.Reasons() {
		if q.Reason == "" || q.Reason == r {
			return nil
		}
	}
	return fmt.Errorf("%q is no reason: there are %q", q.Reason, farm.Reasons())
}

func (q ConflictQuery) values() url.Values {
	v := url.Values{}
	set := func(key, value string) {
		if value != "" && value != "0" {
			v.Set(key, value)
		}
	}
	for _, id := range q.IDs {
		v.Add("id", id)
	}
	set("folder", string(q.Folder))
	set("path", q.Path)
	set("reason", string(q.Reason))
	set("member", string(q.Member))
	set("limit", strconv.Itoa(q.Limit))
	if !q.Since.IsZero() {
		set("since", q.Since.Format(time.RFC3339Nano))
	}
	return v
}

func parseConflictQuery(v url.Values) (q ConflictQuery, err error) {
	q = ConflictQuery{IDs: v["id"], Folder: farm.FolderID(v.Get("folder")), Path: v.Get("path"), Reason: farm.Reason(v.Get("reason")),
		Member: farm.MemberID(v.Get("member"))}
	if s := v.Get("limit"); s != "" {
		if q.Limit, err = strconv.Atoi(s); err != nil {
			return q, fmt.Errorf("limit=%q is not a number", s)
		}
	}
	if s := v.Get("since"); s != "" {
		if q.Since, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return q, fmt.Errorf("since=%q is not a time such as 2006-01-02T15:04:05Z", s)
		}
	}
	return q, q.check()
}

func (s *Server) conflicts(w http.ResponseWriter, r *http.Request) error {
	q, err := parseConflictQuery(r.URL.Query())
	if err != nil {
		return &farm.Error{Op: "list conflicts", Kind: farm.Invalid, Err: err}
	}
	list, err := s.opt.Backend.Conflicts(r.Context(), q)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, list)
	return nil
}

func (s *Server) conflictDiff(w http.ResponseWriter, r *http.Request) error {
	var req DiffRequest
	if err := decode(w, r, maxSelectBytes, &req); err != nil {
		return err
	}
	if err := (ConflictQuery{IDs: []string{req.ID}, Path: req.Path}).check(); err != nil {
		return &farm.Error{Op: "diff", Kind: farm.Invalid, Err: err}
	}
	d, err := s.opt.Backend.DiffConflict(r.Context(), req)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, d)
	return nil
}

// maxSelectBytes bounds a body that names preserved files.
const maxSelectBytes = 128 << 10

// conflictRestore answers with a stream of RestoreLine.
func (s *Server) conflictRestore(w http.ResponseWriter, r *http.Request) error {
	var req RestoreRequest
	if err := decode(w, r, maxSelectBytes, &req); err != nil {
		return err
	}
	if err := req.Query.check(); err != nil {
		return &farm.Error{Op: "restore", Kind: farm.Invalid, Err: err}
	}
	var l *lines
	result, err := s.opt.Backend.RestoreConflicts(r.Context(), req, func(done, count int) {
		if l == nil {
			l = startLines(w)
		}
		// A client that has gone ends the context, and with it the restore.
		if l.send(RestoreLine{Done: done, Count: count}) == nil {
			_ = l.rc.Flush()
		}
	})
	if l == nil {
		if err != nil {
			return err
		}
		l = startLines(w)
	}
	last := RestoreLine{Done: result.Count, Count: result.Count}
	if err != nil {
		last.Error = ErrorOf(err)
	} else {
		last.Result = &result
	}
	_ = l.send(last) // as above
	return nil
}

func (s *Server) conflictDrop(w http.ResponseWriter, r *http.Request) error {
	var q ConflictQuery
	if err := decode(w, r, maxSelectBytes, &q); err != nil {
		return err
	}
	if err := q.check(); err != nil {
		return &farm.Error{Op: "drop", Kind: farm.Invalid, Err: err}
	}
	d, err := s.opt.Backend.DropConflicts(r.Context(), q)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, d)
	return nil
}
