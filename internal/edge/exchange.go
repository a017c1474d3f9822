package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"tandem/internal/client"
	"tandem/internal/config"
	"tandem/internal/farm"
)

const maxTries = 4

// fate is how an attempt to have a request answered by a node ended.
type fate uint8

const (
	whole  fate = iota // the visitor has the whole answer
	unseen             // no node has seen a byte of the request
	silent             // the node may have acted; the visitor has nothing of an answer
	broken             // the visitor has a part of the answer
	gone               // the visitor left
)

// again tells whether the request may be sent once more. Invariant: never twice what is not safe to do twice.
func (f fate) again(safe bool, load *payload) bool {
	switch f {
	case unseen:
		return !load.begun
	case silent:
		return safe && !load.begun
	}
	return false
}

// exchange is one visitor's request and its answer. One goroutine owns it.
type exchange struct {
	edge  *Edge
	w     http.ResponseWriter
	r     *http.Request
	id    string
	begun time.Time

	client client.Client // the visitor
	site   *site         // that is asked for; never nil when admit has found one

	options *config.EdgeSite // of the site; immutable

	head    []byte // request line and header as nodes get it
	safe    bool   // the method may be repeated
	upgrade string // protocol to switch to; mostly empty
	load    payload
	fill    *filler    // keeps the answer; nil: it is not to be kept
	want    farm.Visit // what the visitor has written and seen
	proven  bool       // ... and the farm has signed that

	tried attempts
	tries int
	waits time.Time // since when it waits for a node; zero: it has not

	place place // at the node that was chosen last

	node   farm.MemberID // that answered
	status int           // that the visitor got; 0: none yet
	bytes  int64         // of the answer's body that the visitor got

	shun outages // nodes that get none of the site's requests

	download *download // nil: an answer that breaks stays broken
}

// carry has the request answered by a node, or answers with what stood in the way.
func (x *exchange) carry() {
	for {
		s, err := x.choose()
		if err != nil {
			x.apologise(err)
			return
		}
		x.tries++
		f, stale, err := x.attempt(s)
		switch f {
		case whole:
			return
		case gone:
			if x.status == 0 && errors.Is(err, errVisitor) {
				x.refuse(bodyStatus(err), "the request's body did not arrive whole")
				return
			}
			x.leave(f)
		case broken:
			x.leave(f)
		}
		late := x.late(x.edge.cfg.Now())
		if !f.again(x.safe, &x.load) || x.tries == maxTries || late {
			x.edge.cfg.Log.Warn("request failed", "id", x.id, "node", s.node.id, "method", x.r.Method, "tries", x.tries, "err", err)
			x.apologise(err)
			return
		}
		x.tried.note(s, stale)
	}
}

// leave ends the visitor's connection (or stream, with HTTP/2), so that a part of an answer can't look whole.
func (x *exchange) leave(f fate) {
	if f == gone {
		x.status = statusVisitorLeft
	}
	panic(http.ErrAbortHandler)
}

// attempt sends the request to a node and passes its answer on. stale says that what failed is a connection that had
// been idle.
func (x *exchange) attempt(s *standing) (f fate, stale bool, err error) {
	n := s.node
	defer x.place.leave()
	t, f, err := x.open(s)
	if err == nil {
		f, err = t.relay()
		t.finish(f == whole)
	}
	switch {
	case f == whole:
		x.tally(n, x.status >= http.StatusInternalServerError)
		if n.suspect.Load() {
			x.edge.report(n.id, answered, "it answers")
		}
		return f, false, nil
	case x.r.Context().Err() != nil && !(f == gone && isTimeout(err)): // who is too slow is still there
		return gone, false, x.r.Context().Err()
	case f == gone || f == broken:
		return f, false, err
	}
	n.failures.Add(1)
	x.tally(n, true)
	n.answers.observe(failedAnswer, x.edge.cfg.Now())
	stale = t != nil && t.stale
	switch {
	case stale:
		n.pool.flush()
		n.wake()
	case f == unseen || f == silent && !isTimeout(err):
		x.edge.report(n.id, connBad, "a request failed: "+err.Error())
	}
	return f, stale, err
}

// trip is a request that is at a node.
type trip struct {
	x      *exchange
	s      *standing
	c      *conn
	a      answer
	sender *sender
	stop   func() bool // takes back that the visitor's leaving interrupts c; false: it did
	stale  bool        // c had been idle and gave not a byte
}

// open gets a connection to the node, sends the request and reads the head of the answer. When err is not nil the
// connection is closed, and the trip, if there is one, tells no more than stale.
func (x *exchange) open(s *standing) (*trip, fate, error) {
	n := s.node
	n.requests.Add(1)
	if x.tries > 1 {
		n.retries.Add(1)
	}
	begun := x.edge.cfg.Now()
	c, err := n.pool.get(x.r.Context(), begun, !x.safe)
	if err != nil {
		return nil, unseen, err
	}
	t := &trip{x: x, s: s, c: c}
	t.stop = context.AfterFunc(x.r.Context(), c.cutOff)
	f, err := t.send()
	if err == nil {
		f, err = t.receive()
	}
	if err != nil {
		t.finish(false)
		return t, f, err
	}
	if !x.load.stream { // else it is the visitor who takes his time
		now := x.edge.cfg.Now()
		n.answers.observe(now.Sub(begun), now)
	}
	x.node = n.id
	return t, f, nil
}

// finish gives the connection back, if the answer was read whole and nothing else speaks against it.
func (t *trip) finish(read bool) {
	sent := t.endSending()
	if t.stop() && read && sent && !t.a.close && t.a.status != http.StatusSwitchingProtocols && t.c.br.Buffered() == 0 {
		t.s.node.pool.put(t.c, t.x.edge.cfg.Now())
		return
	}
	t.s.node.pool.drop(t.c)
}

// log writes the access log. It is deferred, and so also runs when the visitor's connection is cut.
func (x *exchange) log() {
	cfg := &x.edge.cfg
	written := cfg.Access != nil && cfg.Access.On()
	if !written && !cfg.Log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	r := x.r
	a := Access{
		ID: x.id, Node: x.node, Method: r.Method, Host: r.Host, URI: r.RequestURI, Proto: r.Proto, Referer: r.Referer(), Agent: r.UserAgent(),
		Time: x.begun, Status: x.status, Bytes: x.bytes, Tries: x.tries, Duration: cfg.Now().Sub(x.begun),
	}
	if x.client.Addr.IsValid() {
		a.Client = x.client.Addr.String()
	}
	if !x.want.IsZero() {
		a.Position = x.want.All().String()
	}
	if written {
		cfg.Access.Write(a)
		return
	}
	cfg.Log.Debug("request", "id", a.ID, "node", a.Node, "client", a.Client, "method", a.Method, "host", a.Host,
		"uri", a.URI, "status", a.Status, "bytes", a.Bytes, "tries", a.Tries, "took", a.Duration)
}

// errVisitor marks what went wrong on the visitor's side.
var errVisitor = errors.New("the visitor's connection broke")
