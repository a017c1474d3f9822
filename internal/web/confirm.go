package web

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/farm"
)

// ConfirmedHeader tells in an answer how many other nodes have what the request wrote, and how many should: "1/1".
const ConfirmedHeader = "Tandem-Confirmed"

const (
	confirmDirective   = "confirm"
	defaultConfirmTime = 2 * time.Second
	confirmAll         = -1
	maxConfirm         = 64 // nodes
)

// Confirmer knows which nodes have what.
type Confirmer interface {
	// Confirm waits until n other nodes have all up to p, visible or durable; n < 0: all of them. It returns how many have,
	// and how many should; fewer when ctx ends, or at once when so many can't come to have it, because they are not
	// linked or there are not so many.
	Confirm(ctx context.Context, f farm.FolderID, p farm.Position, n int, durable bool) (have, want int)
}

// confirm is the handler of the directive: the answer to an unsafe request leaves when other nodes have what it wrote.
type confirm struct {
	Nodes   int            `json:"nodes,omitempty"` // -1: all
	Timeout caddy.Duration `json:"timeout,omitempty"`
	Durable bool           `json:"durable,omitempty"`
	Fail    bool           `json:"fail,omitempty"` // when it is not confirmed in time, the answer is 503

	env     *environment
	folders []farm.FolderID
	lacking atomic.Bool // the last one was not confirmed
}

// CaddyModule implements caddy.Module.
func (*confirm) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers." + confirmDirective,
		New: func() caddy.Module { return new(confirm) },
	}
}

// parseConfirm reads
//
//	confirm [<matcher>] <nodes>|all {
//	    timeout    <duration>
//	    durable
//	    on_timeout answer|fail
//	}
func parseConfirm(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	c := &confirm{Timeout: caddy.Duration(defaultConfirmTime)}
	return c, c.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (c *confirm) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	var nodes string
	if !d.AllArgs(&nodes) {
		return d.ArgErr()
	}
	n, err := strconv.Atoi(nodes)
	switch {
	case nodes == "all":
		c.Nodes = confirmAll
	case err == nil && n >= 1 && n <= maxConfirm:
		c.Nodes = n
	default:
		return d.Errf("%q is no number of nodes: write 1 to %d, or all", nodes, maxConfirm)
	}
	for d.NextBlock(0) {
		if err := c.option(d); err != nil {
			return err
		}
	}
	return nil
}

func (c *confirm) option(d *caddyfile.Dispenser) error {
	option, value := d.Val(), ""
	if option == "durable" {
		c.Durable = true
		if d.NextArg() {
			return d.ArgErr()
		}
		return nil
	}
	if !d.AllArgs(&value) {
		return d.ArgErr()
	}
	switch option {
	case "timeout":
		t, err := caddy.ParseDuration(value)
		if err != nil || t <= 0 || t > maxWait {
			return d.Errf("%q is no time to wait: write 1ms to %s", value, maxWait)
		}
		c.Timeout = caddy.Duration(t)
	case "on_timeout":
		if value != "answer" && value != "fail" {
			return d.Errf("%q is nothing to do: write answer or fail", value)
		}
		c.Fail = value == "fail"
	default:
		return d.Errf("%s has no option %q: known are timeout, durable, on_timeout", confirmDirective, option)
	}
	return nil
}

// Provision implements caddy.Provisioner.
func (c *confirm) Provision(ctx caddy.Context) (err error) {
	if c.env, err = environmentOf(ctx); err == nil {
		c.folders = c.env.foldersOfRoots()
	}
	return err
}

// ServeHTTP implements caddyhttp.MiddlewareHandler. Inside of read_your_writes, that takes the barrier for both.
func (c *confirm) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if safe(r.Method) {
		return next.ServeHTTP(w, r)
	}
	if outer, ok := caddyhttp.GetVar(r.Context(), writeVar).(*write); ok {
		outer.confirm = c
		return next.ServeHTTP(w, r)
	}
	wr := &write{env: c.env, folders: c.folders, confirm: c}
	return wr.serve(w, r, next, defaultBuffer, func(positions) {})
}

// confirmed is how many other nodes have what a request wrote, and how many should.
type confirmed struct{ have, want int }

func (n confirmed) lacks() bool { return n.have < n.want }

// wait waits for the nodes, as long as it may. whole: the positions are those of all folders.
func (c *confirm) wait(r *http.Request, at positions, whole bool) confirmed {
	if !whole {
		return confirmed{0, max(c.Nodes, 1)}
	}
	ctx, cancel := context.WithTimeout(r.Context(), time.Duration(c.Timeout))
	defer cancel()
	n := confirmed{have: maxConfirm}
	for f, p := range at {
		have, want := c.env.consistency.Confirm(ctx, f, p, c.Nodes, c.Durable)
		n.have, n.want = min(n.have, have), max(n.want, want)
	}
	n.have = min(n.have, n.want)
	return n
}

// tell raises an event when confirmations begin to fail, and when they succeed again.
func (c *confirm) tell(r *http.Request, n confirmed) {
	if c.lacking.Swap(n.lacks()) == n.lacks() {
		return
	}
	ev := farm.Event{
		ID: farm.EventWriteUnconfirmed, Severity: farm.Healed, Subject: c.env.file,
		Message: "writes are confirmed again",
		Fields:  map[string]string{"confirmed": strconv.Itoa(n.have), "wanted": strconv.Itoa(n.want), "host": r.Host},
	}
	if n.lacks() {
		ev.Severity = farm.Fault
		ev.Message = fmt.Sprintf("what visitors write is confirmed by %d other nodes, not by %d", n.have, n.want)
		ev.Next = "look at tandem status: which nodes are linked, and what they lack"
	}
	c.env.sink(ev)
}

// refuse answers instead of the site. What the request wrote stays.
func (n confirmed) refuse(w http.ResponseWriter) {
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range", "Etag", "Last-Modified", "Location"} {
		h.Del(name)
	}
	unavailable(h)
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = fmt.Fprintf(w, "What you sent was saved on one server, but only %d of %d others have it yet. It is not lost; see whether it is there before you send it again.\n", n.have, n.want)
}
