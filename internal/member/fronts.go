package member

import (
	"context"

	"tandem/internal/config"
	"tandem/internal/control"
	"tandem/internal/farm"
	"tandem/internal/web"
)

// Fronts implements control.Fronter.
func (m *Member) Fronts(context.Context) (control.Fronts, error) {
	c := m.config()
	if c == nil {
		return control.Fronts{}, farm.Errorf("fronts", string(m.self), farm.Unavailable, "the member is starting")
	}
	out := control.Fronts{Farm: c.Farm.Name, Revision: c.Revision.String(), Nodes: []control.FrontNode{}}
	known := map[string][]control.SiteBinding{} // by expanded text: most site files are the same on all nodes
	for _, n := range c.With(farm.RoleNode) {
		here, state := config.MemberFile{}, m.own.get()
		if n.Name == m.self {
			here = m.file
		} else {
			state = m.links.get(n.Name).state
		}
		node := control.FrontNode{Name: n.Name, Host: n.Host(), Weight: n.Weight, Draining: state.Draining, Bindings: []control.SiteBinding{}}
		vars := c.Vars(n.Name, here)
		for _, site := range c.Sites {
			node.Bindings = append(node.Bindings, bindingsOf(site, vars, known)...)
		}
		out.Nodes = append(out.Nodes, node)
	}
	return out, nil
}

// bindingsOf are a site's on one member; none if the file can't be used there.
func bindingsOf(site config.Site, vars config.Vars, known map[string][]control.SiteBinding) []control.SiteBinding {
	text, faults := site.Expand(vars)
	if faults.Err() != nil {
		return nil
	}
	key := site.File + "\n" + text
	if all, ok := known[key]; ok {
		return all
	}
	bindings, _ := web.Bindings(site.File, text) // with faults there are none
	var all []control.SiteBinding
	for _, b := range bindings {
		all = append(all, control.SiteBinding{Site: site.File, Host: b.Host, Address: b.Address, TLS: b.TLS})
	}
	known[key] = all
	return all
}
