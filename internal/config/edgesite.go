package config

import (
	"net/netip"
	"time"
)

// EdgeSite is what one block of a site file says to the edges, in its directive edge. The zero value has all defaults. It
// is immutable.
type EdgeSite struct {
	// Name tells the block from all others, over revisions: what an edge remembers of a site it keeps by this name. Blocks
	// without the directive have none, and share what is kept for them.
	Name string

	Maintenance *Maintenance // nil: it is in service. The table of farm.toml, not an option

	Policy   Policy // empty: that of farm.toml
	Affinity Affinity

	Probe *Probe // nil: the node's own word counts
	Eject *Eject // nil: answers take no node out

	Sorry      string        // text or page for a request that no node can have; empty: the edge's own
	RetryAfter time.Duration // after which a visitor may come again; 0: DefaultRetryAfter

	KeepBody   Size          // bytes of a request's body that are read before a node is chosen; 0: as farm.toml says, as all below
	AnswerTime time.Duration // that a node may take to begin its answer
	RetryTime  time.Duration // after its beginning in which a request is tried again
	Deadline   time.Duration // after its beginning in which a request is answered

	MaxPerNode int // requests in flight to one node, besides what farm.toml says for all sites; 0: as many as that lets through

	CacheBytes int64 // of answers that edges may keep in memory; 0: none

	MaxBody     Size // of a request; 0: that of farm.toml; below 0: any
	Allow, Deny []netip.Prefix
	Rates       []RateLimit

	// Passthrough: TLS does not end at the edge, which gives the connections as they are to nodes that end it.
	Passthrough bool
}

// RateLimit is how often each address may ask for the paths that a pattern means. A * at the pattern's beginning or end
// stands for anything; the empty one means all paths.
type RateLimit struct {
	PerSecond float64
	Burst     int // requests that may come at once, at least 1
	Path      string
}

// Passes tells whether connections are given to nodes as they are now: in a maintenance the edge has to answer itself.
func (o *EdgeSite) Passes() bool { return o.Passthrough && o.Maintenance == nil }

// DefaultRetryAfter is when a visitor who could not be served may come again.
const DefaultRetryAfter = 3 * time.Second

// MaxKeepBody bounds KeepBody: it is memory for each request.
const MaxKeepBody = 64 << 20

// Affinity binds a visitor to a node, as long as that is fit. The zero value binds nobody.
type Affinity struct {
	By     By            // ByCookie: one that the edge sets; ByAddress
	Cookie string        // its name
	Drain  time.Duration // for how long a node that drains keeps its visitors
}

// Defaults of Affinity.
const (
	DefaultAffinityCookie = "tandem_node"
	DefaultAffinityDrain  = 30 * time.Second
)
