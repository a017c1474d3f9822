package balancer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"tandem/internal/farm"
)

// A dead daemon refuses the check at once. One that is slow to answer is on a busy machine, and its address should not go to and
// fro for that: hence the long timeout.
//
// A check that fails takes failPenalty from an edge's priority instead of its address: so the address stays somewhere when all
// edges fail, and visitors meet a page that says so. firstPriority to lastPriority must lie within one penalty.
const (
	firstPriority = 200
	priorityStep  = 4
	failPenalty   = 100
	maxEdges      = (failPenalty-1)/priorityStep + 1
)

// Peer is an edge of the farm.
type Peer struct {
	Name    farm.MemberID
	Address string // IP address
}

// Moving is what keepalived must know on one edge.
type Moving struct {
	Farm      string
	Self      farm.MemberID
	Edges     []Peer   // in the order in which they shall have the address
	Addresses []string // that move, with the length of their prefix: "192.0.2.10/24"
	Interface string   // of this edge, on which they are taken
	RouterID  int      // 1 to 255, the same on all edges, of no other group on the network; 0: the last byte of the first address
	Check     string   // command whose exit status says whether this edge is fit
	Notify    string   // script that is called at each change; empty: none
}

// Keepalived is the configuration of keepalived 2.1 and later on one edge.
func Keepalived(m Moving) (string, error) {
	me := slices.IndexFunc(m.Edges, func(p Peer) bool { return p.Name == m.Self })
	switch {
	case me < 0:
		return "", refuse("give this member the role edge, or run it on an edge", "%s is no edge", m.Self)
	case len(m.Edges) < 2:
		return "", refuse("add another edge: tandem invite --role edge", "the farm has no other edge that could take the address")
	case len(m.Edges) > maxEdges:
		return "", refuse("", "more than %d edges can't share an address", maxEdges)
	case len(m.Addresses) == 0:
		return "", refuse("add to farm.toml, under [edge]: virtual_address = \"192.0.2.10/24\"", "the farm has no address that moves")
	case m.RouterID < 0 || m.RouterID > 255:
		return "", refuse("", "%d is no router id: they are 1 to 255", m.RouterID)
	}
	main, more, err := families(m)
	if err != nil {
		return "", err
	}
	id := m.RouterID
	if id == 0 {
		bytes := main[0].Addr().AsSlice()
		id = max(1, int(bytes[len(bytes)-1]))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# farm %s, edge %s
# Written by: tandem export keepalived

global_defs {
    router_id %s
    vrrp_version 3
    script_user root
    enable_script_security
}

vrrp_script tandem {
    script "%s"
    interval 1
    timeout 10
    fall 1
    rise 2
    weight -%d
}

vrrp_instance tandem {
    state BACKUP
    interface %s
    virtual_router_id %d
    priority %d
    advert_int 0.5
    unicast_src_ip %s
    unicast_peer {
`, m.Farm, m.Self, m.Self, m.Check, failPenalty, m.Interface, id, firstPriority-me*priorityStep, m.Edges[me].Address)
	for _, p := range m.Edges {
		if p.Name != m.Self {
			fmt.Fprintf(&b, "        %s\n", p.Address)
		}
	}
	b.WriteString("    }\n")
	addressBlock(&b, "virtual_ipaddress", main)
	addressBlock(&b, "virtual_ipaddress_excluded", more)
	b.WriteString("    track_script {\n        tandem\n    }\n")
	if m.Notify != "" {
		fmt.Fprintf(&b, "    notify \"%s\"\n", m.Notify)
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// families are the addresses of the family in which the edges speak with each other, and the others.
func families(m Moving) (main, more []netip.Prefix, err error) {
	four := false
	for i, p := range m.Edges {
		ip, err := netip.ParseAddr(p.Address)
		if err != nil {
			return nil, nil, refuse("write its IP address into farm.toml", "keepalived needs the IP address of edge %s, not %q", p.Name, p.Address)
		}
		if i > 0 && ip.Is4() != four {
			return nil, nil, refuse("", "the addresses of the edges are IPv4 and IPv6: they can't speak with each other")
		}
		four = ip.Is4()
	}
	for _, text := range m.Addresses {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, nil, refuse("write it as 192.0.2.10/24", "%q is no address with the length of its prefix", text)
		}
		if p.Addr().Is4() == four {
			main = append(main, p)
		} else {
			more = append(more, p)
		}
	}
	if main == nil {
		return nil, nil, refuse("", "of the addresses that move one must be of the family (IPv4 or IPv6) of the edges' own")
	}
	return main, more, nil
}

func addressBlock(b *strings.Builder, name string, all []netip.Prefix) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "    %s {\n", name)
	for _, p := range all {
		fmt.Fprintf(b, "        %s\n", p)
	}
	b.WriteString("    }\n")
}

func refuse(next, format string, args ...any) error {
	e := farm.Errorf("export", "keepalived", farm.Invalid, format, args...)
	e.Next = next
	return e
}
