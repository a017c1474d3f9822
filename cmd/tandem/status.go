package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/internal/config"
	"tandem/internal/control"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "say what is wrong, and how all is",
		Long: `Shows what this member knows of itself and of the farm: first what is wrong, then members, folders, configuration,
sites and, on an edge, the nodes.`,
		Example: "tandem status\ntandem status --json",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			st, err := a.client().Status(cmd.Context())
			if err != nil {
				return err
			}
			return a.show(st, func(u *ui) { printStatus(u, st) })
		},
	}
}

func printStatus(u *ui, st control.Status) {
	u.line("%s", u.paint(loud, fmt.Sprintf("%s, %s of farm %s", st.Member, joined(st.Roles), st.Farm)))
	u.line("  tandem %s, up %s, reached at %s", st.Version, span(st.Time.Sub(st.Since)), strings.Join(st.Addresses, ", "))
	switch {
	case st.Drained != nil:
		u.line("%s", u.paint(warn, fmt.Sprintf("  draining for %s, by tandem drain on %s: no new visitors until tandem undrain %s", span(st.Time.Sub(st.Drained.Since)), st.Drained.By, st.Member)))
	case st.Draining:
		u.line("%s", u.paint(warn, "  draining: no new visitors"))
	}
	printMaintenance(u, st.Maintenance)
	printWrong(u, st)
	u.line("")
	printMembers(u, "  ", st.Members, st.Time)
	if len(st.Folders) > 0 {
		u.line("")
		printFolders(u, "  ", st.Folders)
		printPreserved(u, st)
	}
	u.line("")
	u.line("  %s", revisionLine(st.Config, st.Time))
	printEdits(u, "  ", st.Config)
	printVerdicts(u, "  ", st.Config.Members, st.Time)
	printSites(u, st)
	if len(st.Nodes) > 0 {
		u.line("")
		printNodes(u, st.Nodes)
	}
}

// printWrong says what is wrong; for a fault also since when and what to do.
func printWrong(u *ui, st control.Status) {
	h := control.HealthOf(st)
	if h.OK {
		u.line("  %s", u.paint(good, "nothing is wrong"))
		return
	}
	u.line("  %s", u.paint(bad, plural(len(h.Reasons), "thing is wrong:", "things are wrong:")))
	for i, reason := range h.Reasons {
		line := "  - " + u.paint(bad, reason)
		if i < len(st.Faults.Open) { // faults come first
			f := st.Faults.Open[i]
			line += ", for " + span(st.Time.Sub(f.Since))
			if f.Count > 1 {
				line += fmt.Sprintf(", %d times", f.Count)
			}
			if f.Event.Next != "" {
				line += " (" + f.Event.Next + ")"
			}
		}
		u.line("%s", line)
	}
}

func printMembers(u *ui, indent string, members []control.Member, now time.Time) {
	t := table{head: []string{"MEMBER", "ROLES", "LINK", "ROUND TRIP", "LAST SEEN", "VERSION", "PROTOCOL", "ADDRESS"}}
	for _, m := range members {
		link, rtt, seen, protocol := cell{string(m.Link), good}, "", "", ""
		switch m.Link {
		case control.LinkSelf:
			link = text("this one")
		case control.LinkDown:
			link.tone = bad
		}
		if m.Evicted {
			link.text += ", evicted"
		}
		if m.Draining {
			link.text += ", draining"
		}
		if m.Paused {
			link.text, link.tone = link.text+", paused", warn
		}
		if m.Limit > 0 {
			link.text += ", at most " + config.Rate(m.Limit).String()
		}
		if m.Protocol > 0 {
			protocol = strconv.FormatUint(uint64(m.Protocol), 10)
		}
		if m.RTTMS > 0 && m.Link == control.LinkUp {
			rtt = millis(m.RTTMS)
		}
		if m.LastSeen != nil && m.Link != control.LinkSelf {
			seen = span(now.Sub(*m.LastSeen)) + " ago"
		}
		t.add(text(m.Name), text(joined(m.Roles)), link, text(rtt), text(seen), text(m.Version), text(protocol), text(strings.Join(m.Addresses, ", ")))
	}
	t.print(u, indent)
}

// printPreserved says what is kept here outside of the folders' trees, and on all members what was not meant to go there.
func printPreserved(u *ui, st control.Status) {
	var lines []string
	for _, f := range st.Folders {
		if p := f.Preserved; p.Files > 0 {
			line := fmt.Sprintf("%s keeps %s of %s here", f.ID, plural(p.Files, "preserved file", "preserved files"), size(p.Bytes))
			if p.Oldest != nil {
				line += ", the oldest for " + span(st.Time.Sub(*p.Oldest))
			}
			lines = append(lines, line)
		}
		if where := conflictsOf(f); where != "" {
			lines = append(lines, u.paint(warn, where))
		}
	}
	if len(lines) > 0 {
		u.line("")
	}
	for _, line := range lines {
		u.line("  %s", line)
	}
}

// conflictsOf says how many preserved files of the folder were not meant to go, and where they are; empty if there are none.
func conflictsOf(f control.Folder) string {
	all := f.Preserved.Conflicts
	var where, silent []string
	if all > 0 {
		where = append(where, strconv.Itoa(all)+" here")
	}
	for _, p := range f.Peers {
		switch {
		case p.Conflicts == nil:
			silent = append(silent, string(p.Member))
		case *p.Conflicts > 0:
			all += int(*p.Conflicts)
			where = append(where, fmt.Sprintf("%d on %s", *p.Conflicts, p.Member))
		}
	}
	if all == 0 {
		return ""
	}
	line := fmt.Sprintf("%s: %s not meant to go, %s", f.ID, plural(all, "preserved file was", "preserved files were"), strings.Join(where, ", "))
	if len(silent) > 0 {
		line += "; unknown on " + strings.Join(silent, ", ")
	}
	return line + ": tandem conflicts list --folder " + string(f.ID)
}

func printSites(u *ui, st control.Status) {
	if len(st.Sites) > 0 {
		u.line("")
		t := table{head: []string{"SITE", "LIVE", "HOSTS"}}
		for _, s := range st.Sites {
			live := cell{"yes", good}
			if !s.Live {
				live = cell{"no", bad}
			}
			t.add(text(s.File), live, text(strings.Join(s.Hosts, ", ")))
		}
		t.print(u, "  ")
	}
	if len(st.Bindings) > 0 {
		u.line("")
		t := table{head: []string{"BINDING", "STATE", "FOR", "WHY"}}
		for _, b := range st.Bindings {
			state := map[control.BindingState]tone{control.BindingLive: good, control.BindingSkipped: quiet, control.BindingRefused: bad}[b.State]
			t.add(text(b.Address), cell{string(b.State), state}, text(b.For), text(b.Reason))
		}
		t.print(u, "  ")
	}
}

func printNodes(u *ui, nodes []control.Node) {
	t := table{head: []string{"NODE", "STATE", "ACTIVE", "REQUESTS", "FAILURES", "WHY"}}
	for _, n := range nodes {
		state := map[control.HealthState]tone{control.HealthHealthy: good, control.HealthFailing: bad}[n.State]
		if state == plain {
			state = warn
		}
		why := n.Reason
		if n.State == control.HealthHealthy {
			why = "" // how it is known that nothing is amiss helps nobody
		}
		t.add(text(n.Member), cell{string(n.State), state}, text(n.Active), text(grouped(int64(n.Requests))), text(grouped(int64(n.Failures))), text(why))
	}
	t.print(u, "  ")
	for _, n := range nodes {
		for _, o := range n.Out {
			u.line("  %s", u.paint(bad, fmt.Sprintf("%s gets no visitors of %s, %s: %s", n.Member, o.Site, o.State, o.Reason)))
		}
	}
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-len(s))) }
