package farm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Where a visitor's session travels.
const (
	SessionCookie = "tandem-position" // set by nodes, sent by browsers
	SessionHeader = "Tandem-Position" // the same for API clients, in answers and requests
)

// CacheHeader is in a request to a node when the edge may keep the answer ("ask"); in the node's answer it is the Session
// as of which that is right, if it may be kept; in the visitor's it says that it was ("hit").
const CacheHeader = "Tandem-Cache"

// MaxSessionPositions and MaxSessionBytes bound a Session and its String.
const (
	MaxSessionPositions = 48
	MaxSessionBytes     = 1400
)

// Session is what a visitor has written, or seen: per folder, changes that an answer to this visitor must include.
// The zero value asks for nothing.
type Session map[FolderID]Vector

// ParseSession is the inverse of String. What it does not understand, or what is beyond the bounds, is left out and
// named by the error: the rest is valid and useful.
func ParseSession(s string) (Session, error) {
	if s == "" {
		return nil, nil
	}
	if len(s) > MaxSessionBytes {
		return nil, fmt.Errorf("a session of %d bytes is longer than %d", len(s), MaxSessionBytes)
	}
	var first error
	session, left := Session{}, MaxSessionPositions
	for part := range strings.SplitSeq(s, "/") {
		name, text, _ := strings.Cut(part, ":")
		f, err := ParseFolderID(name)
		if err == nil {
			var v Vector
			if v, err = ParseVector(text); err == nil && v.Len() > left {
				err = fmt.Errorf("a session has more than %d positions", MaxSessionPositions)
			}
			if err == nil && v.Len() > 0 {
				left -= v.Len()
				session[f] = session[f].Join(v)
			}
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return session, first
}

// String is "folder:vector" per folder, joined by "/", in order of the names; nothing is "". It can stand in a cookie
// or a header as it is. Positions beyond the bounds are left out.
func (s Session) String() string {
	var b strings.Builder
	left := MaxSessionPositions
	for _, f := range slices.Sorted(maps.Keys(s)) {
		var v Vector
		for p := range s[f].All() {
			if left > 0 {
				v, left = v.With(p), left-1
			}
		}
		part := string(f) + ":" + v.String()
		if v.Len() == 0 || b.Len()+len("/")+len(part) > MaxSessionBytes {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('/')
		}
		b.WriteString(part)
	}
	return b.String()
}

// Join returns the session that includes what s or t includes.
func (s Session) Join(t Session) Session {
	if len(s) == 0 {
		return t
	}
	if len(t) == 0 {
		return s
	}
	j := maps.Clone(s)
	for f, v := range t {
		j[f] = j[f].Join(v)
	}
	return j
}
