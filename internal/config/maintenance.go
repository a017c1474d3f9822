package config

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
	"time"

	"tandem/internal/farm"
)

// AllSites stands for all sites in the name of a maintenance table.
const AllSites = "*"

// Maintenance is a table [maintenance.SITE]: while it stands there, edges answer for the site themselves.
type Maintenance struct {
	Site       string        `toml:"-"` // name of the site file without directory and ending, or AllSites
	Message    string        `toml:"message" doc:"what visitors read, or a whole page that begins with <; without it the site's sorry_page, or a page of the edge's own" example:"\"back at noon\""`
	RetryAfter time.Duration `toml:"retry_after" default:"\"5m\"" min:"1s" doc:"after which visitors may come again: Retry-After of the answers, which have status 503"`
	Allow      []string      `toml:"allow,orone" doc:"addresses and networks whose visitors get through to the site" example:"[\"192.0.2.7\", \"2001:db8::/32\"]"`

	Admits []netip.Prefix `toml:"-"` // Allow, parsed
}

// SiteName is how commands and tables call a site file: "sites/shop.caddy" is "shop".
func SiteName(file string) string { return strings.TrimSuffix(path.Base(file), ".caddy") }

// InMaintenance is the table that is for a site file; nil: it is not in maintenance.
func (c *Config) InMaintenance(file string) *Maintenance {
	var all *Maintenance
	for i, m := range c.Maintenance {
		switch m.Site {
		case SiteName(file):
			return &c.Maintenance[i]
		case AllSites:
			all = &c.Maintenance[i]
		}
	}
	return all
}

// Lets tells whether a visitor from the address gets through.
func (m *Maintenance) Lets(a netip.Addr) bool {
	return slices.ContainsFunc(m.Admits, func(p netip.Prefix) bool { return p.Contains(a) })
}

// maintenance checks one table, and parses its addresses.
func (d *decoder) maintenance(m Maintenance) Maintenance {
	key := "maintenance." + m.Site
	if m.Site != AllSites && !sitePattern.MatchString(SitesDir+"/"+m.Site+".caddy") {
		d.fault(d.places[key+"#"], "use the name of its file without .caddy, or \"*\" for all sites", "%q is no name of a site", m.Site)
	}
	for i, a := range m.Allow {
		p, err := parseAllowed(a)
		if at, ok := d.taken(fmt.Sprintf("%s.allow[%d]", key, i)); ok && err != nil {
			d.fault(at, "write \"192.0.2.7\" or \"192.0.2.0/24\"", "%s", err)
			continue
		}
		m.Admits = append(m.Admits, p)
	}
	return m
}

func parseAllowed(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is neither an address nor a network", s)
	}
	return p.Masked(), nil
}

// SetMaintenance returns farm.toml with a table for m in the place of one that there is; all else stays as it is. Invalid
// with Faults if the table would not do.
func SetMaintenance(src []byte, m Maintenance) ([]byte, error) {
	blocks, name, err := withoutMaintenance(src, m.Site)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "[%s]\n", name)
	if m.Message != "" {
		fmt.Fprintf(&b, "message = %s\n", tomlString(m.Message))
	}
	if m.RetryAfter != 0 {
		fmt.Fprintf(&b, "retry_after = %s\n", tomlString(m.RetryAfter.String()))
	}
	if len(m.Allow) > 0 {
		fmt.Fprintf(&b, "allow = %s\n", quoteList(m.Allow))
	}
	newline := newlineOf(src)
	out := joinBlocks(separate(appendBlock(blocks, block{name: name, text: strings.ReplaceAll(b.String(), "\n", newline)}, newline), newline))
	if _, faults := parseFarm(out); faults.Err() != nil {
		return nil, &farm.Error{Op: "maintenance", Path: m.Site, Kind: farm.Invalid, Err: faults.Errors()}
	}
	return out, nil
}

// EndMaintenance returns farm.toml without the site's table. NotFound if there is none, Unsupported if it is written in a way
// that can't be cut out.
func EndMaintenance(src []byte, site string) ([]byte, error) {
	c, _ := parseFarm(src)
	stands := func(c *Config) bool {
		return slices.ContainsFunc(c.Maintenance, func(m Maintenance) bool { return m.Site == site })
	}
	if !stands(c) {
		return nil, farm.Errorf("maintenance", site, farm.NotFound, "it is not in maintenance")
	}
	blocks, name, err := withoutMaintenance(src, site)
	if err != nil {
		return nil, err
	}
	out := joinBlocks(separate(blocks, newlineOf(src)))
	if c, faults := parseFarm(out); faults.Err() != nil || stands(c) {
		return nil, &farm.Error{Op: "maintenance", Path: site, Kind: farm.Unsupported, Next: "take it out with an editor",
			Err: fmt.Errorf("it does not stand in a table [%s] of its own", name)}
	}
	return out, nil
}

// withoutMaintenance is farm.toml without a site's table, and how that is called.
func withoutMaintenance(src []byte, site string) (blocks []block, name string, err error) {
	_, faults := parseFarm(src)
	blocks, ok := splitBlocks(src)
	if !ok {
		return nil, "", &farm.Error{Op: "maintenance", Path: site, Kind: farm.Invalid, Err: faults}
	}
	name = "maintenance." + tomlKey(site)
	return slices.DeleteFunc(blocks, func(b block) bool { return b.name == name }), name, nil
}
