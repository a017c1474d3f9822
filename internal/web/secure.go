package web

import (
	"cmp"
	"slices"
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
			return SecureHost{t.host, t.site.file, t.block.internal}, true
		}
	}
	return SecureHost{}, false
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
					all = append(all, SecureHost{bind.host, st.file, b.internal})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b SecureHost) int { return cmp.Compare(a.Host, b.Host) })
	return all
}
