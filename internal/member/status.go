package member

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/peer"
)

// Status implements control.Observer.
func (m *Member) Status(context.Context) (control.Status, error) {
	c := m.config()
	if c == nil {
		return control.Status{}, farm.Errorf("status", string(m.self), farm.Unavailable, "the member is starting")
	}
	me, _ := c.Member(m.self)
	st := control.Status{
		Member: m.self, Farm: c.Farm.Name, Version: m.version, Since: m.since, Time: time.Now(), Roles: me.Roles,
		Addresses: []string{me.Address}, Draining: m.own.get().Draining,
		Members: m.memberStatus(c), Folders: m.folderStatus(c), Config: m.configStatus(),
		Sites: []control.Site{}, Maintenance: maintenanceStatus(c), Bindings: m.bindingStatus(c, me), Nodes: []control.Node{},
	}
	if n := m.drained.Load(); n != nil {
		st.Drained = &control.Drained{Since: n.Since, By: n.By}
	}
	if me.Has(farm.RoleNode) {
		st.Sites = m.siteStatus()
	}
	if me.Has(farm.RoleEdge) {
		for _, s := range m.edge.Stats() {
			n := control.Node{
				Member: s.Node, State: healthState(s.State), Reason: s.Cause, Active: s.InFlight,
				Requests: uint64(s.Requests), Failures: uint64(s.Failures), AnswerMS: float64(s.Answer) / float64(time.Millisecond),
			}
			for _, o := range s.Out {
				n.Out = append(n.Out, control.SiteOut{Site: o.Site, State: o.State.String(), Reason: o.Cause})
			}
			st.Nodes = append(st.Nodes, n)
		}
	}
	return st, nil
}

// healthState is the edge's name of a state as the API has it: "healthy" is Healthy.
func healthState(name string) control.HealthState {
	return control.HealthState(strings.ToUpper(name[:1]) + name[1:])
}

func (m *Member) memberStatus(c *config.Config) []control.Member {
	stats := map[farm.MemberID]peer.Stats{}
	for _, s := range m.hub.Stats() {
		stats[s.Member] = s
	}
	list := []control.Member{}
	for _, mem := range c.Members {
		cm := control.Member{Name: mem.Name, Roles: mem.Roles, Addresses: []string{mem.Address}, Link: control.LinkSelf, Version: m.version, Paused: mem.Paused}
		if mem.Name != m.self {
			l := m.links.get(mem.Name)
			cm.Link, cm.Version, cm.Reason, cm.Draining = control.LinkDown, l.version, l.reason, l.state.Draining
			switch {
			case l.up:
				cm.Link, cm.RTTMS = control.LinkUp, float64(stats[mem.Name].RTT)/float64(time.Millisecond)
				cm.Protocol, cm.Limit = stats[mem.Name].Protocol, stats[mem.Name].LimitBytes
			case !c.Linked(m.self, mem.Name):
				cm.Link, cm.Reason = control.LinkApart, ""
			}
			if !l.seen.IsZero() {
				cm.LastSeen = &l.seen
			}
			cm.Evicted = slices.ContainsFunc(m.folders.all(), func(f *folder) bool { return f.evicted(mem.Name) })
		}
		list = append(list, cm)
	}
	return list
}

func (m *Member) folderStatus(c *config.Config) []control.Folder {
	list := []control.Folder{}
	for _, spec := range m.specs(c) {
		f := m.folders.get(spec.id)
		if f == nil {
			list = append(list, control.Folder{ID: spec.id, Path: spec.root, State: control.FolderHalted, Peers: []control.FolderPeer{},
				Reason: m.folders.reason(spec.id)})
			continue
		}
		list = append(list, m.oneFolder(f))
	}
	return list
}

func (m *Member) oneFolder(f *folder) control.Folder {
	s, sum := f.runner.State()
	mode, _ := f.watcher.Mode()
	entries, bytes := f.index.Counts()
	cf := control.Folder{
		ID: f.spec.id, Path: f.spec.root, State: control.FolderLive, Watch: string(mode), Entries: entries, Bytes: bytes,
		Waiting: s.Waiting, Applied: s.Applied, Durable: s.Durable, Peers: []control.FolderPeer{},
		Unkept: f.Unkept(),
	}
	cf.Paused, cf.Braked, cf.ReadOnly = f.flowStatus(sum)
	if u := f.keeper.PreservedUsage(); u.Files > 0 {
		cf.Preserved = control.PreservedUsage{Files: u.Files, Bytes: u.Bytes, Conflicts: u.Conflicts, Oldest: &u.Oldest}
	}
	if f.trial != nil {
		cf.Refused = f.trial.Refused()
	}
	switch {
	case cf.Paused != nil:
		cf.Reason = "it is paused here"
	case cf.Braked != nil:
		cf.Reason = fmt.Sprintf("the brake holds %d deletions that a scan found", cf.Braked.Held)
	case cf.Refused != "":
		cf.Reason = "its check refuses changes: " + cf.Refused
	case sum.Checks.Own+sum.Checks.Others > 0:
		cf.Reason = "changes are being checked"
	}
	switch {
	case sum.Seeding:
		cf.State, cf.Reason = control.FolderScanning, "it is being seeded"
	case !sum.Trusted:
		cf.State, cf.Reason = control.FolderScanning, "the disk is compared with the index"
	case cf.Reason != "":
	case sum.Cramped > 0:
		cf.Reason = "waiting for space: " + strconv.Itoa(sum.Cramped) + " of the paths find no room on the disk"
	case s.Waiting > 0:
		cf.Reason = "some paths are waiting"
	}
	m.seedStatus(f, &cf, sum)
	for _, h := range m.holders(f.spec.id) {
		if h == m.self {
			continue
		}
		l := m.links.get(h)
		theirs := l.state.Folders[f.spec.id]
		p := control.FolderPeer{Member: h, Linked: l.up, Applied: theirs.Applied, Durable: theirs.Durable, Backlog: backlog(s.Applied, theirs.Applied),
			Paused: theirs.Paused, Braked: theirs.Braked, Refused: theirs.Refused, Evicted: f.evicted(h), Conflicts: theirs.Conflicts}
		cf.Peers = append(cf.Peers, p)
		switch {
		case cf.Reason != "" || p.Evicted:
		case !m.exchanges(f.spec.id, h):
			cf.Reason = m.whoIsPaused(h) + " is paused"
		case !l.up && m.config().Linked(m.self, h):
			cf.Reason = string(h) + " is not linked"
		case !l.up && l.state.Member != h:
			cf.Reason = "nothing was heard of " + string(h) + " yet"
		case p.Paused:
			cf.Reason = "it is paused on " + string(h)
		case p.Braked:
			cf.Reason = "the brake holds deletions on " + string(h)
		case p.Refused != "":
			cf.Reason = "the check refuses changes on " + string(h) + ": " + p.Refused
		case p.Backlog > 0:
			cf.Reason = string(h) + " has a backlog"
		case !s.Applied.CoversAll(theirs.Applied):
			cf.Reason = "changes of " + string(h) + " are under way"
		}
	}
	cf.InSync = cf.Reason == ""
	return cf
}

// evicted tells whether the folder goes on without the member.
func (f *folder) evicted(id farm.MemberID) bool {
	_, sum := f.runner.State()
	return slices.Contains(strings.Fields(sum.Evicted), string(id))
}

// whoIsPaused names this member if it is, else the other.
func (m *Member) whoIsPaused(other farm.MemberID) string {
	if me, _ := m.config().Member(m.self); me.Paused {
		return "this member"
	}
	return string(other)
}

// backlog counts the changes in ours that are not in theirs.
func backlog(ours, theirs farm.Vector) uint64 {
	var n uint64
	for p := range ours.All() {
		if t := theirs.At(p.Actor); p.Seq > t {
			n += uint64(p.Seq - t)
		}
	}
	return n
}

func (m *Member) configStatus() control.ConfigStatus {
	v := m.reload.Status()
	head := m.reload.Live()
	when := head.Time.Wall()
	cs := control.ConfigStatus{
		Revision: v.Revision.String(), Wanted: v.Wanted.String(), Author: head.Author, Time: &when, Message: head.Message,
		Faults: m.reload.Refused(), Members: m.verdicts(v.Wanted),
		Edits: m.reload.Edits(), Trial: m.trialOf(m.reload.Trial()),
	}
	return cs
}

func (m *Member) siteStatus() []control.Site {
	list := []control.Site{}
	for _, s := range m.web.Status() {
		list = append(list, control.Site{File: s.File, Hosts: s.Hosts, Live: len(s.Faults) == 0, Faults: s.Faults})
	}
	return list
}

func (m *Member) bindingStatus(c *config.Config, me config.Member) []control.Binding {
	failed := map[string]error{}
	for _, s := range m.shell.Status() {
		if s.Err != nil {
			failed[s.Address] = s.Err
		}
	}
	list := []control.Binding{}
	add := func(address, owner string, skipped bool) {
		b := control.Binding{Address: address, For: owner, State: control.BindingLive}
		if err := failed[address]; err != nil {
			b.State, b.Reason = control.BindingRefused, err.Error()
		}
		if skipped {
			b.State, b.Reason = control.BindingSkipped, "the address is not this member's"
		}
		list = append(list, b)
	}
	if me.Has(farm.RoleNode) {
		for _, s := range m.web.Status() {
			for _, address := range s.Serving {
				add(address, s.File, false)
			}
			for _, address := range s.Skipped {
				add(address, s.File, true)
			}
		}
	}
	if me.Has(farm.RoleEdge) {
		for _, b := range m.edgeBindings(c) {
			add(b.address, "edge", b.skipped)
		}
	}
	return list
}
