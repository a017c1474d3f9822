package web

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/farm"
)

// BehindHeader marks an answer that may lack what the visitor has seen before: nobody who is up has it.
const BehindHeader = "Tandem-Behind"

// moment is how long a request waits for what is on its way before it is passed to a member that has it. Most changes take
// some milliseconds.
const moment = 100 * time.Millisecond

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (m *readYourWrites) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if m.Mode == modeEventual {
		return next.ServeHTTP(w, r)
	}
	visit := m.visit(r)
	lost := false
	if !visit.IsZero() && !m.fresh(r, visit) {
		switch m.elsewhere(w, r, visit) {
		case answered:
			return nil
		case reset:
			lost = true
			w.Header().Set(BehindHeader, visit.Saw.String())
			visit = farm.Visit{Wrote: visit.Wrote}
		}
	}
	if !safe(r.Method) {
		wr := &write{env: m.env, folders: m.Folders, confirm: m.confirm}
		return wr.serve(w, r, next, m.Buffer, func(at positions) {
			m.give(w.Header(), r, visit, m.include(r, at.session(), visit), lost)
		})
	}
	marked := newMarked(w, func() {
		if lost || !cacheable(w.Header()) { // an answer for everybody's caches is none to this visitor
			m.give(w.Header(), r, visit, m.include(r, nil, visit), lost)
		}
	})
	err := next.ServeHTTP(marked, r)
	marked.begin() // if err is not nil, the routes for errors write the answer, with the headers that are there now
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

// visit is what the visitor brings, as far as it is about folders of this site. Nothing is allocated for a visitor who
// brings nothing.
func (m *readYourWrites) visit(r *http.Request) farm.Visit {
	var all farm.Visit
	for _, line := range r.Header["Cookie"] {
		if strings.Contains(line, farm.SessionCookie) {
			for _, c := range r.CookiesNamed(farm.SessionCookie) {
				v, _ := farm.OpenVisit(c.Value, m.env.key) // what is malformed asks for nothing
				all = all.Join(v)
			}
			break
		}
	}
	for _, value := range r.Header[farm.SessionHeader] {
		v, _ := farm.OpenVisit(value, m.env.key)
		all = all.Join(v)
	}
	if all.IsZero() {
		return farm.Visit{}
	}
	return farm.Visit{Wrote: m.ours(all.Wrote), Saw: m.ours(all.Saw), At: all.At}
}

// ours is what of a session is about folders of this site.
func (m *readYourWrites) ours(s farm.Session) farm.Session {
	ours := farm.Session{}
	left := farm.MaxSessionPositions
	for _, f := range m.Folders {
		for p := range s[f].All() {
			if left--; left >= 0 {
				ours[f] = ours[f].With(p)
			}
		}
	}
	return ours
}

// fresh tells whether this member may answer, after a moment if need be: it has all that the visitor has written and seen.
func (m *readYourWrites) fresh(r *http.Request, v farm.Visit) bool {
	if v.At == m.env.self && m.reached(v.All()) {
		return true
	}
	return m.current(r.Context(), v.All(), min(moment, time.Duration(m.Wait)))
}

// reached tells whether all of it may have been visible here before.
func (m *readYourWrites) reached(s farm.Session) bool {
	for f, v := range s {
		if !m.env.consistency.Reached(f, v) {
			return false
		}
	}
	return true
}

// current waits, for a bounded time, until this member has what the session asks for.
func (m *readYourWrites) current(ctx context.Context, s farm.Session, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
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

// way is how a request goes on that this member can't answer yet.
type way int

const (
	answered way = iota // it has been: by another member, or by saying so
	here                // what was lacking has arrived
	reset               // what the visitor has seen is nowhere to be had now; what the visitor has written is here
)

// elsewhere has a member answer that has what the visitor asks for. If there is none, it waits for the rest of the time.
func (m *readYourWrites) elsewhere(w http.ResponseWriter, r *http.Request, v farm.Visit) way {
	if r.Context().Err() != nil {
		return answered // the visitor has left
	}
	if m.env.forward(w, r, m.holders(v)) {
		return answered
	}
	if rest := time.Duration(m.Wait) - moment; rest > 0 {
		if m.current(r.Context(), v.All(), rest) {
			return here
		}
		if r.Context().Err() != nil || m.env.forward(w, r, m.holders(v)) {
			return answered
		}
	}
	if len(v.Saw) > 0 && m.current(r.Context(), v.Wrote, 0) {
		m.env.log.Info("nobody who is up has what a visitor has seen", "host", r.Host, "seen", v.Saw.String())
		return reset
	}
	m.env.log.Warn("a visitor's own changes have not arrived in time", "host", r.Host, "positions", v.Wrote.String())
	late(w)
	return answered
}

// forward has one of the members answer, and tells whether one did.
func (e *environment) forward(w http.ResponseWriter, r *http.Request, to []farm.MemberID) bool {
	if e.forwarder == nil || r.Header.Get(ForwardedHeader) != "" || len(to) == 0 {
		return false
	}
	out := r.Clone(r.Context())
	toMember(out, e.self)
	for _, member := range to {
		err := e.forwarder.Forward(r.Context(), member, w, out)
		if err == nil {
			return true
		}
		e.log.Warn("could not pass a request on", "member", member, "error", err)
		if r.Body != nil && r.Body != http.NoBody {
			break // the body may be gone
		}
	}
	return false
}

// holders are the members that have everything.
func (m *readYourWrites) holders(v farm.Visit) []farm.MemberID {
	all := m.env.holders(v.All())
	if at := v.At; at != "" && at != m.env.self && !slices.Contains(all, at) && m.env.consistency.Linked(at) {
		all = append(all, at)
	}
	return all
}

// holders are the other members that have applied all of it.
func (e *environment) holders(s farm.Session) []farm.MemberID {
	var all []farm.MemberID
	first := true
	for f, v := range s {
		for p := range v.All() {
			have := e.consistency.Holders(f, p)
			if first {
				all, first = slices.Clone(have), false
				continue
			}
			all = slices.DeleteFunc(all, func(id farm.MemberID) bool { return !slices.Contains(have, id) })
		}
	}
	return slices.DeleteFunc(all, func(id farm.MemberID) bool { return id == e.self })
}

// include is what the visitor's next answer must include: what was written, now and before, and what this answer may
// show, as far as not every node has it.
func (m *readYourWrites) include(r *http.Request, wrote farm.Session, before farm.Visit) farm.Visit {
	saw := m.seen(r)
	if len(wrote) == 0 && len(before.Wrote) == 0 {
		return farm.Visit{Saw: saw, At: m.env.self}
	}
	if wrote == nil {
		wrote = farm.Session{}
	}
	wrote = m.rest(m.join(wrote, before.Wrote))
	for f, v := range saw {
		for p := range v.All() {
			if wrote[f].Covers(p) {
				v = v.Capped(p.Actor, 0)
			}
		}
		if saw[f] = v; v.Len() == 0 {
			delete(saw, f)
		}
	}
	return farm.Visit{Wrote: wrote, Saw: saw, At: m.env.self}
}

// give gives the visitor what the next answer must include, unless it asks for no more than what the visitor has. lost:
// what the visitor has must go.
func (m *readYourWrites) give(h http.Header, r *http.Request, before, after farm.Visit, lost bool) {
	has := asksFor(before.All(), after.All()) && asksFor(before.Wrote, after.Wrote)
	if has && !lost {
		return
	}
	cookie := http.Cookie{
		Name: farm.SessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteLaxMode,
	}
	if !after.IsZero() {
		cookie.Value, cookie.MaxAge = after.Sign(m.env.key), int(cookieTime/time.Second)
	}
	h.Set(farm.SessionHeader, cookie.Value)
	h.Add("Set-Cookie", cookie.String())
}

// asksFor tells whether s includes all of t.
func asksFor(s, t farm.Session) bool {
	for f, v := range t {
		if !s[f].CoversAll(v) {
			return false
		}
	}
	return true
}

// seen is what an answer that leaves now may show, as far as not every node has it. While requests are writing on this
// node, what they have written may have no number yet. The answer to a write comes after a barrier of its own.
func (m *readYourWrites) seen(r *http.Request) farm.Session {
	ctx, cancel := context.WithTimeout(r.Context(), barrierTime)
	defer cancel()
	var s farm.Session
	for _, f := range m.Folders {
		reach := m.env.consistency.Reach(ctx, f, safe(r.Method) && m.env.writing(f).Load() > 0)
		if rest := m.env.consistency.Rest(f, reach); rest.Len() > 0 {
			if s == nil {
				s = farm.Session{}
			}
			s[f] = rest
		}
	}
	return s
}

// rest is what of a session not every node has.
func (m *readYourWrites) rest(s farm.Session) farm.Session {
	for f, v := range s {
		if v = m.env.consistency.Rest(f, v); v.Len() > 0 {
			s[f] = v
		} else {
			delete(s, f)
		}
	}
	return s
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

// unavailable sets the headers of a 503 of ours.
func unavailable(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
}

// late answers a visitor whose own changes are not to be had.
func late(w http.ResponseWriter) {
	unavailable(w.Header())
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, "Your latest changes have not arrived at this server yet. Please try again in a moment.\n")
}

// cacheable tells whether the author of an answer lets caches give it to everybody: then it may be of any age anyway.
func cacheable(h http.Header) bool {
	for _, v := range h["Cache-Control"] {
		for d := range strings.SplitSeq(v, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(d), "=")
			switch strings.ToLower(name) {
			case "public", "s-maxage", "immutable":
				return true
			}
		}
	}
	return false
}
