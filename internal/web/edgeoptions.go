package web

import (
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"tandem/internal/config"
)

// edgeDirective holds what a block of a site file says to the edges. Caddy never sees it.
const edgeDirective = "edge"

// edgeOption is one option in a block's edge directive. read finds d at the option's name, takes its arguments and its
// block, and fails without saying where, unless it knows better (see at).
type edgeOption struct {
	read func(d *caddyfile.Dispenser, o *config.EdgeSite) error
	many bool // it may stand there several times
}

var edgeOptions = map[string]edgeOption{
	"affinity":     {read: readAffinity},
	"answer_time":  timeOption(func(o *config.EdgeSite) *time.Duration { return &o.AnswerTime }),
	"cache":        {read: readCache},
	"deadline":     timeOption(func(o *config.EdgeSite) *time.Duration { return &o.Deadline }),
	"eject":        {read: readEject},
	"keep_body":    {read: readKeepBody},
	"max_per_node": {read: readMaxPerNode},
	"passthrough":  {read: readPassthrough},
	"policy":       {read: readPolicy},
	"probe":        {read: readProbe},
	"retry_after":  timeOption(func(o *config.EdgeSite) *time.Duration { return &o.RetryAfter }),
	"retry_time":   timeOption(func(o *config.EdgeSite) *time.Duration { return &o.RetryTime }),
	"sorry_page":   {read: readSorry},
	"max_body":     {read: readMaxBody},
	"allow":        {read: func(d *caddyfile.Dispenser, o *config.EdgeSite) error { return readNetworks(d, &o.Allow) }, many: true},
	"deny":         {read: func(d *caddyfile.Dispenser, o *config.EdgeSite) error { return readNetworks(d, &o.Deny) }, many: true},
	"rate":         {read: readRate, many: true},
}

// Edge is what the live revision says to the edges about the host name's site; nil: there is no such site. Where a name has
// several blocks, as for HTTP and HTTPS, the first that has the directive speaks for all.
func (s *Sites) Edge(host string) *config.EdgeSite {
	targets := s.table.Load().all.find(normalHost(host))
	if len(targets) == 0 {
		return nil
	}
	for i := range targets {
		if o := targets[i].edge; o != nil {
			return o
		}
	}
	return s.silent
}

// Edges are the options of the blocks of the live revision that have any.
func (s *Sites) Edges() []*config.EdgeSite { return s.table.Load().edges }

// edgeOf is what the edges do for a block by its directive and by farm.toml; nil: as for any.
func (b *builder) edgeOf(st *site, bl *block) *config.EdgeSite {
	m := b.maintenance(st.file)
	if m == nil || len(bl.bindings) == 0 {
		return bl.edge
	}
	o := config.EdgeSite{Name: st.file + " " + bl.bindings[0].host}
	if bl.edge != nil {
		o = *bl.edge
	}
	o.Maintenance = m
	return &o
}

// takeEdge takes the edge directive out of a block, and reads it; nil: there is none.
func takeEdge(b *caddyfile.ServerBlock) (*config.EdgeSite, error) {
	var o *config.EdgeSite
	var others []caddyfile.Segment
	for _, s := range b.Segments {
		if s.Directive() != edgeDirective {
			others = append(others, s)
			continue
		}
		if o != nil {
			return nil, at(s[0], "a block has one edge directive at most")
		}
		o = &config.EdgeSite{Name: b.Keys[0].File + " " + b.Keys[0].Text}
		if err := readEdge(s, o); err != nil {
			return nil, err
		}
	}
	b.Segments = others
	return o, nil
}

func readEdge(s caddyfile.Segment, o *config.EdgeSite) error {
	d := caddyfile.NewDispenser(s)
	d.Next()
	if d.NextArg() {
		return at(d.Token(), "edge takes its options in a block: edge { policy least_connections }")
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		word := d.Token()
		option, known := edgeOptions[word.Text]
		switch {
		case !known:
			return at(word, "edge has no option %q", word.Text).hint(config.DidYouMean(word.Text, slices.Sorted(maps.Keys(edgeOptions))))
		case seen[word.Text] && !option.many:
			return at(word, "%s stands there twice", word.Text)
		}
		seen[word.Text] = true
		if err := option.read(d, o); err != nil {
			if placed := (*placedError)(nil); errors.As(err, &placed) {
				return err
			}
			return at(word, "%s: %w", word.Text, err)
		}
		if d.NextArg() {
			return at(d.Token(), "%s takes no %q", word.Text, d.Val())
		}
	}
	return nil
}

func readPassthrough(_ *caddyfile.Dispenser, o *config.EdgeSite) error {
	o.Passthrough = true
	return nil
}

// passable refuses to pass TLS through for a block that has none.
func passable(o *config.EdgeSite, bindings []binding) error {
	switch {
	case o == nil || !o.Passthrough:
		return nil
	case !slices.ContainsFunc(bindings, func(b binding) bool { return b.tls }):
		return errors.New("edge { passthrough } is for sites with HTTPS")
	case len(o.Rates) > 0 || o.MaxBody != 0 || o.MaxPerNode != 0:
		return errors.New("with passthrough the edge sees no requests: it can't hold them to rate, max_body or max_per_node")
	}
	return nil
}
