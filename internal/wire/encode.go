package wire

import (
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

// Encode turns a message into a frame. Error farm.Invalid if a limit of the frame is exceeded.
func Encode(m Message) (*pb.Frame, error) {
	w := writer{}
	var f pb.Frame
	switch m := m.(type) {
	case Hello:
		f.Body = &pb.Frame_Hello{Hello: &pb.Hello{Name: string(m.Name), ProtocolMin: m.ProtocolMin,
			ProtocolMax: m.ProtocolMax, Version: []byte(m.Version), Farm: m.Farm, Now: nanos(m.Now), Boot: m.Boot}}
	case Beat:
		f.Body = &pb.Frame_Beat{Beat: &pb.Beat{Number: m.Number, Echo: m.Echo, Held: int64(m.Held), Now: nanos(m.Now)}}
	case State:
		f.Body = &pb.Frame_State{State: w.state(m.MemberState)}
	case Heard:
		f.Body = &pb.Frame_Heard{Heard: w.state(m.MemberState)}
	case Changes:
		f.Body = &pb.Frame_Changes{Changes: w.changes(m)}
	case Move:
		f.Body = &pb.Frame_Move{Move: w.move(m)}
	case Want:
		f.Body = &pb.Frame_Want{Want: &pb.Known{Folder: string(m.Folder), Vector: w.vector(m.Known), Bare: m.Bare}}
	case Have:
		f.Body = &pb.Frame_Have{Have: &pb.Known{Folder: string(m.Folder), Vector: w.vector(m.Known)}}
	}
	if len(w.actors) > MaxList {
		w.fail("actors", "%d actors are more than %d", len(w.actors), MaxList)
	}
	f.Actors = w.actors
	if n := proto.Size(&f); n > MaxFrameBytes {
		w.fail("frame", "%d bytes are more than %d", n, MaxFrameBytes)
	}
	if w.err != nil {
		return nil, w.err
	}
	return &f, nil
}

// writer collects the actors of a frame and the first error.
type writer struct {
	actors []*pb.Actor
	index  map[farm.Actor]uint32
	err    error
}

func (w *writer) fail(field, format string, args ...any) {
	if w.err == nil {
		w.err = farm.Errorf("encode frame", field, farm.Invalid, format, args...)
	}
}

func (w *writer) limit(field string, n, most int) {
	if n > most {
		w.fail(field, "%d are more than %d", n, most)
	}
}

// actor is the index of a in the frame.
func (w *writer) actor(a farm.Actor) uint32 {
	if a == (farm.Actor{}) {
		return 0
	}
	if i, ok := w.index[a]; ok {
		return i
	}
	if w.index == nil {
		w.index = make(map[farm.Actor]uint32)
	}
	w.actors = append(w.actors, &pb.Actor{Member: string(a.Member), Epoch: uint64(a.Epoch)})
	i := uint32(len(w.actors))
	w.index[a] = i
	return i
}

func (w *writer) positions(v farm.Vector) (actors []uint32, seqs []uint64) {
	if v.Len() == 0 {
		return nil, nil
	}
	w.limit("vector", v.Len(), MaxList)
	actors, seqs = make([]uint32, 0, v.Len()), make([]uint64, 0, v.Len())
	for p := range v.All() {
		actors, seqs = append(actors, w.actor(p.Actor)), append(seqs, uint64(p.Seq))
	}
	return actors, seqs
}

func (w *writer) vector(v farm.Vector) *pb.Vector {
	actors, seqs := w.positions(v)
	return &pb.Vector{Actors: actors, Seqs: seqs}
}

func (w *writer) changes(m Changes) *pb.Changes {
	w.limit("changes.entries", len(m.List), MaxEntries)
	out := &pb.Changes{Folder: string(m.Folder), Entries: make([]*pb.Entry, len(m.List))}
	entries := make([]pb.Entry, len(m.List)) // one allocation for all
	for i := range m.List {
		w.change(&m.List[i], &entries[i])
		out.Entries[i] = &entries[i]
	}
	return out
}

func (w *writer) move(m Move) *pb.Move {
	w.limit("move.count", m.Count, MaxMoved)
	return &pb.Move{Folder: string(m.Folder), From: []byte(m.From.String()), To: []byte(m.To.String()),
		Actor: w.actor(m.First.Actor), First: uint64(m.First.Seq), Count: uint32(m.Count), Time: uint64(m.Time), Digest: digestBytes(m.Digest), Sent: nanos(m.Sent)}
}

func (w *writer) change(c *farm.Change, out *pb.Entry) {
	e := &c.Entry
	out.Path = []byte(e.Path.String())
	out.Type, out.Mode, out.Mtime, out.Size = pb.Type(e.Type), e.Mode, e.MTime, e.Size
	out.Uid, out.Gid, out.User, out.Group = e.Owner.UID, e.Owner.GID, []byte(e.Owner.User), []byte(e.Owner.Group)
	out.Digest, out.Target = digestBytes(e.Digest), []byte(e.Target)
	if !e.XAttrs.IsZero() {
		out.Xattrs = []byte(e.XAttrs.Encoded())
	}

	v := &e.Version
	out.Actor, out.Seq, out.Time = w.actor(v.Dot.Actor), uint64(v.Dot.Seq), uint64(v.Time)
	out.VectorActors, out.VectorSeqs = w.positions(v.Vector)
	out.ContentStamp, out.MetaStamp = w.stamp(v, v.Content), w.stamp(v, v.Meta)
	w.limit("entry.lost", len(v.Lost), farm.MaxLost)
	for _, p := range v.Lost {
		out.LostActors, out.LostSeqs = append(out.LostActors, w.actor(p.Actor)), append(out.LostSeqs, uint64(p.Seq))
	}
	if c.Content != nil {
		w.limit("entry.content", len(c.Content), farm.InlineBytes)
		out.Content = c.Content
	}
	out.Sent = nanos(c.Sent)
}

// stamp leaves out what is the version's own.
func (w *writer) stamp(v *farm.Version, s farm.Stamp) *pb.Stamp {
	if s == v.Stamp() {
		return nil
	}
	return &pb.Stamp{Actor: w.actor(s.Dot.Actor), Seq: uint64(s.Dot.Seq), Time: uint64(s.Time)}
}

// state cuts what is for people, the faults and sites, to what may travel; what decisions depend on must fit.
func (w *writer) state(s farm.MemberState) *pb.State {
	out := &pb.State{Member: string(s.Member), Roles: roles(s.Roles), Draining: s.Draining, Version: []byte(s.Version)}
	v := &pb.Verdict{Revision: digestBytes(s.Verdict.Revision), Wanted: digestBytes(s.Verdict.Wanted),
		Since: nanos(s.Verdict.Since), Edits: uint32(s.Verdict.Edits)}
	for _, f := range s.Verdict.Faults[:min(len(s.Verdict.Faults), MaxList)] {
		v.Faults = append(v.Faults, []byte(cut(f)))
	}
	files := slices.Sorted(maps.Keys(s.Verdict.Sites))
	for _, file := range files[:min(len(files), MaxList)] {
		v.Sites = append(v.Sites, &pb.Site{File: []byte(file), Why: []byte(cut(s.Verdict.Sites[file]))})
	}
	out.Verdict = v
	w.limit("state.folders", len(s.Folders), MaxList)
	for _, id := range slices.Sorted(maps.Keys(s.Folders)) {
		f := s.Folders[id]
		out.Folders = append(out.Folders, &pb.Folder{Name: string(id), Actor: w.actor(f.Actor), Known: w.vector(f.Known),
			Applied: w.vector(f.Applied), Durable: w.vector(f.Durable), Entries: f.Entries, Waiting: f.Waiting, Paused: f.Paused, Braked: f.Braked,
			Bytes: f.Bytes, Seeding: uint32(f.Seeding), Forgot: w.vector(f.Forgot), Conflicts: f.Conflicts,
			Refused: []byte(cut(f.Refused))})
	}
	out.Number, out.TellsLinks = s.Number, s.Links != nil
	w.limit("state.links", len(s.Links), MaxList)
	for _, id := range s.Links {
		out.Links = append(out.Links, string(id))
	}
	return out
}

func roles(list []farm.Role) []pb.Role {
	var out []pb.Role
	for _, r := range list {
		switch r {
		case farm.RoleNode:
			out = append(out, pb.Role_NODE)
		case farm.RoleEdge:
			out = append(out, pb.Role_EDGE)
		default:
			out = append(out, pb.Role_NO_ROLE) // the other side says which field is wrong
		}
	}
	return out
}

// cut shortens text for people to what may travel.
func cut(s string) string { return s[:min(len(s), MaxTextBytes)] }

func digestBytes(d farm.Digest) []byte {
	if d.IsZero() {
		return nil
	}
	return d[:]
}

// nanos is the time in nanoseconds since 1970, the zero time being 0. Times that do not fit become the nearest.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Year() > 2261:
		return math.MaxInt64
	case t.Year() < 1678:
		return math.MinInt64
	}
	return t.UnixNano()
}
