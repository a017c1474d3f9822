package member

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tandem/internal/acme"
	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/edge"
	"tandem/internal/farm"
	"tandem/internal/identity"
	"tandem/internal/peer"
	"tandem/internal/reload"
	"tandem/internal/shell"
	"tandem/internal/web"
)

// Settings that no configuration has.
const (
	ownAudit    = time.Hour // of Tandem's own folders
	ownPreserve = 64 << 20  // bytes
	stopTime    = 10 * time.Second
	// deadAfter is how long a session may be silent. A member that dies is noticed at once, by its closed socket; one
	// that only stalls, on a busy machine, should not be given up, and its visitors are the edge's probes' business.
	deadAfter = 3 * time.Second
)

// RunOptions are what a daemon needs.
type RunOptions struct {
	Paths   Paths
	Version string // of the program
	Log     *slog.Logger
	Ready   func() // called once, when the member serves

	// Sweep is the time between two looks for deletions that can be forgotten and for members that are away; 0: as usual.
	Sweep time.Duration
}

// Member is a running member of a farm.
type Member struct {
	self    farm.MemberID
	paths   Paths
	file    config.MemberFile
	version string
	since   time.Time
	log     *slog.Logger
	ctx     context.Context // ends when the member stops
	group   *errgroup.Group

	identity *identity.Identity
	invites  *identity.Invites
	journal  *control.Journal
	hub      *peer.Hub
	links    *links
	own      *ownState
	folders  *folders

	sweepEvery time.Duration // see RunOptions

	reload   *reload.Reloader
	shell    *shell.Shell
	web      *web.Sites
	visitors http.Handler // of requests that other members pass on
	certs    *certificates
	secrets  *secretKeeper
	acme     *acme.Issuer
	edge     *edge.Edge
	access   *edge.AccessLog

	drained atomic.Pointer[drainNote] // a person said so; nil: nobody did
	busy    atomic.Int64              // visitors' requests under way, those to be balanced counted too

	mu   sync.Mutex
	live *config.Config // what the parts run; nil before the first
}

// Run is the daemon: it builds the member and runs it until ctx ends.
func Run(ctx context.Context, o RunOptions) error {
	m, err := build(o)
	if err != nil {
		return err
	}
	return m.run(ctx, o.Ready)
}

// build makes all parts; nothing runs yet.
func build(o RunOptions) (*Member, error) {
	file, err := o.Paths.readMemberFile()
	if err != nil {
		return nil, err
	}
	if err := o.Paths.makeDirs(); err != nil {
		return nil, err
	}
	m := &Member{
		self: file.Name, paths: o.Paths, file: file, version: o.Version, since: time.Now(), log: o.Log.With("member", file.Name),
		links: newLinks(), sweepEvery: o.Sweep,
	}
	if m.identity, err = identity.Load(o.Paths.identity(), time.Now); err != nil {
		return nil, err
	}
	m.invites = identity.NewInvites(o.Paths.invites(), m.identity)
	if m.journal, err = control.OpenJournal(control.JournalOptions{
		Path: o.Paths.journal() + "/events.jsonl", Member: m.self, Log: m.log,
	}); err != nil {
		return nil, err
	}
	m.folders = newFolders(m)
	drained, err := m.paths.readDrain()
	if err != nil {
		return nil, err
	}
	m.drained.Store(drained)
	m.own = &ownState{state: farm.MemberState{Member: m.self, Version: m.version, Draining: drained != nil}}
	trust := identity.Trust{ID: m.identity, Keys: m.key}
	m.hub = peer.New(peer.Config{
		Self: m.self, Farm: m.identity.Farm(), Version: m.version, Listen: file.Listen, Identity: trust,
		Handler: m, Content: m, Parts: parts{m}, Joiner: m, Caller: m, Signer: m.identity, Renewer: m, Sink: m.sink, Log: m.log, Now: time.Now, DeadAfter: deadAfter,
	})
	m.own.tell = func(s farm.MemberState) {
		m.hub.SetState(s)
		m.edge.State(s) // an edge that is a node too
		m.edge.SetDraining(s.Draining)
	}
	if err := m.buildServing(); err != nil {
		return nil, err
	}
	found, err := m.paths.founds()
	if err != nil {
		return nil, err
	}
	m.reload = reload.New(reload.Config{
		Self: m.self, ConfigDir: m.paths.Config, RevisionDir: m.paths.revisions(), StateDir: m.paths.live(),
		Parts: []reload.Part{servingPart{m}}, Found: found, Sink: m.sink, Log: m.log, Watch: watcher{m},
		Published: func(v farm.Verdict) { m.own.change(func(s *farm.MemberState) { s.Verdict = v }) },
	})
	return m, nil
}

// buildServing makes what visitors meet.
func (m *Member) buildServing() error {
	m.secrets = newSecretKeeper(m)
	m.certs = newCertificates(m)
	m.acme = acme.New(acme.Config{
		Self: m.self, Dir: m.paths.acme(), Stage: m.paths.certStage(), Farm: acmeFarm{m}, Sink: m.sink, Log: m.log.With("part", "acme"),
	})
	// No secret, as edges share none: who sees a visitor's packets, and so the id of the connection, could stop these just as well.
	resets := sha256.Sum256([]byte("tandem quic reset\x00" + m.identity.Farm()))
	m.shell = shell.New(shell.Config{Resets: &resets, Certificate: m.certs.get, Protocols: []string{acme.ALPN}, Minimum: func(host string) uint16 { return m.web.Minimum(host) }, HTTP3: true, Log: m.log, Sink: m.sink})
	parent, err := m.shell.Caddy()
	if err != nil {
		return err
	}
	m.web = web.New(web.Config{
		Parent: parent, Self: m.self, Here: m.file, Unseal: m.secrets.open, Own: m.ownIP, Consistency: m, Forwarder: newForwarder(m),
		VisitKey: m.identity.VisitKey(), Sink: m.sink, Log: m.log,
	})
	m.visitors = m.counted(m.web.Trusted())
	m.access = edge.NewAccessLog(m.sink)
	m.edge = edge.New(edge.Config{Access: m.access, Dialer: dialer{m}, Site: m.web.Edge, VisitKey: m.identity.VisitKey(), Digest: contentDigest,
		Sink: m.sink, Log: m.log, Now: time.Now})
	return nil
}

// sink is where all parts' events go.
func (m *Member) sink(e farm.Event) {
	if e.Severity == farm.Info && strings.HasPrefix(e.Subject, probePrefix) {
		return // a probe would drown what matters
	}
	m.journal.Sink(e)
}

// config is the configuration that the parts run.
func (m *Member) config() *config.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.live
}

// key implements identity.Keys over the live configuration, so that removing a member revokes it at once.
func (m *Member) key(name farm.MemberID) (string, bool) {
	c := m.config()
	if c == nil {
		return "", false
	}
	mem, ok := c.Member(name)
	return mem.Key, ok
}

// ownIP tells whether bindings may use the address on this member.
func (m *Member) ownIP(ip netip.Addr) bool {
	return slices.Contains(m.ownAddresses(), ip.Unmap().String())
}

// ownAddresses are the addresses that bindings may use on this member: those of member.toml, else of the interfaces.
func (m *Member) ownAddresses() []string {
	if len(m.file.Addresses) > 0 {
		return m.file.Addresses
	}
	var ips []string
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		m.log.Warn("interfaces can't be listed", "err", err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			ips = append(ips, n.IP.String())
		}
	}
	return ips
}
