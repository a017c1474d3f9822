package wire

import (
	"math"
	"strconv"
	"strings"

	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

func (r *reader) changes(c *pb.Changes) Changes {
	m := Changes{Folder: r.folder("changes.folder", c.GetFolder())}
	if !r.limit("changes.entries", len(c.GetEntries()), MaxEntries) {
		return m
	}
	m.List = make([]farm.Change, len(c.GetEntries()))
	for i, e := range c.GetEntries() {
		if r.err != nil {
			break
		}
		sub := reader{op: r.op, actors: r.actors, positions: r.positions}
		m.List[i] = sub.change(e)
		r.positions = sub.positions
		if sub.err != nil {
			r.err = within("changes.entries["+strconv.Itoa(i)+"].", sub.err)
		}
	}
	return m
}

// move checks that the two names can be those of a renamed directory, and that no number is left out.
func (r *reader) move(p *pb.Move) Move {
	m := Move{Folder: r.folder("move.folder", p.GetFolder()), Move: farm.Move{
		From: r.path("move.from", p.GetFrom()), To: r.path("move.to", p.GetTo()),
		First: farm.Position{Actor: r.actor("move.actor", p.GetActor()), Seq: farm.Seq(p.GetFirst())}, Count: int(p.GetCount()),
		Time: farm.HLC(p.GetTime()), Digest: r.digest("move.digest", p.GetDigest()),
		Sent: moment(p.GetSent())}}
	switch {
	case m.From.IsRoot() || m.To.IsRoot() || m.From == m.To || m.From.Under(m.To) || m.To.Under(m.From):
		r.fail("move.to", "%q can't become %q", m.From, m.To)
	case p.GetActor() == 0 || m.First.Seq == 0 || m.First.Seq > math.MaxUint64-2*MaxMoved:
		r.fail("move.first", "it names nobody or no change")
	case m.Count < 1 || m.Count > MaxMoved:
		r.fail("move.count", "%d are none, or more than %d", m.Count, MaxMoved)
	case m.Digest.IsZero():
		r.fail("move.digest", "it has none")
	}
	return m
}

// within puts the place of an element before the field in its error.
func within(place string, err error) error {
	if e, ok := err.(*farm.Error); ok {
		e.Path = place + e.Path
	}
	return err
}

func (r *reader) change(e *pb.Entry) farm.Change {
	c := farm.Change{Entry: farm.Entry{Path: r.path("path", e.GetPath()), Attr: r.attr(e), Version: r.version(e)}}
	c.Sent = moment(e.GetSent())
	if e.Content == nil {
		return c
	}
	switch n := len(e.Content); {
	case c.Entry.Type != farm.File:
		r.fail("content", "a %v has none", c.Entry.Type)
	case n > farm.InlineBytes:
		r.fail("content", "%d bytes are more than %d", n, farm.InlineBytes)
	case int64(n) != c.Entry.Size:
		r.fail("content", "%d bytes for a size of %d", n, c.Entry.Size)
	}
	c.Content = e.Content
	return c
}

// attr checks that the attributes are those of the type and no others.
func (r *reader) attr(e *pb.Entry) farm.Attr {
	a := farm.Attr{
		Type: farm.Type(e.GetType()),
		Mode: e.GetMode(),
		Owner: farm.Owner{UID: e.GetUid(), GID: e.GetGid(), User: r.text("user", e.GetUser(), MaxOwnerBytes),
			Group: r.text("group", e.GetGroup(), MaxOwnerBytes)},
		MTime:  e.GetMtime(),
		Size:   e.GetSize(),
		Digest: r.digest("digest", e.GetDigest()),
		Target: r.text("target", e.GetTarget(), farm.MaxPathBytes),
		XAttrs: r.xattrs("xattrs", e.GetXattrs()),
	}
	file, link := e.GetType() == pb.Type_FILE, e.GetType() == pb.Type_SYMLINK
	switch {
	case e.GetType() < pb.Type_ABSENT || e.GetType() > pb.Type_SYMLINK:
		r.fail("type", "%d is not known", e.GetType())
	case a.Mode&^(farm.ModeBits|farm.SpecialBits) != 0:
		r.fail("mode", "%o has bits that are not replicated", a.Mode)
	case a.Size < 0 || a.Size > 0 && !file:
		r.fail("size", "a %v of %d bytes", a.Type, a.Size)
	case a.Digest.IsZero() == file:
		r.fail("digest", "a file has one, nothing else does")
	case (a.Target == "") == link:
		r.fail("target", "a symlink has one, nothing else does")
	case strings.IndexByte(a.Target, 0) >= 0:
		r.fail("target", "it holds a NUL byte")
	}
	return a
}

func (r *reader) xattrs(field string, b []byte) farm.XAttrs {
	if !r.limit(field, len(b), farm.MaxXAttrBytes) {
		return farm.XAttrs{}
	}
	x, err := farm.ParseXAttrs(string(b))
	if err != nil {
		r.fail(field, "%w", err)
	}
	return x
}

func (r *reader) version(e *pb.Entry) farm.Version {
	v := farm.Version{
		Dot:    farm.Position{Actor: r.actor("actor", e.GetActor()), Seq: farm.Seq(e.GetSeq())},
		Time:   farm.HLC(e.GetTime()),
		Vector: r.vectorOf("vector", e.GetVectorActors(), e.GetVectorSeqs()),
		Lost:   r.list("lost", e.GetLostActors(), e.GetLostSeqs(), farm.MaxLost),
	}
	switch {
	case e.GetActor() == 0 || v.Dot.Seq == 0:
		r.fail("dot", "it names nobody or no change")
	case !v.Vector.Covers(v.Dot):
		r.fail("vector", "it does not include the version's own dot")
	}
	v.Content, v.Meta = r.stamp("content_stamp", v, e.GetContentStamp()), r.stamp("meta_stamp", v, e.GetMetaStamp())
	return v
}

func (r *reader) stamp(field string, v farm.Version, s *pb.Stamp) farm.Stamp {
	if s == nil {
		return v.Stamp()
	}
	return farm.Stamp{Dot: farm.Position{Actor: r.actor(field, s.GetActor()), Seq: farm.Seq(s.GetSeq())},
		Time: farm.HLC(s.GetTime())}
}
