package member

import (
	"context"
	"encoding/json"
	"regexp"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire"
)

// Calls that members make on each other.
const (
	callKept  = "preserved.list"
	callDrop  = "preserved.drop"
	callSteer = "folder.steer"
	callWhy   = "folder.why"
	callOpen  = "secret.open"
	callDrain = "member.drain"
)

const (
	callTime      = 10 * time.Second // for one call
	pageFiles     = 1000             // preserved files in one answer
	pageBytes     = 1 << 20          // of one answer, of which wire allows twice as much
	maxOwnerBytes = 255
	maxReason     = 32 // bytes
)

// keptRequest asks for a page of what a member keeps.
type keptRequest struct {
	Filter keptFilter `json:"filter"`
	After  *kept      `json:"after,omitempty"` // the last of the page before
	Limit  int        `json:"limit"`
}

// keptPage is the answer.
type keptPage struct {
	List  []kept `json:"list"`
	Count int    `json:"count"` // of all that match
	More  bool   `json:"more"`  // there is another page
}

type dropRequest struct {
	Folder farm.FolderID `json:"folder"`
	IDs    []string      `json:"ids"`
}

type dropReply struct {
	Dropped []string `json:"dropped"`
}

// Call implements peer.Caller.
func (m *Member) Call(ctx context.Context, from farm.MemberID, q wire.CallRequest) ([]byte, error) {
	switch q.Method {
	case callKept:
		var req keptRequest
		if err := readCall(q, &req); err != nil {
			return nil, err
		}
		page, err := m.keptPage(from, req)
		return writeCall(page, err)
	case callDrop:
		var req dropRequest
		if err := readCall(q, &req); err != nil {
			return nil, err
		}
		reply, err := m.dropHere(from, req)
		return writeCall(reply, err)
	case callSteer:
		var req steerRequest
		if err := readCall(q, &req); err != nil {
			return nil, err
		}
		if !m.holds(from, req.Folder) {
			return nil, notShared("steer folder", from, req.Folder)
		}
		done, err := m.steerHere(ctx, from, req)
		return writeCall(done, err)
	case callDrain:
		var req drainRequest
		if err := readCall(q, &req); err != nil {
			return nil, err
		}
		d, err := m.drainHere(ctx, from, req.Verb)
		return writeCall(d, err)
	case callWhy:
		var req whyRequest
		if err := readCall(q, &req); err != nil {
			return nil, err
		}
		if !m.holds(from, req.Folder) {
			return nil, notShared("why", from, req.Folder)
		}
		why, err := m.whyHere(ctx, req)
		return writeCall(why, err)
	case callOpen:
		var req openRequest
		if err := readCall(q, &req); err != nil {
			return nil, err
		}
		reply, err := m.secrets.openFor(from, req)
		return writeCall(reply, err)
	}
	return nil, farm.Errorf("call", q.Method, farm.Unsupported, "%s asks for what this version does not know", from)
}

func readCall(q wire.CallRequest, v any) error {
	if err := json.Unmarshal(q.Body, v); err != nil {
		return &farm.Error{Op: "call", Path: q.Method, Kind: farm.Invalid, Err: err}
	}
	return nil
}

func writeCall(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// ask makes a call and reads the answer.
func (m *Member) ask(ctx context.Context, to farm.MemberID, method string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return &farm.Error{Op: "call", Path: method, Kind: farm.Internal, Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	if body, err = m.hub.Call(ctx, to, wire.CallRequest{Method: method, Body: body}); err != nil {
		return err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return &farm.Error{Op: "call", Path: method, Kind: farm.Corrupt, Err: err}
	}
	return nil
}

// keptPage answers with what fits into one answer, of the folders that the member which asks holds, too.
func (m *Member) keptPage(from farm.MemberID, req keptRequest) (page keptPage, err error) {
	if err := req.Filter.check(); err != nil {
		return page, err
	}
	limit := max(1, min(req.Limit, pageFiles))
	page.List, page.Count = m.keptHere(from, req.Filter, req.After, limit+1)
	if len(page.List) > limit {
		page.List, page.More = page.List[:limit], true
	}
	bytes := 0
	for i, k := range page.List {
		bytes += len(k.File.Path.String())*2 + len(k.File.Attr.Target)*2 + len(k.File.Attr.XAttrs.Encoded())*2 + 1024
		if bytes > pageBytes && i > 0 {
			page.List, page.More = page.List[:i], true
			break
		}
	}
	return page, nil
}

// dropHere removes for good what this member keeps under the ids.
func (m *Member) dropHere(from farm.MemberID, req dropRequest) (reply dropReply, err error) {
	f, err := m.shared("drop preserved", from, req.Folder)
	if farm.KindOf(err) == farm.Denied {
		return reply, err
	}
	if f == nil {
		return reply, nil // nothing is kept of it here
	}
	reply.Dropped = []string{}
	for _, id := range req.IDs[:min(len(req.IDs), pageFiles)] {
		switch err := f.keeper.DropPreserved(id); {
		case err == nil:
			reply.Dropped = append(reply.Dropped, id)
		case farm.KindOf(err) != farm.NotFound:
			return reply, err
		}
	}
	return reply, nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

// check tells what is wrong with an item that another member sent; install has checked its form.
func (k kept) check() error {
	a := k.File.Attr
	if !idPattern.MatchString(k.File.ID) || len(k.File.Reason) > maxReason || a.Size < 0 || a.Type == farm.Absent || len(k.Folder) > 64 ||
		k.File.Path.IsRoot() || k.File.Path.Private() || len(a.Target) > farm.MaxPathBytes ||
		len(a.Owner.User) > maxOwnerBytes || len(a.Owner.Group) > maxOwnerBytes {
		return farm.Errorf("call", callKept, farm.Corrupt, "%q is no preserved file", k.File.ID)
	}
	return nil
}
