package web

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// Config is what Sites needs.
type Config struct {
	Parent      caddy.Context // of the shell
	Self        farm.MemberID
	Here        config.MemberFile                         // values of placeholders that differ here
	Unseal      func(name, sealed string) (string, error) // opens a secret; nil: this member needs none, and something stands for them
	Own         func(ip netip.Addr) bool                  // is the address one of this member's
	Consistency Consistency                               // nil: read_your_writes and confirm are refused
	VisitKey    []byte                                    // signs what visitors bring, the same on all nodes; see farm.Visit
	Sink        farm.Sink                                 // nil: nobody is told
	Forwarder   Forwarder                                 // nil: nothing is passed on
	Log         *slog.Logger
}

// Sites is all sites of the farm as this node serves them.
type Sites struct {
	cfg     Config
	writers *caddy.UsagePool // of access logs
	table   atomic.Pointer[table]
	live    atomic.Pointer[[]SiteStatus]
	silent  *config.EdgeSite // of blocks that say nothing to the edges

	requests, failures atomic.Uint64 // see Counts

	writes sync.Map // *atomic.Int64 by folder: unsafe requests that have not taken their barrier
}

// SiteStatus is how a site file fares here.
type SiteStatus struct {
	File     string
	Hosts    []string      // names that it answers to, each once
	Bindings []string      // that are served, as "https://example.com on :443"
	Serving  []string      // addresses of these bindings, each once
	Skipped  []string      // addresses that are not this member's
	Faults   config.Faults // why the file is not in use; what it was before goes on
}

// New returns Sites that serve nothing yet.
func New(cfg Config) *Sites {
	if cfg.Sink == nil {
		cfg.Sink = func(farm.Event) {}
	}
	s := &Sites{cfg: cfg, writers: caddy.NewUsagePool(), silent: &config.EdgeSite{}}
	if cfg.Consistency != nil {
		s.cfg.Parent.FileSystems().Register(etagsFS, etags{cfg.Consistency.Digest})
	}
	s.table.Store(newTable())
	s.live.Store(&[]SiteStatus{})
	return s
}

func newTable() *table {
	return &table{fronts: map[string]*hosts{}, narrow: map[string]bool{}, all: newHosts()}
}

// writing counts the unsafe requests under way on sites of the folder.
func (s *Sites) writing(f farm.FolderID) *atomic.Int64 {
	n, ok := s.writes.Load(f)
	if !ok {
		n, _ = s.writes.LoadOrStore(f, new(atomic.Int64))
	}
	return n.(*atomic.Int64)
}

// Status is how the site files of the live revision fare, ordered by file.
func (s *Sites) Status() []SiteStatus { return *s.live.Load() }

// Prepared is a revision that is ready to serve. Exactly one of its methods must be called.
type Prepared = interface {
	// Commit makes the revision live: the next request uses it. Requests in flight finish with what they began with.
	Commit()
	// Discard unloads what was prepared.
	Discard()
}

// prepared is what a builder has made.
type prepared struct {
	sites  *Sites
	table  *table
	loaded []*site // that the live table does not have
	status []SiteStatus
}

// Commit implements Prepared.
func (p *prepared) Commit() {
	old := p.sites.table.Swap(p.table)
	p.sites.live.Store(&p.status)
	kept := make(map[*site]bool, len(p.table.sites))
	for _, st := range p.table.sites {
		kept[st] = true
	}
	for _, st := range old.sites {
		if !kept[st] {
			st.release()
		}
	}
}

// Discard implements Prepared.
func (p *prepared) Discard() {
	for _, st := range p.loaded {
		st.release()
	}
}

// Prepare loads the sites of a revision beside those that are live. What did not change is taken over. Sites that can't
// be used are named by the error, a config.SiteFaults; Prepared is then still good, and has what the live revision
// serves for these files, if anything. A member that is no node only learns the names.
func (s *Sites) Prepare(ctx context.Context, _, next *config.Config) (Prepared, error) {
	b := newBuilder(s, next)
	for _, src := range b.takeOver(next.Sites) {
		if err := ctx.Err(); err != nil {
			b.out.Discard()
			return nil, err
		}
		if faults := b.load(src); faults != nil {
			b.faults[src.file] = faults
		}
	}
	b.keepOld()
	slices.SortFunc(b.out.status, func(x, y SiteStatus) int { return strings.Compare(x.File, y.File) })
	if len(b.faults) > 0 {
		return b.out, b.faults
	}
	return b.out, nil
}

// Close unloads all sites once their requests are through.
func (s *Sites) Close() {
	(&prepared{sites: s, table: newTable()}).Commit()
}
