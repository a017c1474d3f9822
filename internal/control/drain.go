package control

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"tandem/internal/farm"
)

// DrainVerb is what people say of a member's visitors.
type DrainVerb string

// The verbs.
const (
	DrainOn   DrainVerb = "drain"   // take no new visitors
	DrainOff  DrainVerb = "undrain" // take them again
	DrainShow DrainVerb = "show"    // say how far it is
)

// Drain is how far a member is that takes no new visitors.
type Drain struct {
	Member     farm.MemberID   `json:"member"`
	Draining   bool            `json:"draining"`              // a person said so; a member that stops does not count
	Since      *time.Time      `json:"since,omitempty"`       // when it was said
	By         farm.MemberID   `json:"by,omitempty"`          // the member where it was said
	BoundUntil *time.Time      `json:"bound_until,omitempty"` // edges send those visitors that are bound to the node until then
	Settled    bool            `json:"settled"`               // no edge sends visitors any more, unless no other node can have them
	Active     int64           `json:"active"`                // requests under way
	Behind     []DrainPeer     `json:"behind,omitempty"`      // who lacks what was written here; known when no request is under way
	Virtual    []string        `json:"virtual,omitempty"`     // virtual addresses that it has and another edge could take
	Apart      []farm.MemberID `json:"apart,omitempty"`       // members that are not linked, which can't be waited for
	Safe       bool            `json:"safe"`                  // the member can be stopped: nobody notices
}

// DrainPeer is a member that lacks changes of a folder which were made on the member that drains.
type DrainPeer struct {
	Folder  farm.FolderID `json:"folder"`
	Member  farm.MemberID `json:"member,omitempty"`  // empty: no other holder of the folder is linked
	Changes uint64        `json:"changes,omitempty"` // that the member lacks
}

// Drainer lets members drain.
type Drainer interface {
	// Drain says the verb to a member, this one if the name is empty, and tells how far it is. NotFound if there is none of
	// that name.
	Drain(ctx context.Context, name farm.MemberID, verb DrainVerb) (Drain, error)
}

func (s *Server) drain(w http.ResponseWriter, r *http.Request) error {
	verb := DrainVerb(r.PathValue("verb"))
	if r.Method == http.MethodGet {
		verb = DrainShow
	}
	if !slices.Contains([]DrainVerb{DrainOn, DrainOff, DrainShow}, verb) {
		return farm.Errorf("drain", string(verb), farm.NotFound, "there is no such verb")
	}
	name, err := farm.ParseMemberID(r.PathValue("name"))
	if err != nil {
		return &farm.Error{Op: string(verb), Kind: farm.Invalid, Err: err}
	}
	d, err := s.opt.Backend.Drain(r.Context(), name, verb)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, d)
	return nil
}

// Drain says the verb to a member and returns how far it is.
func (c *Client) Drain(ctx context.Context, name farm.MemberID, verb DrainVerb) (d Drain, err error) {
	path := "/v1/members/" + url.PathEscape(string(name)) + "/drain"
	if verb == DrainShow {
		return d, c.call(ctx, http.MethodGet, path, nil, &d)
	}
	return d, c.call(ctx, http.MethodPost, path+"/"+string(verb), nil, &d)
}
