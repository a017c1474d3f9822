package control

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"tandem/internal/farm"
)

// Verb is what people say to a folder.
type Verb string

// The verbs.
const (
	VerbPause   Verb = "pause"   // send and install nothing
	VerbResume  Verb = "resume"  // go on after a pause
	VerbRelease Verb = "release" // let the deletions that the brake holds go on to the others
	VerbRetry   Verb = "retry"   // check again what the folder's check has refused
	VerbRefuse  Verb = "refuse"  // have what the brake found missing brought back from the others
)

// Verbs are all verbs.
func Verbs() []Verb { return []Verb{VerbPause, VerbResume, VerbRelease, VerbRefuse, VerbRetry} }

// SteerRequest is the body of POST /v1/folders/{id}/{verb}.
type SteerRequest struct {
	All bool `json:"all,omitempty"` // on all linked members that hold the folder, too
}

// Steered says what came of it, on each member that was told. One of them failing is no error of the whole.
type Steered struct {
	Folder  farm.FolderID   `json:"folder"`
	Verb    Verb            `json:"verb"`
	Members []SteeredMember `json:"members"` // this one first
	Silent  []Silent        `json:"silent,omitempty"`
}

// SteeredMember is what a member did.
type SteeredMember struct {
	Member  farm.MemberID `json:"member"`
	Changed bool          `json:"changed"`           // false: it was so already
	Held    int           `json:"held,omitempty"`    // release, refuse: of how many paths was decided
	Problem string        `json:"problem,omitempty"` // why it did not
}

// Steerer does what people say to folders, and says how things are with one path.
type Steerer interface {
	// SteerFolder tells this member, and with all the linked members. The verb is one of Verbs.
	SteerFolder(ctx context.Context, id farm.FolderID, verb Verb, all bool) (Steered, error)
	// Why asks this member and all that are linked about one path.
	Why(ctx context.Context, q WhyQuery) (Why, error)
}

func (s *Server) steer(w http.ResponseWriter, r *http.Request) error {
	verb := Verb(r.PathValue("verb"))
	if !slices.Contains(Verbs(), verb) {
		return farm.Errorf("steer folder", string(verb), farm.NotFound, "there is no such verb")
	}
	id, err := farm.ParseFolderID(r.PathValue("id"))
	if err != nil {
		return &farm.Error{Op: string(verb) + " folder", Kind: farm.Invalid, Err: err}
	}
	var req SteerRequest
	if err := decode(w, r, maxSelectBytes, &req); err != nil {
		return err
	}
	done, err := s.opt.Backend.SteerFolder(r.Context(), id, verb, req.All)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, done)
	return nil
}

// SteerFolder says the verb to the folder on the client's member, or on all.
func (c *Client) SteerFolder(ctx context.Context, id farm.FolderID, verb Verb, all bool) (done Steered, err error) {
	path := "/v1/folders/" + url.PathEscape(string(id)) + "/" + string(verb)
	return done, c.call(ctx, http.MethodPost, path, SteerRequest{All: all}, &done)
}
