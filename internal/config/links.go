package config

import (
	"fmt"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// Linked tells whether two members hold a session with each other: neither has links that leave the other out.
func (c *Config) Linked(a, b farm.MemberID) bool {
	one, _ := c.Member(a)
	other, _ := c.Member(b)
	return a != b && one.wants(b) && other.wants(a)
}

// wants tells whether the member's own links have room for another.
func (m Member) wants(other farm.MemberID) bool {
	return len(m.Links) == 0 || slices.Contains(m.Links, other)
}

// links reports links that can't be: to nobody, to itself, one way only, or so that some members can't be reached. A
// name that the farm does not have is only a warning, so that a dead member can be removed.
func (d *decoder) links(c *Config) {
	for _, m := range c.Members {
		for i, to := range m.Links {
			at, ok := d.taken(fmt.Sprintf("member.%s.links[%d]", m.Name, i))
			if !ok {
				continue
			}
			other, known := c.Member(to)
			switch {
			case to == m.Name:
				d.fault(at, "", "member %s links to itself", m.Name)
			case slices.Contains(m.Links[:i], to):
				d.fault(at, "", "member %s stands here twice", to)
			case !known:
				d.fault(at, DidYouMean(string(to), c.names()), "links of %s name %s, which is no member", m.Name, to)
				d.faults[len(d.faults)-1].Warning = true
			case !other.wants(m.Name):
				d.fault(at, fmt.Sprintf("add %q to the links of %s, or take %s out here", m.Name, to, to),
					"%s links to %s, but the links of %s leave %s out", m.Name, to, to, m.Name)
			}
		}
	}
	if d.faults.Err() == nil {
		d.reachable(c)
	}
}

// reachable reports members that no change can reach.
func (d *decoder) reachable(c *Config) {
	if len(c.Members) == 0 {
		return
	}
	reached := []farm.MemberID{c.Members[0].Name}
	for i := 0; i < len(reached); i++ {
		for _, m := range c.Members {
			if c.Linked(reached[i], m.Name) && !slices.Contains(reached, m.Name) {
				reached = append(reached, m.Name)
			}
		}
	}
	var apart []string
	for _, m := range c.Members {
		if !slices.Contains(reached, m.Name) {
			apart = append(apart, string(m.Name))
		}
	}
	if len(apart) > 0 {
		at := d.places["member."+apart[0]+".links"]
		d.fault(at, "every member must be linked with every other, directly or through others",
			"the links leave %s without a way to %s", strings.Join(apart, ", "), c.Members[0].Name)
	}
}

func (c *Config) names() []string {
	names := make([]string, len(c.Members))
	for i, m := range c.Members {
		names[i] = string(m.Name)
	}
	return names
}
