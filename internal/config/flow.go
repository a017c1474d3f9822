package config

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"tandem/internal/farm"
)

// patterns checks a folder's patterns and notes in which lines they stand.
func (d *decoder) patterns(f Folder, key string, list []string) {
	for i, p := range list {
		name := fmt.Sprintf("%s[%d]", key, i)
		at, ok := d.taken("folder." + string(f.Name) + "." + name)
		if !ok {
			continue
		}
		f.Lines[name] = at.line
		const hint = "patterns are relative to the folder; * matches within a name, ** over directories"
		switch {
		case strings.Trim(p, "/") == "" || strings.HasPrefix(p, "/") || !doublestar.ValidatePattern(p):
			d.fault(at, hint, "%q is not a pattern", p)
		case key == "include" && slashInBraces(p):
			d.fault(at, "write two patterns", "%q: include takes no slash between braces", p)
		}
	}
}

func slashInBraces(p string) bool {
	depth := 0
	for _, c := range p {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == '/' && depth > 0:
			return true
		}
	}
	return false
}

// readers checks who may only read a folder.
func (d *decoder) readers(c *Config) {
	for _, f := range c.Folders {
		for key, list := range map[string][]farm.MemberID{"read_only": f.ReadOnly, "from": f.From} {
			for i, id := range list {
				at, ok := d.taken(fmt.Sprintf("folder.%s.%s[%d]", f.Name, key, i))
				if !ok {
					continue
				}
				if m, found := c.Member(id); !found || !m.Has(farm.RoleNode) {
					// A warning: a member that is removed from the farm must not be held back by it.
					d.fault(at, "", "%q is no node of this farm", id)
					d.faults[len(d.faults)-1].Warning = true
				}
			}
		}
		nodes := c.With(farm.RoleNode)
		writers := 0
		for _, m := range nodes {
			if !f.ReadOnlyOn(m.Name) {
				writers++
			}
		}
		if at, ok := d.taken("folder." + string(f.Name) + ".path"); ok && len(nodes) > 0 && writers == 0 {
			d.fault(at, "see its keys read_only and from", "folder %s is only read on every node: nobody could change it", f.Name)
		}
	}
}
