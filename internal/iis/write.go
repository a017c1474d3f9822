package iis

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"tandem/internal/config"
)

// write makes the file of a site.
func (im *importer) write(s *site) SiteFile {
	out := SiteFile{Name: s.name, File: im.fileName(s.name)}
	if !s.node.is("serverAutoStart", true) {
		out.Disabled = "serverAutoStart is false"
	}
	groups := byAddress(im.bindings(s, out.Disabled == ""))
	if len(groups) == 0 {
		if out.Disabled == "" {
			out.Disabled = "no binding is left that can be served"
		}
		groups = [][]binding{{{port: "80", host: slug(s.name, "-", 60) + ".invalid"}}}
	}
	if out.Disabled != "" {
		out.File += config.DisabledSuffix
		im.check(s.node, fmt.Sprintf("site %q", s.name), fmt.Sprintf("%s: it is written as %s, which is kept and not served; serve it with: tandem site enable %s", out.Disabled, out.File, strings.TrimSuffix(path.Base(out.File), config.SiteSuffix+config.DisabledSuffix)))
	}
	t := &text{}
	t.comment("Site %q of IIS, from %s. Lines of its files stand in brackets.", s.name, s.node.at())
	if out.Disabled != "" {
		t.comment("Not served: %s.", out.Disabled)
	}
	im.blocks(t, s, groups)
	out.Source = t.String() + "\n"
	return out
}

// blocks writes one block per address that is listened on. What they do stands in a snippet if there are several.
func (im *importer) blocks(t *text, s *site, groups [][]binding) {
	body := im.body(s)
	t.gap()
	if len(groups) == 1 {
		im.head(t, groups[0])
		t.add(body)
		t.close()
		return
	}
	name := slug(s.name, "-", 40)
	t.raw("(" + name + ") {")
	t.depth++
	t.add(body)
	t.close()
	for _, g := range groups {
		t.gap()
		im.head(t, g)
		t.put("import", name)
		t.close()
	}
}

// head opens a block for bindings of one address.
func (im *importer) head(t *text, g []binding) {
	var keys []string
	for _, b := range g {
		if !slices.Contains(keys, b.key()) {
			keys = append(keys, b.key())
		}
	}
	t.raw(strings.Join(keys, ", ") + " {")
	t.depth++
	if g[0].ip != "" {
		t.put("bind", g[0].ip)
	}
}

// body is all that a site does.
func (im *importer) body(s *site) *text {
	parts := make([]*parts, len(s.zones))
	for i, z := range slices.Backward(s.zones) {
		parts[i] = z.parts()
	}
	root := parts[len(parts)-1]
	t := &text{}
	if root.handler != nil && root.handler.files {
		im.putRoot(t, s.zones[len(s.zones)-1].dir.physical)
		t.put("read_your_writes")
	}
	t.add(im.logOf(s))
	if len(parts) == 1 {
		root.write(t)
	} else {
		im.several(t, s, parts)
	}
	t.add(root.errors)
	return t
}

// several writes the parts of a site that has more than one. What all have in common comes first.
func (im *importer) several(t *text, s *site, all []*parts) {
	root := all[len(all)-1]
	var kept []int
	for i, p := range all {
		if p == root || s.zones[i].stripped() && s.zones[i].path == s.zones[i].dir.url || !p.same(all[outerOf(s, i)]) {
			kept = append(kept, i)
		}
	}
	if len(kept) == 1 {
		root.write(t)
		return
	}
	shared := &parts{}
	for _, pick := range shared.fields() {
		first := *root.field(pick)
		common := !first.empty()
		for _, i := range kept {
			common = common && (*all[i].field(pick)).String() == first.String()
		}
		if !common && pick > fieldFilters {
			break // what comes later in a request must not overtake it
		}
		if !common {
			continue
		}
		*shared.field(pick) = first
		for _, i := range kept {
			*all[i].field(pick) = nil
		}
	}
	shared.plain(t)
	t.gap()
	t.open("route")
	shared.steps(t)
	for _, i := range kept {
		s.zones[i].write(t, all[i])
	}
	t.close()
}

// outerOf is the zone around a zone.
func outerOf(s *site, i int) int {
	for j := i + 1; j < len(s.zones); j++ {
		if _, in := below(s.zones[j].path, s.zones[i].path); in {
			return j
		}
	}
	return len(s.zones) - 1
}

// write puts a zone among the others of its site.
func (z *zone) write(t *text, p *parts) {
	t.gap()
	switch {
	case z.path == "/":
		t.open("handle")
	case z.stripped() && z.path == z.dir.url:
		t.comment("%s of %s (%s)", kindOf(z.dir), z.dir.physical, z.dir.node.at())
		t.put("redir", z.path, z.path+"/", "301")
		t.open("handle_path", z.path+"/*")
		z.im.putRoot(t, z.dir.root.physical)
	default:
		t.comment("settings of %s alone", z.path)
		name := "in_" + slug(z.path, "_", 40)
		t.matcher(name, [][]string{{"path", z.path, z.path + "/*"}})
		t.open("handle", "@"+name)
		if z.stripped() {
			z.im.putRoot(t, z.dir.root.physical)
			t.put("uri", "strip_prefix", z.dir.root.url)
		}
	}
	p.write(t)
	t.close()
}

func kindOf(d *vdir) string {
	if d.app == d.url {
		return "application " + d.url
	}
	return "virtual directory " + d.url
}
