package web

import (
	"cmp"
	"crypto/tls"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// SecureHost is a host name that a site answers to with HTTPS.
type SecureHost struct {
	Host     string // "*.example.com"; empty: any
	File     string // of the site
	Internal bool   // it wants no certificate but the farm's own: tls internal
}

// Secure is the site that answers to a host with HTTPS.
func (s *Sites) Secure(host string) (SecureHost, bool) {
	for _, t := range s.table.Load().all.find(normalHost(host)) {
		if t.tls {
			return SecureHost{t.host, t.site.file, t.block.tls.internal}, true
		}
	}
	return SecureHost{}, false
}

// Minimum is the least version of TLS that the host's site takes; 0: it does not say.
func (s *Sites) Minimum(host string) uint16 {
	for _, t := range s.table.Load().all.find(normalHost(host)) {
		if t.tls {
			return t.block.tls.minimum
		}
	}
	return 0
}

// tlsOptions are what a block's tls directive says.
type tlsOptions struct {
	internal bool   // a certificate of the farm's own
	minimum  uint16 // version; 0: not said
}

var versions = map[string]uint16{"tls1.2": tls.VersionTLS12, "tls1.3": tls.VersionTLS13}

// readTLS reads a block's tls directives, and refuses what the certificate store does.
func readTLS(b caddyfile.ServerBlock) (o tlsOptions, err error) {
	for _, s := range b.Segments {
		if s.Directive() != "tls" {
			continue
		}
		d := caddyfile.NewDispenser(s)
		d.Next()
		for _, arg := range d.RemainingArgs() {
			if arg != "internal" {
				return o, at(s[0], "certificates come from the certificate store or by [acme] in farm.toml; tls takes \"internal\" or protocols only")
			}
			o.internal = true
		}
		for d.NextBlock(0) {
			word := d.Token()
			args := d.RemainingArgs()
			version, known := uint16(0), false
			if len(args) == 1 {
				version, known = versions[args[0]]
			}
			if word.Text != "protocols" || !known {
				return o, at(word, "tls takes \"protocols tls1.2\" or \"protocols tls1.3\" in its block, the least version")
			}
			o.minimum = version
		}
	}
	return o, nil
}

// SecureHosts are the host names with HTTPS of the live revision, each once, by name.
func (s *Sites) SecureHosts() []SecureHost {
	var all []SecureHost
	seen := map[string]bool{}
	for _, st := range s.table.Load().sites {
		for _, b := range st.blocks {
			for _, bind := range b.bindings {
				if bind.tls && !seen[bind.host] {
					seen[bind.host] = true
					all = append(all, SecureHost{bind.host, st.file, b.tls.internal})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b SecureHost) int { return cmp.Compare(a.Host, b.Host) })
	return all
}
