package member

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

const (
	// drainNotice is the time that the edges have to hear of a drain: a heartbeat takes milliseconds.
	drainNotice = 200 * time.Millisecond
	// flushTime is how long a member that stops waits until the others have what was written on it.
	flushTime = 3 * time.Second
	// barrierTime is how long it may take to find out what was written last.
	barrierTime = 2 * time.Second
)

// drainNote remembers over restarts that a person drained this member.
type drainNote struct {
	Since time.Time     `json:"since"`
	By    farm.MemberID `json:"by"` // the member where it was said
}

// drainRequest asks a member to drain, to take visitors again, or to say how far it is.
type drainRequest struct {
	Verb control.DrainVerb `json:"verb"`
}

// Drain implements control.Drainer.
func (m *Member) Drain(ctx context.Context, id farm.MemberID, verb control.DrainVerb) (d control.Drain, err error) {
	id = cmp.Or(id, m.self)
	if c := m.config(); c != nil {
		if _, ok := c.Member(id); !ok {
			return d, unknownMember(string(verb), id, c)
		}
	}
	if id == m.self {
		return m.drainHere(ctx, m.self, verb)
	}
	if !m.links.up(id) {
		return d, farm.Errorf(string(verb), string(id), farm.Unavailable, "it is not linked with %s", m.self)
	}
	return d, m.ask(ctx, id, callDrain, drainRequest{verb}, &d)
}

// unknownMember is the error of who names a member that the farm does not have.
func unknownMember(op string, id farm.MemberID, c *config.Config) error {
	var names []string
	for _, m := range c.Members {
		names = append(names, string(m.Name))
	}
	return &farm.Error{Op: op, Path: string(id), Kind: farm.NotFound, Err: errors.New("there is no member of that name"), Next: config.DidYouMean(string(id), names)}
}

// drainHere does what another member, or a person here, says.
func (m *Member) drainHere(ctx context.Context, by farm.MemberID, verb control.DrainVerb) (control.Drain, error) {
	var err error
	switch verb {
	case control.DrainOn:
		if m.drained.Load() == nil {
			err = m.setDrained(&drainNote{Since: time.Now().UTC(), By: by})
		}
	case control.DrainOff:
		if m.drained.Load() != nil {
			err = m.setDrained(nil)
		}
	case control.DrainShow:
	default:
		err = farm.Errorf("drain", string(verb), farm.Unsupported, "this version does not know how")
	}
	if err != nil {
		return control.Drain{}, err
	}
	return m.drainState(ctx), nil
}

// setDrained drains this member or ends that, now and after a restart. What can't be remembered is not done.
func (m *Member) setDrained(n *drainNote) error {
	err := m.paths.writeDrain(n)
	if err != nil {
		return &farm.Error{Op: "drain", Path: m.paths.drain(), Kind: kindOf(err), Err: err, Next: "check the disk of the state directory"}
	}
	m.drained.Store(n)
	m.own.change(func(s *farm.MemberState) { s.Draining = n != nil })
	e := farm.Event{ID: farm.EventDrain, Severity: farm.Info, Subject: string(m.self), Message: "takes visitors again"}
	if n != nil {
		e.Message = "takes no new visitors, as was said on " + string(n.By)
	}
	m.sink(e)
	return nil
}

func (p Paths) writeDrain(n *drainNote) error {
	if n == nil {
		err := os.Remove(p.drain())
		if os.IsNotExist(err) {
			return nil
		}
		return err
	}
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return replaceFile(p.drain(), append(b, '\n'))
}

// readDrain is what is remembered of a drain; nil: nothing.
func (p Paths) readDrain() (*drainNote, error) {
	b, err := os.ReadFile(p.drain())
	if os.IsNotExist(err) {
		return nil, nil
	}
	n := &drainNote{}
	if err == nil {
		err = json.Unmarshal(b, n)
	}
	if err != nil {
		return nil, &farm.Error{Op: "read", Path: p.drain(), Kind: farm.Corrupt, Err: err, Next: "remove the file if this member is to take visitors"}
	}
	return n, nil
}

// counted counts the requests that a handler works on.
func (m *Member) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.busy.Add(1)
		defer m.busy.Add(-1)
		h.ServeHTTP(w, r)
	})
}

// drainState says what stands in the way of stopping this member. It finds out what was written last on it, which is of
// interest only when nobody writes any more.
func (m *Member) drainState(ctx context.Context) control.Drain {
	d := control.Drain{Member: m.self, Active: m.busy.Load()}
	c, n := m.config(), m.drained.Load()
	if n == nil || c == nil {
		return d
	}
	d.Draining, d.Since, d.By = true, &n.Since, n.By
	settled := n.Since.Add(drainNotice)
	if keep := m.affinityTime(); keep > 0 && slices.Contains(m.own.get().Roles, farm.RoleNode) {
		until := n.Since.Add(keep)
		d.BoundUntil, settled = &until, until
	}
	d.Settled = !time.Now().Before(settled)
	if d.Active == 0 {
		d.Behind, d.Apart = m.lacking(m.written(ctx, c))
	}
	d.Virtual = m.virtual()
	d.Safe = d.Settled && d.Active == 0 && len(d.Behind) == 0 && len(d.Virtual) == 0
	return d
}

// affinityTime is the longest time for which edges send visitors to a node that drains, because they are bound to it.
func (m *Member) affinityTime() (longest time.Duration) {
	for _, o := range m.web.Edges() {
		if o.Affinity.By != "" {
			longest = max(longest, o.Affinity.Drain)
		}
	}
	return longest
}

// written is what was written last on this member, by folder. Folders that are halted are left out: nothing is written there
// that could be sent.
func (m *Member) written(ctx context.Context, c *config.Config) map[farm.FolderID]farm.Position {
	ctx, cancel := context.WithTimeout(ctx, barrierTime)
	defer cancel()
	last := map[farm.FolderID]farm.Position{}
	for _, spec := range m.specs(c) {
		f := m.folders.get(spec.id)
		if f == nil {
			continue
		}
		pos, err := f.runner.Barrier(ctx)
		if err != nil { // what is noticed later counts as not written yet
			s, _ := f.runner.State()
			pos = farm.Position{Actor: s.Actor, Seq: s.Known.At(s.Actor)}
		}
		last[spec.id] = pos
	}
	return last
}

// lacking lists the linked members that do not have all up to there on disk, in such a way that it survives a power cut; and
// those that are not linked, which get it from the others.
func (m *Member) lacking(written map[farm.FolderID]farm.Position) (behind []control.DrainPeer, apart []farm.MemberID) {
	for _, id := range slices.Sorted(maps.Keys(written)) {
		f, pos := m.folders.get(id), written[id]
		if f == nil || pos.Seq == 0 {
			continue
		}
		var linked, others int
		for _, h := range m.holders(id) {
			if h == m.self || f.evicted(h) {
				continue
			}
			others++
			l := m.links.get(h)
			if !l.up || !m.exchanges(id, h) {
				if !slices.Contains(apart, h) {
					apart = append(apart, h)
				}
				continue
			}
			linked++
			if at := l.state.Folders[id].Durable.At(pos.Actor); at < pos.Seq {
				behind = append(behind, control.DrainPeer{Folder: id, Member: h, Changes: uint64(pos.Seq - at)})
			}
		}
		if others > 0 && linked == 0 && !id.Own() {
			behind = append(behind, control.DrainPeer{Folder: id}) // nobody can have it
		}
	}
	return behind, apart
}

// flush waits, for a bounded time, until the linked members have all that was written here.
func (m *Member) flush(ctx context.Context) {
	c := m.config()
	if c == nil || !m.links.any() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTime)
	defer cancel()
	written := m.written(ctx, c)
	t := time.NewTicker(10 * time.Millisecond)
	defer t.Stop()
	for {
		behind, _ := m.lacking(written)
		behind = slices.DeleteFunc(behind, func(p control.DrainPeer) bool { return p.Member == "" })
		if len(behind) == 0 {
			return
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			m.log.Warn("not all that was written here is on the other members yet", "behind", fmt.Sprint(behind))
			return
		}
	}
}

// strain says on one line what is amiss with this node while it serves, so that visitors should rather go to others; empty:
// nothing is.
func (m *Member) strain() string {
	c := m.config()
	if c == nil {
		return ""
	}
	for _, spec := range m.specs(c) {
		f := m.folders.get(spec.id)
		if f == nil {
			continue
		}
		s, sum := f.runner.State()
		switch {
		case sum.Cramped > 0:
			return fmt.Sprintf("folder %s finds no room on its disk", spec.id)
		case c.Edge.MaxBacklog > 0 && s.Waiting > int64(c.Edge.MaxBacklog):
			return fmt.Sprintf("%d paths of folder %s wait to be installed", s.Waiting, spec.id)
		}
	}
	if v := m.reload.Status(); v.Revision != v.Wanted && len(v.Faults) > 0 {
		first, _, _ := strings.Cut(v.Faults[0], "\n")
		return "it refuses the farm's configuration: " + first
	}
	return ""
}
