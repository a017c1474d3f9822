package farm

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// MaxVisitBytes bounds a signed Visit.
const MaxVisitBytes = 2*MaxSessionBytes + 256

// Visit is what a visitor brings from node to node: the cookie. Its zero value asks for nothing.
type Visit struct {
	Wrote Session // includes what the visitor's own requests have written
	Saw   Session // includes what answers may have shown besides, whoever wrote it
	// At is a member on whose disk all of that is visible, even if its applied vector says less: it has shown it. Empty:
	// none is known.
	At MemberID
}

// IsZero tells whether v asks for nothing.
func (v Visit) IsZero() bool { return len(v.Wrote) == 0 && len(v.Saw) == 0 }

// All includes what was written and what was seen.
func (v Visit) All() Session { return v.Wrote.Join(v.Saw) }

// Join returns the visit that asks for what v or w asks for.
func (v Visit) Join(w Visit) Visit {
	switch {
	case v.IsZero():
		return w
	case w.IsZero():
		return v
	}
	j := Visit{Wrote: v.Wrote.Join(w.Wrote), Saw: v.Saw.Join(w.Saw)}
	if v.At == w.At {
		j.At = v.At
	}
	return j
}

// The parts of a visit's text. None of them occurs in a session's.
const (
	visitPart = "*"
	visitSign = "~"
)

// String is the written session, or "written*at*seen" when there is more to say. It can stand in a cookie or a header.
func (v Visit) String() string {
	s := v.Wrote.String()
	if len(v.Saw) > 0 || v.At != "" {
		s += visitPart + string(v.At) + visitPart + v.Saw.String()
	}
	return s
}

// Sign is the text with a proof that a holder of the key wrote it (HMAC-SHA256, of which 128 bits are kept).
func (v Visit) Sign(key []byte) string {
	text := v.String()
	return text + visitSign + signature(text, key)
}

// ErrUnsigned is that of a visit which no holder of the key has written.
var ErrUnsigned = errors.New("it is not signed by this farm")

// OpenVisit is the inverse of Sign. What is not signed with the key asks for nothing; nil: whatever it says is believed,
// by one who loses nothing if it is made up. Of what is too long or not understood the rest counts, as in ParseSession.
func OpenVisit(signed string, key []byte) (Visit, error) {
	if len(signed) > MaxVisitBytes {
		return Visit{}, errors.New("it is too long")
	}
	text, mac, _ := strings.Cut(signed, visitSign)
	if key != nil && !hmac.Equal([]byte(mac), []byte(signature(text, key))) {
		return Visit{}, ErrUnsigned
	}
	wrote, more, _ := strings.Cut(text, visitPart)
	at, saw, _ := strings.Cut(more, visitPart)
	var v Visit
	var err, errSaw, errAt error
	v.Wrote, err = ParseSession(wrote)
	v.Saw, errSaw = ParseSession(saw)
	if at != "" {
		v.At, errAt = ParseMemberID(at)
	}
	return v, errors.Join(err, errSaw, errAt)
}

func signature(text string, key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	var sum [sha256.Size]byte
	return base64.RawURLEncoding.EncodeToString(mac.Sum(sum[:0])[:16])
}
