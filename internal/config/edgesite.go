package config

import "time"

// EdgeSite is what one block of a site file says to the edges, in its directive edge. The zero value has all defaults. It
// is immutable.
type EdgeSite struct {
	// Name tells the block from all others, over revisions: what an edge remembers of a site it keeps by this name. Blocks
	// without the directive have none, and share what is kept for them.
	Name string

	Policy   Policy // empty: that of farm.toml
	Affinity Affinity
}

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
