package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/internal/balancer"
	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
)

func (a *app) exportCommand() *cobra.Command {
	return a.group("export", "write configurations for other balancers, and for keepalived", "tandem export haproxy > /etc/haproxy/haproxy.cfg",
		a.exportBalancer("haproxy", "HAProxy 2.4 and later", "/etc/haproxy/tandem", "/etc/haproxy/haproxy.cfg", balancer.HAProxy),
		a.exportBalancer("nginx", "nginx 1.18 and later, for its http block", "/etc/nginx/tandem", "/etc/nginx/conf.d/tandem.conf", balancer.Nginx),
		a.exportKeepalived())
}

func (a *app) exportBalancer(name, what, certificates, file string, write func(control.Fronts, balancer.Options) (string, error)) *cobra.Command {
	var o balancer.Options
	var reach map[string]string
	cmd := &cobra.Command{
		Use:   name,
		Short: "write a configuration for " + what,
		Long: `Prints what ` + name + ` needs to stand before the farm's nodes in place of an edge: all ports of all sites, round robin by
weight, health, retries where they are safe, TLS, WebSocket. Run it on a node or an edge, and again when nodes or the ports and names of
sites have changed. Name the balancer's address in farm.toml as a trusted proxy, so that nodes believe it who the visitor is.`,
		Example: "tandem export " + name + " > " + file,
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fronts, err := a.client().Fronts(cmd.Context())
			if err != nil {
				return err
			}
			o.Reach = map[farm.MemberID]string{}
			for node, host := range reach {
				o.Reach[farm.MemberID(node)] = host
			}
			text, err := write(fronts, o)
			if err != nil {
				return err
			}
			return a.show(exportedText{text}, func(u *ui) { fmt.Fprint(u.out, text) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Certificates, "certificates", certificates, "`directory` at the balancer with HOST.pem for each name, key and chain")
	f.StringVar(&o.CA, "ca", "", "`file` at the balancer with what signed the nodes' certificates; without it what the system trusts; none: they are not checked")
	f.StringToStringVar(&reach, "reach", nil, "`NODE=HOST` under which the balancer reaches a node, if not at the host in farm.toml")
	return cmd
}

// exportedText is what export prints as JSON.
type exportedText struct {
	Text string `json:"text"`
}

func (a *app) exportKeepalived() *cobra.Command {
	var m balancer.Moving
	cmd := &cobra.Command{
		Use:   "keepalived",
		Short: "write a configuration for keepalived on this edge",
		Long: `Prints a keepalived.conf with which the edges of the farm share virtual_address of [edge] in farm.toml: one has it, and
another takes it when that one dies, stops, or has no node to send visitors to. Run it on every edge.`,
		Example: "tandem export keepalived > /etc/keepalived/keepalived.conf",
		Args:    takes(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.moving(cmd.Context(), &m); err != nil {
				return err
			}
			text, err := balancer.Keepalived(m)
			if err != nil {
				return err
			}
			return a.show(exportedText{text}, func(u *ui) { fmt.Fprint(u.out, text) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&m.Interface, "interface", "", "`name` of the interface for the address; without it the one in its network, or with the edge's own address")
	f.IntVar(&m.RouterID, "router-id", 0, "`number` of the group, 1 to 255, that no other group on the network has; without it the last byte of the address")
	f.StringVar(&m.Notify, "notify", "", "`script` that keepalived calls at each change")
	return cmd
}

// moving asks the daemon and this machine for what keepalived must know.
func (a *app) moving(ctx context.Context, m *balancer.Moving) error {
	st, err := a.client().Status(ctx)
	if err != nil {
		return err
	}
	head, err := a.client().ConfigRevision(ctx, config.HeadName)
	if err != nil {
		return err
	}
	c, faults := config.Parse(head.Files)
	if c == nil {
		return faults.Err()
	}
	m.Farm, m.Self, m.Addresses = c.Farm.Name, st.Member, c.Edge.VirtualAddress
	own := ""
	for _, e := range c.With(farm.RoleEdge) {
		m.Edges = append(m.Edges, balancer.Peer{Name: e.Name, Address: e.Host()})
		if e.Name == st.Member {
			own = e.Host()
		}
	}
	program, err := os.Executable()
	if err != nil {
		program = "/usr/bin/tandem"
	}
	m.Check = strings.Join([]string{program, "health", "--edge", "--socket", a.where.socketPath()}, " ")
	if m.Interface == "" && len(m.Addresses) > 0 && own != "" {
		m.Interface, err = interfaceFor(m.Addresses[0], own)
	}
	return err
}

// interfaceFor finds the interface in whose network the address is, else the one that has the edge's own.
func interfaceFor(address, own string) (string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return "", err
	}
	moving, err := netip.ParsePrefix(address)
	if err != nil {
		return "", farm.Errorf("export", "keepalived", farm.Invalid, "%q is no address with the length of its prefix", address)
	}
	has := func(i net.Interface, fits func(netip.Prefix) bool) bool {
		addrs, _ := i.Addrs() // an interface that has just gone has none
		return slices.ContainsFunc(addrs, func(a net.Addr) bool {
			p, err := netip.ParsePrefix(a.String())
			return err == nil && fits(p)
		})
	}
	for _, fits := range []func(netip.Prefix) bool{
		func(p netip.Prefix) bool {
			return p.Addr() != moving.Addr() && !p.IsSingleIP() && p.Contains(moving.Addr())
		},
		func(p netip.Prefix) bool { return p.Addr().String() == own },
	} {
		for _, i := range all {
			if has(i, fits) {
				return i.Name, nil
			}
		}
	}
	e := farm.Errorf("export", "keepalived", farm.NotFound, "no interface of this machine is in the network of %s", address)
	e.Next = "name one with --interface"
	return "", e
}
