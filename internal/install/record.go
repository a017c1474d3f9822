package install

import (
	"encoding/json"
	"errors"
	"unicode/utf8"

	"tandem/internal/farm"
)

// text is a string of any bytes in JSON: plain where it is UTF-8, else as {"base64": ...}.
type text string

type textBytes struct {
	Bytes []byte `json:"base64"`
}

func (t text) MarshalJSON() ([]byte, error) {
	if utf8.ValidString(string(t)) {
		return json.Marshal(string(t))
	}
	return json.Marshal(textBytes{[]byte(t)})
}

func (t *text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	var v textBytes
	err := json.Unmarshal(b, &v)
	*t = text(v.Bytes)
	return err
}

// attrRecord is a farm.Attr on disk.
type attrRecord struct {
	Type   string `json:"type"`
	Mode   uint32 `json:"mode,omitempty"`
	UID    uint32 `json:"uid"`
	GID    uint32 `json:"gid"`
	User   text   `json:"user,omitempty"`
	Group  text   `json:"group,omitempty"`
	MTime  int64  `json:"mtime_ns,omitempty"`
	Size   int64  `json:"size,omitempty"`
	Digest string `json:"digest,omitempty"`
	Target text   `json:"target,omitempty"`
	XAttrs []byte `json:"xattrs,omitempty"` // farm.XAttrs.Encoded
}

func recordOf(a farm.Attr) attrRecord {
	r := attrRecord{
		Type: a.Type.String(), Mode: a.Mode, UID: a.Owner.UID, GID: a.Owner.GID, User: text(a.Owner.User),
		Group: text(a.Owner.Group), MTime: a.MTime, Size: a.Size, Target: text(a.Target),
		XAttrs: []byte(a.XAttrs.Encoded()),
	}
	if !a.Digest.IsZero() {
		r.Digest = a.Digest.String()
	}
	return r
}

func (r attrRecord) attr() (farm.Attr, error) {
	a := farm.Attr{
		Mode: r.Mode, Owner: farm.Owner{UID: r.UID, GID: r.GID, User: string(r.User), Group: string(r.Group)},
		MTime: r.MTime, Size: r.Size, Target: string(r.Target),
	}
	for _, t := range []farm.Type{farm.File, farm.Dir, farm.Symlink} {
		if r.Type == t.String() {
			a.Type = t
		}
	}
	var err error
	if a.XAttrs, err = farm.ParseXAttrs(string(r.XAttrs)); err != nil || r.Digest == "" {
		return a, err
	}
	a.Digest, err = farm.ParseDigest(r.Digest)
	return a, err
}

// lost names the version that is preserved, why, and what took its place.
type lost struct {
	farm.Stamp
	Why farm.Reason // empty: ReasonConflict
	By  farm.Stamp
}

// lostOf is what a plan keeps of what it takes out of the tree; nil: nothing.
func (k *Keeper) lostOf(plan farm.Plan) *lost {
	switch {
	case plan.Preserve != nil:
		v := plan.Preserve.Version
		return &lost{farm.Stamp{Dot: v.Dot, Time: v.Time}, plan.Why, plan.By}
	case plan.Want.Type == farm.Absent && k.cfg.KeepDeleted:
		return &lost{plan.Expect.Content, farm.ReasonDeleted, plan.By}
	}
	return nil
}

type lostRecord struct {
	Dot   string      `json:"dot"`
	Time  farm.HLC    `json:"time"`
	Why   farm.Reason `json:"why,omitempty"`
	By    string      `json:"by,omitempty"`
	ByHLC farm.HLC    `json:"by_time,omitempty"`
}

func (l *lost) record() *lostRecord {
	if l == nil {
		return nil
	}
	return &lostRecord{dotText(l.Dot), l.Time, l.Why, dotText(l.By.Dot), l.By.Time}
}

func (r *lostRecord) lost() (*lost, error) {
	if r == nil {
		return nil, nil
	}
	dot, err1 := parseDot(r.Dot)
	by, err2 := parseDot(r.By)
	return &lost{farm.Stamp{Dot: dot, Time: r.Time}, r.Why, farm.Stamp{Dot: by, Time: r.ByHLC}}, errors.Join(err1, err2)
}

// moveRecord is a move but for its new name, which is the path of its line.
type moveRecord struct {
	From   text          `json:"from"`
	First  farm.Position `json:"first"`
	Count  int           `json:"count"`
	Time   farm.HLC      `json:"time"`
	Digest string        `json:"digest"`
	Ino    uint64        `json:"ino"`
}

func (m *moveIntent) record() *moveRecord {
	return &moveRecord{From: text(m.From.String()), First: m.First, Count: m.Count, Time: m.Time, Digest: m.Digest.String(), Ino: m.ino}
}

func (r *moveRecord) move(to farm.Path) (*moveIntent, error) {
	if r == nil {
		return nil, farm.Errorf("read intent", to.String(), farm.Corrupt, "a move of nothing")
	}
	m := &moveIntent{Move: farm.Move{To: to, First: r.First, Count: r.Count, Time: r.Time}, ino: r.Ino}
	var errs [2]error
	m.From, errs[0] = farm.ParsePath(string(r.From))
	m.Digest, errs[1] = farm.ParseDigest(r.Digest)
	return m, errors.Join(errs[:]...)
}

func stampRecord(s farm.Stamp) *lostRecord {
	if s == (farm.Stamp{}) {
		return nil
	}
	return &lostRecord{Dot: dotText(s.Dot), Time: s.Time}
}

func (r *lostRecord) stamp() (farm.Stamp, error) {
	if r == nil {
		return farm.Stamp{}, nil
	}
	dot, err := parseDot(r.Dot)
	return farm.Stamp{Dot: dot, Time: r.Time}, err
}

// dotText is "" for no version: that of a write which nobody has seen has no name.
func dotText(p farm.Position) string {
	if p.IsZero() {
		return ""
	}
	return p.String()
}

func parseDot(s string) (farm.Position, error) {
	if s == "" {
		return farm.Position{}, nil
	}
	return farm.ParsePosition(s)
}
