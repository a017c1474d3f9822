package web

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/farm"
)

// writeVar is where handlers of ours find the write that a request is.
const writeVar = "tandem.write"

// write is a request with an unsafe method: its answer leaves after the barrier.
type write struct {
	env     *environment
	folders []farm.FolderID
	confirm *confirm // nil: no other node need have it
}

// positions are those up to which a member has written, by folder.
type positions map[farm.FolderID]farm.Position

func (ps positions) session() farm.Session {
	s := farm.Session{}
	for f, p := range ps {
		s[f] = farm.VectorOf(p)
	}
	return s
}

// serve has the request answered, and calls taken, which may set headers, when the positions are known.
func (wr *write) serve(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, buffer int64, taken func(positions)) error {
	for _, f := range wr.folders {
		n := wr.env.writing(f)
		n.Add(1)
		defer n.Add(-1)
	}
	caddyhttp.SetVar(r.Context(), writeVar, wr)
	var held *heldAnswer
	var err error
	held = hold(w, buffer, func() bool {
		promises := err == nil && held.status < http.StatusBadRequest
		return wr.finish(w, r, promises, taken)
	})
	err = next.ServeHTTP(held, r)
	held.release() // if err is not nil, the routes for errors write the answer, with the headers that are there now
	if held.refused {
		return nil
	}
	return err
}

// finish takes the barrier and waits for other nodes. False: it has written the answer. promises: the answer that is held
// does not say itself that the request has failed.
func (wr *write) finish(w http.ResponseWriter, r *http.Request, promises bool, taken func(positions)) bool {
	at, whole := wr.barrier(r)
	if wr.confirm == nil || len(at) == 0 && whole { // nobody has ever written here
		taken(at)
		return true
	}
	n := wr.confirm.wait(r, at, whole)
	taken(at)
	wr.confirm.tell(r, n)
	w.Header().Set(ConfirmedHeader, fmt.Sprintf("%d/%d", n.have, n.want))
	if n.lacks() && promises && wr.confirm.Fail {
		n.refuse(w)
		return false
	}
	return true
}

// barrier takes the positions behind everything that the request has written. whole: no folder's is missing.
func (wr *write) barrier(r *http.Request) (at positions, whole bool) {
	ctx, cancel := context.WithTimeout(r.Context(), barrierTime)
	defer cancel()
	got := make([]farm.Position, len(wr.folders))
	failed := make([]error, len(wr.folders))
	var wg sync.WaitGroup
	for i, f := range wr.folders {
		wg.Go(func() { got[i], failed[i] = wr.env.consistency.Barrier(ctx, f) })
	}
	wg.Wait()
	at, whole = positions{}, true
	for i, f := range wr.folders {
		switch {
		case failed[i] != nil:
			// The write has happened, so the answer stands; but other members may be without it for a moment.
			wr.env.log.Warn("an answer leaves without a position", "folder", f, "host", r.Host, "error", failed[i])
			whole = false
		case !got[i].IsZero():
			at[f] = got[i]
		}
	}
	return at, whole
}
