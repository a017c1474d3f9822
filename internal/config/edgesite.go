package config

// EdgeSite is what one block of a site file says to the edges, in its directive edge. The zero value has all defaults. It
// is immutable.
type EdgeSite struct {
	// Name tells the block from all others, over revisions: what an edge remembers of a site it keeps by this name. Blocks
	// without the directive have none, and share what is kept for them.
	Name string

	Policy Policy // zero: that of farm.toml
}
