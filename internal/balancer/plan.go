package balancer

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"tandem/internal/control"
	"tandem/internal/farm"
)

// HealthPath is what nodes answer with status 200 while they want visitors.
const HealthPath = "/.tandem/health"

// NoCA as Options.CA leaves the nodes' certificates unchecked.
const NoCA = "none"

// Options are what the farm does not know.
type Options struct {
	Reach        map[farm.MemberID]string // host under which the balancer reaches a node; without it, that of its address
	Certificates string                   // directory with a file HOST.pem for each name, key and chain; "" is DefaultCertificates
	CA           string                   // file with what signed the nodes' certificates; "": those that the system knows; or NoCA
}

// plan is what a balancer does, in no language.
type plan struct {
	about  string // line for the head of the file
	fronts []front
	notes  []string // what is left out, and why
}

// front is a port on which visitors come in.
type front struct {
	port  string
	tls   bool
	hosts []string // that are answered there, sorted; "" is any
	pools []pool   // the first is for all hosts that no other names
}

// pool is a set of servers, and the names that they serve.
type pool struct {
	name    string
	hosts   []string
	servers []server
}

type server struct {
	name     string
	address  string // host:port
	weight   int
	draining bool
}

// draft makes the plan. It is an error if there is nothing to balance.
func draft(f control.Fronts, o Options) (plan, error) {
	known := map[farm.MemberID]bool{}
	for _, n := range f.Nodes {
		known[n.Name] = true
	}
	for name := range o.Reach {
		if !known[name] {
			return plan{}, farm.Errorf("export", string(name), farm.NotFound, "the farm has no node of that name")
		}
	}
	p := plan{about: fmt.Sprintf("farm %s, revision %.12s", f.Farm, f.Revision)}
	at := map[control.SiteBinding]map[string]server{} // by host, port and scheme; servers by their address
	for _, n := range f.Nodes {
		p.place(n, o, f.Nodes, at)
	}
	redirect(at)
	ports := map[[2]string]map[string]map[string]server{}
	for b, servers := range at {
		port := [2]string{b.Address, strconv.FormatBool(b.TLS)}
		if ports[port] == nil {
			ports[port] = map[string]map[string]server{}
		}
		ports[port][b.Host] = servers
	}
	for port, hosts := range ports {
		p.fronts = append(p.fronts, newFront(port[0], port[1] == "true", hosts))
	}
	slices.SortFunc(p.fronts, func(a, b front) int { return portNumber(a.port) - portNumber(b.port) })
	slices.Sort(p.notes)
	p.notes = slices.Compact(p.notes)
	if len(p.fronts) == 0 {
		return p, farm.Errorf("export", "", farm.NotFound, "no site has an address on any node; see: tandem site list")
	}
	return p, nil
}

// place enters a node's bindings; their Address becomes the port alone.
func (p *plan) place(n control.FrontNode, o Options, all []control.FrontNode, at map[control.SiteBinding]map[string]server) {
	for _, b := range n.Bindings {
		host, port, err := net.SplitHostPort(b.Address)
		if err != nil {
			continue // the node would not listen there either
		}
		reach := cmp.Or(o.Reach[n.Name], n.Host)
		if ip := net.ParseIP(host); host != "" && !ip.IsUnspecified() {
			if host != n.Host {
				if !slices.ContainsFunc(all, func(other control.FrontNode) bool { return other.Host == host }) {
					p.notes = append(p.notes, fmt.Sprintf("%s listens on %s, which is not the address of any node in farm.toml", b.Site, b.Address))
				}
				continue
			}
		}
		key := control.SiteBinding{Host: b.Host, Address: port, TLS: b.TLS}
		if at[key] == nil {
			at[key] = map[string]server{}
		}
		s := server{string(n.Name), net.JoinHostPort(reach, port), max(1, n.Weight), n.Draining}
		at[key][s.address] = s
	}
}

// redirect adds port 80 for names that have HTTPS on 443 only: nodes answer there with a redirect, and to the questions of
// ACME.
func redirect(at map[control.SiteBinding]map[string]server) {
	for b, servers := range maps.Clone(at) {
		plain := control.SiteBinding{Host: b.Host, Address: "80"}
		if !b.TLS || b.Address != "443" || b.Host == "" || at[plain] != nil {
			continue
		}
		at[plain] = map[string]server{}
		for _, s := range servers {
			host, _, _ := net.SplitHostPort(s.address)
			s.address = net.JoinHostPort(host, "80")
			at[plain][s.address] = s
		}
	}
}

// newFront puts hosts that have the same servers together; most hosts come first.
func newFront(port string, tls bool, hosts map[string]map[string]server) front {
	f := front{port: port, tls: tls, hosts: slices.Sorted(maps.Keys(hosts))}
	for _, host := range f.hosts {
		servers := slices.SortedFunc(maps.Values(hosts[host]), func(a, b server) int { return strings.Compare(a.name, b.name) })
		i := slices.IndexFunc(f.pools, func(p pool) bool { return slices.Equal(p.servers, servers) })
		if i < 0 {
			i = len(f.pools)
			f.pools = append(f.pools, pool{servers: servers})
		}
		f.pools[i].hosts = append(f.pools[i].hosts, host)
	}
	slices.SortStableFunc(f.pools, func(a, b pool) int { return len(b.hosts) - len(a.hosts) })
	for i := range f.pools {
		f.pools[i].name = "tandem_" + port
		if i > 0 {
			f.pools[i].name += "_" + strconv.Itoa(i+1)
		}
	}
	return f
}

// named is a host of the pool with which health can be asked and certificates be checked; empty: it has none.
func (p pool) named() string {
	for _, h := range p.hosts {
		if h != "" && !strings.HasPrefix(h, "*.") {
			return h
		}
	}
	return ""
}

func portNumber(port string) int {
	n, _ := strconv.Atoi(port) // a binding's port is a number
	return n
}

// certificateFile is the name of a host's file, as in the farm's own store.
func certificateFile(host string) string {
	if host == "" {
		return "default.pem"
	}
	return strings.Replace(host, "*", "_", 1) + ".pem"
}
