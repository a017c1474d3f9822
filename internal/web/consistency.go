package web

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Consistency is what read_your_writes knows of the folders.
type Consistency interface {
	// Barrier returns this member's position in its own feed that includes everything written to the folder before the
	// call. It is zero if this member has never written.
	Barrier(ctx context.Context, f farm.FolderID) (farm.Position, error)
	// Wait returns nil once this member's applied vector covers the position, at once if it does so already, whatever
	// became of ctx.
	Wait(ctx context.Context, f farm.FolderID, p farm.Position) error
	// Holders are the other members that are up and whose applied vector covers the position, best first.
	Holders(f farm.FolderID, p farm.Position) []farm.MemberID
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
})

// readYourWrites is the handler of the directive. See doc.go for what it promises.
type readYourWrites struct {
	Folders []farm.FolderID `json:"folders,omitempty"` // none: those that hold the site's roots, or else all
	Wait    caddy.Duration  `json:"wait,omitempty"`
	Buffer  int64           `json:"buffer,omitempty"` // bytes

	env *environment
}

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
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := &readYourWrites{Wait: caddy.Duration(defaultWait), Buffer: defaultBuffer}
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
		default:
			return d.Errf("%s has no option %q: known are wait, buffer", directive, option)
		}
	}
	return nil
}

// Provision implements caddy.Provisioner.
func (m *readYourWrites) Provision(ctx caddy.Context) error {
	m.env, _ = ctx.Value(siteKey{}).(*environment)
	if m.env == nil || m.env.consistency == nil {
		return fmt.Errorf("this member holds no folders, so it can't know what is replicated")
	}
	for _, f := range m.Folders {
		if _, ok := m.env.folders[f]; !ok {
			return fmt.Errorf("there is no folder %q: known are %v", f, slices.Sorted(maps.Keys(m.env.folders)))
		}
	}
	if len(m.Folders) == 0 {
		m.Folders = m.env.foldersOfRoots()
	}
	return nil
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
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (m *readYourWrites) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	session := m.session(r)
	if len(session) > 0 && !m.current(r.Context(), session) {
		m.elsewhere(w, r, session)
		return nil
	}
	if safe(r.Method) {
		return next.ServeHTTP(w, r)
	}
	held := hold(w, m.Buffer, func() { m.barrier(w.Header(), r, session) })
	err := next.ServeHTTP(held, r)
	held.release() // if err is not nil, the routes for errors write the answer, with the headers that are there now
	return err
}

// safe tells whether a method asks for nothing to be changed.
//
// RFC 9110, section 9.2.1.
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// session is what the visitor brings, as far as it is about folders of this site. Nothing is allocated for a visitor
// who brings nothing.
func (m *readYourWrites) session(r *http.Request) farm.Session {
	var all farm.Session
	for _, line := range r.Header["Cookie"] {
		if strings.Contains(line, farm.SessionCookie) {
			for _, c := range r.CookiesNamed(farm.SessionCookie) {
				s, _ := farm.ParseSession(c.Value) // what is malformed asks for nothing
				all = all.Join(s)
			}
			break
		}
	}
	for _, value := range r.Header[farm.SessionHeader] {
		s, _ := farm.ParseSession(value)
		all = all.Join(s)
	}
	if len(all) == 0 {
		return nil
	}
	ours := farm.Session{}
	left := farm.MaxSessionPositions
	for _, f := range m.Folders {
		for p := range all[f].All() {
			if left--; left >= 0 {
				ours[f] = ours[f].With(p)
			}
		}
	}
	return ours
}

// current waits, for a bounded time, until this member has what the session asks for.
func (m *readYourWrites) current(ctx context.Context, s farm.Session) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(m.Wait))
	defer cancel()
	for f, v := range s {
		for p := range v.All() {
			if err := m.env.consistency.Wait(ctx, f, p); err != nil {
				return false
			}
		}
	}
	return true
}

// elsewhere answers by a member that has what the session asks for; if there is none it says so.
func (m *readYourWrites) elsewhere(w http.ResponseWriter, r *http.Request, s farm.Session) {
	if r.Context().Err() != nil {
		return // the visitor has left
	}
	if m.env.forwarder != nil && r.Header.Get(ForwardedHeader) == "" {
		out := r.Clone(r.Context())
		toMember(out, m.env.self)
		for _, holder := range m.holders(s) {
			err := m.env.forwarder.Forward(r.Context(), holder, w, out)
			if err == nil {
				return
			}
			m.env.log.Warn("could not pass a request on", "member", holder, "error", err)
			if r.Body != nil && r.Body != http.NoBody {
				break // the body may be gone
			}
		}
	}
	m.env.log.Warn("a visitor's own changes have not arrived in time", "host", r.Host, "positions", s.String())
	h := w.Header()
	h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, "Your latest changes have not arrived at this server yet. Please try again in a moment.\n")
}

// holders are the members that have everything.
func (m *readYourWrites) holders(s farm.Session) []farm.MemberID {
	var all []farm.MemberID
	first := true
	for f, v := range s {
		for p := range v.All() {
			have := m.env.consistency.Holders(f, p)
			if first {
				all, first = slices.Clone(have), false
				continue
			}
			all = slices.DeleteFunc(all, func(id farm.MemberID) bool { return !slices.Contains(have, id) })
		}
	}
	return slices.DeleteFunc(all, func(id farm.MemberID) bool { return id == m.env.self })
}

// barrier takes the position behind everything that the request has written, and gives it to the visitor.
func (m *readYourWrites) barrier(h http.Header, r *http.Request, before farm.Session) {
	ctx, cancel := context.WithTimeout(r.Context(), barrierTime)
	defer cancel()
	at := make([]farm.Position, len(m.Folders))
	var wg sync.WaitGroup
	for i, f := range m.Folders {
		wg.Go(func() {
			p, err := m.env.consistency.Barrier(ctx, f)
			if err != nil {
				// The write has happened, so the answer stands; but other members may be without it for a moment.
				m.env.log.Warn("an answer leaves without a position", "folder", f, "host", r.Host, "error", err)
				return
			}
			at[i] = p
		})
	}
	wg.Wait()
	after := farm.Session{}
	for i, f := range m.Folders {
		if !at[i].IsZero() {
			after[f] = farm.VectorOf(at[i])
		}
	}
	after = m.join(after, before)
	if len(after) == 0 {
		return
	}
	text := after.String()
	h.Set(farm.SessionHeader, text)
	h.Add("Set-Cookie", (&http.Cookie{
		Name: farm.SessionCookie, Value: text, Path: "/", MaxAge: int(cookieTime / time.Second),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	}).String())
}

// join adds to the new positions those from before, as many as a session takes. Of a member's epochs the last two count:
// the feed of the one before may still be on its way when the first of the next arrives.
func (m *readYourWrites) join(now, before farm.Session) farm.Session {
	left := farm.MaxSessionPositions - len(now)
	for _, f := range m.Folders {
		fresh := now[f]
		for p := range before[f].All() {
			later := 0
			for q := range before[f].Join(fresh).All() {
				if q.Actor.Member == p.Actor.Member && q.Actor.Epoch > p.Actor.Epoch {
					later++
				}
			}
			if !fresh.Covers(p) && later < 2 && left > 0 {
				now[f] = now[f].With(p)
				left--
			}
		}
	}
	return now
}
