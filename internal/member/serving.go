package member

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"tandem/internal/config"
	"tandem/internal/edge"
	"tandem/internal/farm"
	"tandem/internal/peer"
	"tandem/internal/reload"
	"tandem/internal/shell"
)

// servingPart is the member as the part that a configuration is for. All that can refuse a configuration is done in
// Prepare.
type servingPart struct{ m *Member }

// Prepare implements reload.Part.
func (p servingPart) Prepare(ctx context.Context, old, c *config.Config) (reload.Prepared, error) {
	sites, err := p.m.web.Prepare(ctx, old, c)
	if sites == nil {
		return nil, err
	}
	return &prepared{m: p.m, config: c, sites: sites}, err // with sites, the error only names those that are refused
}

type prepared struct {
	m      *Member
	config *config.Config
	sites  reload.Prepared
}

// Discard implements reload.Prepared.
func (p *prepared) Discard() { p.sites.Discard() }

// Commit implements reload.Prepared. From here on the configuration is what the member runs.
func (p *prepared) Commit() {
	m, c := p.m, p.config
	m.mu.Lock()
	old := m.live
	m.live = c
	m.mu.Unlock()
	me, _ := c.Member(m.self)
	m.own.change(func(s *farm.MemberState) { s.Roles = me.Roles })
	var others []peer.Member
	for _, mem := range c.Members {
		if mem.Name != m.self {
			others = append(others, peer.Member{ID: mem.Name, Address: mem.Address, Roles: mem.Roles,
				Apart: !c.Linked(m.self, mem.Name)})
		}
	}
	m.hub.SetMembers(others)
	m.setLimits(c, time.Now())
	m.folders.apply()
	m.repace(old, c)
	m.journal.Keep(c.Events.Keep)
	p.sites.Commit()
	m.serveEdge(c, me)
	m.applyFronts(c, me)
	m.certs.changed()
}

// serveEdge tells the balancer which nodes there are.
func (m *Member) serveEdge(c *config.Config, me config.Member) {
	if !me.Has(farm.RoleEdge) {
		m.edge.SetNodes(nil)
		m.edge.SetSites(nil)
		m.access.Set(edge.LogFile{})
		return
	}
	var nodes []edge.Node
	for _, n := range c.With(farm.RoleNode) {
		nodes = append(nodes, edge.Node{ID: n.Name, Host: n.Host(), Key: n.Key, Weight: n.Weight, Spare: n.Spare})
	}
	m.edge.SetLimits(edge.Limits{
		MaxPerNode: c.Edge.MaxPerNode, MaxQueue: c.Edge.MaxQueue, AnswerTime: c.Edge.AnswerTime, HideNode: c.Edge.HideNode, SlowStart: c.Edge.SlowStart,
		KeepBody: int64(c.Edge.KeepBody), RetryTime: c.Edge.RetryTime, Deadline: c.Edge.Deadline,
	})
	m.access.Set(edge.LogFile{
		Path: strings.ReplaceAll(c.Edge.AccessLog, "{member.name}", string(m.self)), Format: c.Edge.AccessLogFormat, Size: int64(c.Edge.AccessLogSize),
		Age: c.Edge.AccessLogAge, Keep: c.Edge.AccessLogKeep,
	})
	m.edge.SetGuard(edge.Guard{
		Allow: c.Edge.Allow, Deny: c.Edge.Deny, Trusted: c.Edge.TrustedProxies, MaxBody: int64(c.Edge.MaxBody), MaxPerAddress: c.Edge.MaxPerAddress,
	})
	m.edge.SetPolicy(c.Edge.Policy)
	m.edge.SetNodes(nodes)
	m.edge.SetSites(m.web.Edges())
}

// applyFronts listens where the edge and the sites' bindings want it, on addresses that are this member's own. Where both
// want a port, the edge takes it: its visitors are balanced over all nodes, this one too.
func (m *Member) applyFronts(c *config.Config, me config.Member) {
	m.shell.SetDoor(shell.Door{
		MaxConnections: c.Edge.MaxConnections, MaxPerAddress: c.Edge.MaxPerAddress, Exempt: c.Edge.TrustedProxies, ProxyFrom: c.Edge.ProxyProtocol,
	})
	limits := shell.Limits{
		HeaderBytes: int(c.Edge.MaxHeader), HeaderTime: c.Edge.HeaderTime, IdleTime: c.Edge.IdleTime, StallTime: c.Edge.StallTime, MinUpload: int64(c.Edge.MinUpload),
	}
	var fronts []shell.Front
	if me.Has(farm.RoleEdge) {
		for _, at := range m.edgeBindings(c) {
			if !at.skipped {
				fronts = append(fronts, shell.Front{Name: "edge", Address: at.address, TLS: at.tls, Pass: passing{m.edge}, Direct: true, Limits: limits, Moves: len(c.Edge.VirtualAddress) > 0, Handler: m.edge})
			}
		}
	}
	if me.Has(farm.RoleNode) {
		for _, f := range m.web.Fronts() {
			if !slices.ContainsFunc(fronts, func(e shell.Front) bool { return overlap(e.Address, f.Address) }) {
				f.Handler = m.answerBalancers(f.Handler)
				fronts = append(fronts, f)
			}
		}
	}
	for i, f := range fronts {
		fronts[i].Handler = m.counted(f.Handler)
		if !f.TLS {
			fronts[i].Handler = m.acme.Answer(fronts[i].Handler)
		}
	}
	if err := m.shell.Apply(m.ctx, fronts); err != nil {
		m.log.Warn("not all addresses can be listened on", "err", err)
	}
}

// overlap tells whether two addresses can't be listened on at once: the same port, on one interface or on all.
func overlap(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil {
		return a == b
	}
	return portA == portB && (hostA == hostB || everywhere(hostA) || everywhere(hostB))
}

func everywhere(host string) bool {
	return host == "" || net.ParseIP(host).IsUnspecified()
}

// edgeBinding is an address of the [edge] table.
type edgeBinding struct {
	address string
	tls     bool
	skipped bool // it is another member's
}

func (m *Member) edgeBindings(c *config.Config) []edgeBinding {
	own := m.ownAddresses()
	var all []edgeBinding
	add := func(list []string, tls bool) {
		for _, a := range list {
			host, _, err := net.SplitHostPort(a)
			wild := err == nil && everywhere(host)
			all = append(all, edgeBinding{a, tls, !wild && !slices.Contains(own, host)})
		}
	}
	add(c.Edge.HTTP, false)
	add(c.Edge.HTTPS, true)
	return all
}

// serveFarm answers what other members send over the farm's mTLS: probes, and visitors' requests.
func (m *Member) serveFarm(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == edge.HealthPath {
		m.serveHealth(w)
		return
	}
	if r.URL.Path == edge.PassPath {
		m.takePassed(w, r)
		return
	}
	m.visitors.ServeHTTP(w, r)
}

// serveHealth says to edges whether this node works, and whether something is amiss. That it drains they know from its state:
// a node that drains still serves those who are bound to it.
func (m *Member) serveHealth(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	if why := m.broken(); why != "" {
		w.Header().Set(edge.StrainHeader, oneLine(why))
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	if why := m.strain(); why != "" {
		w.Header().Set(edge.StrainHeader, oneLine(why))
	}
	_, _ = w.Write([]byte("ok\n")) // an edge that has left is no error of ours
}

// unfit says why this node should get no visitors; empty: it is fit.
func (m *Member) unfit() string {
	if m.own.get().Draining {
		return "draining"
	}
	return m.broken()
}

// broken says why this node can't serve; empty: it can.
func (m *Member) broken() string {
	c := m.config()
	if c == nil {
		return "no configuration is live"
	}
	for _, spec := range m.specs(c) {
		f := m.folders.get(spec.id)
		if f == nil {
			return "folder " + string(spec.id) + " is halted"
		}
		if _, sum := f.runner.State(); sum.Seeding {
			return "folder " + string(spec.id) + " is being seeded"
		}
	}
	return ""
}

// oneLine makes s fit for a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
