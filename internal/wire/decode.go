package wire

import (
	"strings"
	"time"

	"tandem/internal/farm"
	"tandem/internal/wire/pb"
)

// Decode turns a frame into a message. Error farm.Invalid, with the field as its Path, if anything in it is not as
// package farm and the limits want it.
func Decode(f *pb.Frame) (Message, error) {
	r := reader{op: "decode frame"}
	r.table(f.GetActors())
	var m Message
	switch b := f.GetBody().(type) {
	case *pb.Frame_Hello:
		m = r.hello(b.Hello)
	case *pb.Frame_Beat:
		m = Beat{Number: b.Beat.GetNumber(), Echo: b.Beat.GetEcho(), Held: time.Duration(b.Beat.GetHeld()),
			Now: moment(b.Beat.GetNow())}
	case *pb.Frame_State:
		m = State{r.state(b.State)}
	case *pb.Frame_Heard:
		m = Heard{r.state(b.Heard)}
	case *pb.Frame_Changes:
		m = r.changes(b.Changes)
	case *pb.Frame_Move:
		m = r.move(b.Move)
	case *pb.Frame_Want:
		m = Want{r.folder("want.folder", b.Want.GetFolder()), r.vector("want.vector", b.Want.GetVector()), b.Want.GetBare()}
	case *pb.Frame_Have:
		m = Have{r.folder("have.folder", b.Have.GetFolder()), r.vector("have.vector", b.Have.GetVector())}
	default:
		r.fail("body", "it is missing or of an unknown kind")
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// reader checks and converts; it keeps the first error and gives zero values from then on.
type reader struct {
	op        string
	actors    []farm.Actor
	positions int // so far in this frame
	err       error
}

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = farm.Errorf(r.op, field, farm.Invalid, format, args...)
	}
}

// limit fails unless n is at most most.
func (r *reader) limit(field string, n, most int) bool {
	if n > most {
		r.fail(field, "%d are more than %d", n, most)
	}
	return n <= most
}

func (r *reader) text(field string, b []byte, most int) string {
	if !r.limit(field, len(b), most) {
		return ""
	}
	return string(b)
}

// blob is a copy, so that it does not hold the frame's memory.
func (r *reader) blob(field string, b []byte, most int) []byte {
	if !r.limit(field, len(b), most) || len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

func (r *reader) member(field, s string) farm.MemberID {
	id, err := farm.ParseMemberID(s)
	if err != nil {
		r.fail(field, "%w", err)
	}
	return id
}

// folder takes Tandem's own folders too, whose names begin with a dot.
func (r *reader) folder(field, s string) farm.FolderID {
	if _, err := farm.ParseFolderID(strings.TrimPrefix(s, ".")); err != nil {
		r.fail(field, "%w", err)
		return ""
	}
	return farm.FolderID(s)
}

func (r *reader) path(field string, b []byte) farm.Path {
	p, err := farm.ParsePath(string(b))
	switch {
	case err != nil:
		r.fail(field, "%w", err)
	case p.Private():
		r.fail(field, "%q is private to a member", p)
	}
	return p
}

func (r *reader) digest(field string, b []byte) (d farm.Digest) {
	if len(b) != 0 && len(b) != len(d) {
		r.fail(field, "%d bytes are no digest of %d", len(b), len(d))
		return d
	}
	copy(d[:], b)
	return d
}

func (r *reader) roles(field string, list []pb.Role) []farm.Role {
	var out []farm.Role
	if !r.limit(field, len(list), len(pb.Role_name)) {
		return nil
	}
	for _, x := range list {
		switch x {
		case pb.Role_NODE:
			out = append(out, farm.RoleNode)
		case pb.Role_EDGE:
			out = append(out, farm.RoleEdge)
		default:
			r.fail(field, "role %d is not known", x)
		}
	}
	return out
}

// table reads the actors of the frame.
func (r *reader) table(list []*pb.Actor) {
	if !r.limit("actors", len(list), MaxList) {
		return
	}
	r.actors = make([]farm.Actor, len(list))
	for i, a := range list {
		r.actors[i] = farm.Actor{Member: r.member("actors.member", a.GetMember()), Epoch: farm.Epoch(a.GetEpoch())}
	}
}

// actor is the one at an index of the frame; 0 is nobody.
func (r *reader) actor(field string, i uint32) farm.Actor {
	switch {
	case i == 0:
		return farm.Actor{}
	case int64(i) > int64(len(r.actors)):
		r.fail(field, "actor %d is not among the frame's %d", i, len(r.actors))
		return farm.Actor{}
	}
	return r.actors[i-1]
}

// list reads positions that each name somebody's change.
func (r *reader) list(field string, actors []uint32, seqs []uint64, most int) []farm.Position {
	if len(actors) != len(seqs) {
		r.fail(field, "%d actors for %d sequence numbers", len(actors), len(seqs))
		return nil
	}
	r.positions += len(actors)
	if !r.limit(field, len(actors), most) || !r.limit("frame.positions", r.positions, MaxFramePositions) || len(actors) == 0 {
		return nil
	}
	out := make([]farm.Position, len(actors))
	for i := range actors {
		out[i] = farm.Position{Actor: r.actor(field, actors[i]), Seq: farm.Seq(seqs[i])}
		if actors[i] == 0 || seqs[i] == 0 {
			r.fail(field, "a position names nobody or no change")
		}
	}
	return out
}

func (r *reader) vectorOf(field string, actors []uint32, seqs []uint64) farm.Vector {
	ps := r.list(field, actors, seqs, MaxList)
	if r.err != nil {
		return farm.Vector{}
	}
	v := joined(ps)
	if v.Len() != len(ps) {
		r.fail(field, "an actor stands in it twice")
	}
	return v
}

func (r *reader) vector(field string, v *pb.Vector) farm.Vector {
	return r.vectorOf(field, v.GetActors(), v.GetSeqs())
}

// joined is farm.VectorOf in n log n instead of n * n steps: these bytes come from outside.
func joined(ps []farm.Position) farm.Vector {
	if len(ps) <= 4 {
		return farm.VectorOf(ps...)
	}
	half := len(ps) / 2
	return joined(ps[:half]).Join(joined(ps[half:]))
}

func (r *reader) hello(h *pb.Hello) Hello {
	m := Hello{
		Name:        r.member("hello.name", h.GetName()),
		ProtocolMin: h.GetProtocolMin(), ProtocolMax: h.GetProtocolMax(),
		Version: r.text("hello.version", h.GetVersion(), MaxTextBytes),
		Farm:    r.text("hello.farm", []byte(h.GetFarm()), MaxTextBytes),
		Now:     moment(h.GetNow()),
		Boot:    h.GetBoot(),
	}
	if m.ProtocolMin > m.ProtocolMax {
		r.fail("hello.protocol_min", "%d is more than protocol_max %d", m.ProtocolMin, m.ProtocolMax)
	}
	return m
}

func (r *reader) state(s *pb.State) farm.MemberState {
	v := s.GetVerdict()
	out := farm.MemberState{
		Member:   r.member("state.member", s.GetMember()),
		Roles:    r.roles("state.roles", s.GetRoles()),
		Draining: s.GetDraining(),
		Version:  r.text("state.version", s.GetVersion(), MaxTextBytes),
		Verdict: farm.Verdict{Revision: r.digest("verdict.revision", v.GetRevision()),
			Wanted: r.digest("verdict.wanted", v.GetWanted()), Since: moment(v.GetSince()), Edits: int(v.GetEdits())},
	}
	if r.limit("verdict.faults", len(v.GetFaults()), MaxList) {
		for _, f := range v.GetFaults() {
			out.Verdict.Faults = append(out.Verdict.Faults, r.text("verdict.faults", f, MaxTextBytes))
		}
	}
	if n := len(v.GetSites()); n > 0 && r.limit("verdict.sites", n, MaxList) {
		out.Verdict.Sites = make(map[string]string, n)
		for _, x := range v.GetSites() {
			file := r.text("verdict.sites.file", x.GetFile(), MaxSiteNameBytes)
			out.Verdict.Sites[file] = r.text("verdict.sites.why", x.GetWhy(), MaxTextBytes)
		}
	}
	if n := len(s.GetFolders()); n > 0 && r.limit("state.folders", n, MaxList) {
		out.Folders = make(map[farm.FolderID]farm.FolderState, n)
		for _, f := range s.GetFolders() {
			out.Folders[r.folder("folders.name", f.GetName())] = farm.FolderState{
				Actor:   r.actor("folders.actor", f.GetActor()),
				Known:   r.vector("folders.known", f.GetKnown()),
				Applied: r.vector("folders.applied", f.GetApplied()),
				Durable: r.vector("folders.durable", f.GetDurable()),
				Entries: f.GetEntries(), Waiting: f.GetWaiting(), Paused: f.GetPaused(), Braked: f.GetBraked(),
				Bytes: f.GetBytes(), Seeding: r.seeding(f.GetSeeding()), Forgot: r.vector("folders.forgot", f.GetForgot()),
				Conflicts: f.Conflicts, Refused: r.text("folders.refused", f.GetRefused(), MaxTextBytes),
			}
		}
	}
	out.Number = s.GetNumber()
	if s.GetTellsLinks() && r.limit("state.links", len(s.GetLinks()), MaxList) {
		out.Links = make([]farm.MemberID, len(s.GetLinks()))
		for i, id := range s.GetLinks() {
			out.Links[i] = r.member("state.links", id)
		}
	}
	return out
}

// seeding is a mode that this program knows; one that a later program has is as good as being seeded.
func (r *reader) seeding(n uint32) farm.SeedMode {
	if n > uint32(farm.SeedFound) {
		return farm.SeedFull
	}
	return farm.SeedMode(n)
}

// moment is the inverse of nanos.
func moment(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n)
}
