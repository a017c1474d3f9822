package control

import (
	"fmt"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// HealthOf says what is wrong: first the faults of which the journal knows since when, then what this member can't do, then what it
// sees in the others. What a fault says is not said again.
func HealthOf(st Status) Health {
	h := Health{Reasons: []string{}}
	say := func(format string, args ...any) { h.Reasons = append(h.Reasons, fmt.Sprintf(format, args...)) }
	for _, f := range st.Faults.Open {
		say("%s %s: %s", f.Event.ID, f.Event.Subject, f.Event.Message)
	}
	if st.Faults.More > 0 {
		say("%d more faults", st.Faults.More)
	}
	for _, f := range st.Folders {
		if f.State == FolderHalted && !told(st, farm.EventFolderHalted, string(f.ID)) {
			say("folder %s is halted: %s", f.ID, f.Reason)
		}
	}
	h.Reasons = append(h.Reasons, behind(st.Folders)...)
	h.Reasons = append(h.Reasons, unconfigured(st)...)
	down := map[farm.MemberID]bool{}
	for _, m := range st.Members {
		if down[m.Name] = m.Link == LinkDown; down[m.Name] && !told(st, farm.EventMemberDown, string(m.Name)) {
			say("member %s is not linked%s", m.Name, because(m.Reason))
		}
	}
	for _, v := range st.Config.Members {
		if !v.Live && v.Member != st.Member && !down[v.Member] {
			say("the configuration is not live on %s", v.Member)
		}
	}
	for _, n := range st.Nodes {
		if n.State == HealthFailing && !told(st, farm.EventNodeDown, string(n.Member)) {
			say("node %s gets no visitors%s", n.Member, because(n.Reason))
		}
	}
	h.OK = len(h.Reasons) == 0
	return h
}

// told tells whether a fault of that id and subject is open.
func told(st Status, id farm.EventID, subject string) bool {
	return slices.ContainsFunc(st.Faults.Open, func(f OpenFault) bool { return f.Event.ID == id && f.Event.Subject == subject })
}

// behind names the folders that are not in sync, those with one reason together.
func behind(folders []Folder) (lines []string) {
	names, reasons := map[string][]string{}, []string{}
	for _, f := range folders {
		if f.InSync || f.State == FolderHalted {
			continue
		}
		if names[f.Reason] == nil {
			reasons = append(reasons, f.Reason)
		}
		names[f.Reason] = append(names[f.Reason], string(f.ID))
	}
	for _, why := range reasons {
		if all := names[why]; len(all) > 1 {
			lines = append(lines, fmt.Sprintf("folders %s and %s are not in sync: %s", strings.Join(all[:len(all)-1], ", "), all[len(all)-1], why))
		} else {
			lines = append(lines, fmt.Sprintf("folder %s is not in sync: %s", all[0], why))
		}
	}
	return lines
}

// unconfigured says what of the configuration is not live on this member.
func unconfigured(st Status) (lines []string) {
	if st.Config.Revision != st.Config.Wanted {
		lines = append(lines, "the configuration that is wanted is not live here")
	}
	for _, f := range st.Config.Faults.Errors() {
		refused := func(open OpenFault) bool {
			return open.Event.ID == farm.EventConfigRefused && strings.Contains(open.Event.Message, f.String())
		}
		if !slices.ContainsFunc(st.Faults.Open, refused) {
			lines = append(lines, f.String())
		}
	}
	for _, site := range st.Sites {
		for _, f := range site.Faults.Errors() {
			lines = append(lines, fmt.Sprintf("site refused: %s", f))
		}
	}
	for _, b := range st.Bindings {
		if b.State == BindingRefused && !told(st, farm.EventBindingFailed, b.Address) {
			lines = append(lines, fmt.Sprintf("binding %s is refused: %s", b.Address, b.Reason))
		}
	}
	return lines
}

// EdgeHealthOf says why visitors should come to another edge.
func EdgeHealthOf(st Status) Health {
	h := Health{Reasons: []string{}}
	say := func(format string, args ...any) { h.Reasons = append(h.Reasons, fmt.Sprintf(format, args...)) }
	if !slices.Contains(st.Roles, farm.RoleEdge) {
		say("%s is no edge", st.Member)
	}
	if st.Draining {
		say("it drains")
	}
	for _, b := range st.Bindings {
		if b.For == "edge" && b.State == BindingRefused {
			say("binding %s is refused: %s", b.Address, b.Reason)
		}
	}
	if !slices.ContainsFunc(st.Nodes, func(n Node) bool { return n.State == HealthHealthy || n.State == HealthDraining }) {
		say("no node takes visitors")
	}
	h.OK = len(h.Reasons) == 0
	return h
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + reason
}
