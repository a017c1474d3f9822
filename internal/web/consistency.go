package web

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Consistency is what is known of the folders.
type Consistency interface {
	Positions
	Confirmer
	Arrivals
	Contents
}

// Positions is what read_your_writes knows of the folders.
type Positions interface {
	// Barrier returns this member's position in its own feed that includes everything written to the folder before the
	// call. It is zero if this member has never written.
	Barrier(ctx context.Context, f farm.FolderID) (farm.Position, error)
	// Wait returns nil once this member's applied vector covers the position, at once if it does so already, whatever
	// became of ctx.
	Wait(ctx context.Context, f farm.FolderID, p farm.Position) error
	// Holders are the other members that are up and whose applied vector covers the position, best first.
	Holders(f farm.FolderID, p farm.Position) []farm.MemberID
	// Linked tells whether there is a session with the member.
	Linked(farm.MemberID) bool
	// Rest is what of v not every other node has visible, as far as is known here. The rest needs no care any more.
	Rest(f farm.FolderID, v farm.Vector) farm.Vector
	// Reach includes all that may be visible here now. writing: what is being written here may be without a number still,
	// so that a barrier comes first. It waits a bounded moment while no other node has the latest of this member's own.
	Reach(ctx context.Context, f farm.FolderID, writing bool) farm.Vector
	// Reached tells, without waiting, whether all of v may have been visible here before.
	Reached(f farm.FolderID, v farm.Vector) bool
}

// Forwarder passes a request on to another member's Trusted handler and its answer back. An error means that nothing
// was written to w.
type Forwarder interface {
	Forward(ctx context.Context, to farm.MemberID, w http.ResponseWriter, r *http.Request) error
}

const (
	directive     = "read_your_writes"
	defaultWait   = 2 * time.Second
	maxWait       = time.Minute
	defaultBuffer = 1 << 20 // bytes
	maxBuffer     = 64 << 20
	barrierTime   = 5 * time.Second
	cookieTime    = time.Hour // far longer than any replica that serves is behind
	retryAfter    = time.Second
)

var registerDirectives = sync.OnceFunc(func() {
	caddy.RegisterModule(&readYourWrites{})
	httpcaddyfile.RegisterHandlerDirective(directive, parseDirective)
	// Outside of everything that reads or writes what the application sees, and of what changes the answer's body.
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.Before, "redir")
	caddy.RegisterModule(&confirm{})
	httpcaddyfile.RegisterHandlerDirective(confirmDirective, parseConfirm)
	httpcaddyfile.RegisterDirectiveOrder(confirmDirective, httpcaddyfile.Before, "redir") // inside of read_your_writes
})

// readYourWrites is the handler of the directive. See doc.go for what it promises.
type readYourWrites struct {
	Folders []farm.FolderID `json:"folders,omitempty"` // none: those that hold the site's roots, or else all
	Wait    caddy.Duration  `json:"wait,omitempty"`
	Buffer  int64           `json:"buffer,omitempty"` // bytes
	Mode    mode            `json:"mode,omitempty"`

	env     *environment
	confirm *confirm // of mode confirmed
}

// mode says what the visitors of a site are promised.
type mode string

const (
	modeEventual  mode = "eventual"  // nothing: each node answers with what it has
	modeSession   mode = "session"   // a visitor sees what the visitor has written or seen
	modeConfirmed mode = "confirmed" // and what is written is on another node when the answer leaves
)

// CaddyModule implements caddy.Module.
func (*readYourWrites) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers." + directive,
		New: func() caddy.Module { return new(readYourWrites) },
	}
}

// parseDirective reads
//
//	read_your_writes [<matcher>] [<folder>...] {
//	    wait   <duration>
//	    buffer <size>
//	    mode   eventual|session|confirmed
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := &readYourWrites{Wait: caddy.Duration(defaultWait), Buffer: defaultBuffer, Mode: modeSession}
	return m, m.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (m *readYourWrites) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive
	for _, name := range d.RemainingArgs() {
		f, err := farm.ParseFolderID(name)
		if err != nil {
			return d.WrapErr(err)
		}
		m.Folders = append(m.Folders, f)
	}
	for d.NextBlock(0) {
		option, value := d.Val(), ""
		if !d.AllArgs(&value) {
			return d.ArgErr()
		}
		switch option {
		case "wait":
			wait, err := caddy.ParseDuration(value)
			if err != nil || wait < 0 || wait > maxWait {
				return d.Errf("%q is no time to wait: write 0s to %s", value, maxWait)
			}
			m.Wait = caddy.Duration(wait)
		case "buffer":
			size, err := config.ParseSize(value)
			if err != nil || size > maxBuffer {
				return d.Errf("%q is no size for a buffer: write 0 to %s", value, config.Size(maxBuffer))
			}
			m.Buffer = int64(size)
		case "mode":
			m.Mode = mode(value)
			if m.Mode != modeEventual && m.Mode != modeSession && m.Mode != modeConfirmed {
				return d.Errf("%q is no mode: write eventual, session or confirmed", value)
			}
		default:
			return d.Errf("%s has no option %q: known are wait, buffer, mode", directive, option)
		}
	}
	return nil
}

// Provision implements caddy.Provisioner.
func (m *readYourWrites) Provision(ctx caddy.Context) (err error) {
	if m.env, err = environmentOf(ctx); err != nil {
		return err
	}
	for _, f := range m.Folders {
		if _, ok := m.env.folders[f]; !ok {
			return fmt.Errorf("there is no folder %q: known are %v", f, slices.Sorted(maps.Keys(m.env.folders)))
		}
	}
	if len(m.Folders) == 0 {
		m.Folders = m.env.foldersOfRoots()
	}
	if m.Mode == modeConfirmed {
		m.confirm = &confirm{Nodes: 1, Timeout: caddy.Duration(defaultConfirmTime), env: m.env, folders: m.Folders}
	}
	return nil
}

// environmentOf finds the environment of the site whose module is provisioned.
func environmentOf(ctx caddy.Context) (*environment, error) {
	env, _ := ctx.Value(siteKey{}).(*environment)
	if env == nil || env.consistency == nil {
		return nil, fmt.Errorf("this member holds no folders, so it can't know what is replicated")
	}
	return env, nil
}

// foldersOfRoots are the folders that hold one of the site's roots; all if none does.
func (e *environment) foldersOfRoots() []farm.FolderID {
	var in []farm.FolderID
	for _, f := range slices.Sorted(maps.Keys(e.folders)) {
		if slices.ContainsFunc(e.roots, func(root string) bool { return within(root, e.folders[f]) }) {
			in = append(in, f)
		}
	}
	if in == nil {
		in = slices.Sorted(maps.Keys(e.folders))
	}
	return in
}

func within(path, dir string) bool {
	_, inside := relative(path, dir)
	return inside
}

// relative is the path from dir, with slashes, if it is inside.
func relative(path, dir string) (rel string, inside bool) {
	rel, err := filepath.Rel(dir, path)
	return filepath.ToSlash(rel), err == nil && filepath.IsLocal(rel)
}
