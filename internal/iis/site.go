package iis

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// site is a site of IIS.
type site struct {
	node    *node // <site>, or the root of a web.config that came alone
	name    string
	dirs    []*vdir  // the longest path first
	sources []source // of settings, in the order in which they were found
	zones   []*zone  // the deepest first; the last one is the root
}

// vdir is a virtual directory: of an application, at a path of the site, on the disk.
type vdir struct {
	node     *node
	app      string // path of its application
	url      string // path, "/" for the root, else without a slash at its end
	physical string // on the server's disk, environment variables filled in
	flat     bool   // web.config files below it do not count
	root     *vdir  // whose directory the site's paths are looked up in: itself, or one in whose tree it lies anyway
}

// source is an element that holds sections, and the path from which on they count.
type source struct {
	node  *node
	path  string // "": the whole server
	app   string // application that it is confined to; "": none
	depth int
}

// zone is a part of a site with settings of its own.
type zone struct {
	im    *importer
	site  *site
	path  string // as vdir.url
	dir   *vdir
	chain []source // outer to inner
	node  bool     // it is an application of iisnode, to which rules lead
}

// findSites makes the sites with the sources of their settings.
func (im *importer) findSites(doc *document) error {
	host := doc.root.child("system.applicationHost")
	if host == nil || host.child("sites") == nil {
		if !holds(doc.root, "system.webServer") {
			return fmt.Errorf("%s: there are neither <sites> nor a <system.webServer> in this file", doc.name)
		}
		im.lonely(doc)
		return nil
	}
	sites := host.child("sites")
	names := map[string]bool{}
	for _, n := range sites.all("site") {
		name := n.value("name")
		n.value("id")
		names[strings.ToLower(name)] = true
		if im.opts.Site != "" && !strings.EqualFold(name, im.opts.Site) {
			n.ignore()
			continue
		}
		s := &site{node: n, name: name}
		im.findDirs(s, sites)
		s.sources = append(s.sources, source{node: doc.root})
		im.sites = append(im.sites, s)
	}
	if len(im.sites) == 0 {
		if im.opts.Site == "" {
			return fmt.Errorf("%s:%d: there is no <site> in this list of sites", doc.name, sites.line)
		}
		return fmt.Errorf("%s:%d: there is no site called %q; there are: %s", doc.name, sites.line, im.opts.Site, strings.Join(siteNames(sites), ", "))
	}
	im.serverLocations(doc, names)
	for _, s := range im.sites {
		im.diskConfigs(s)
		im.makeZones(s)
	}
	return nil
}

func siteNames(sites *node) []string {
	var names []string
	for _, n := range sites.all("site") {
		names = append(names, n.value("name"))
	}
	return names
}

// lonely makes a site of a web.config without an applicationHost.config.
func (im *importer) lonely(doc *document) {
	name := cmp.Or(im.opts.Site, path.Base(path.Dir(strings.ReplaceAll(doc.name, `\`, "/"))))
	if name == "." || name == "/" || slug(name, "-", 60) == "" {
		name = "site"
	}
	s := &site{node: doc.root, name: name}
	s.dirs = []*vdir{{node: doc.root, app: "/", url: "/", physical: `C:\inetpub\` + name}}
	s.dirs[0].root = s.dirs[0]
	im.sites = []*site{s}
	im.addConfig(s, doc, "/")
	im.makeZones(s)
}

// holds tells whether a section group is in the configuration, or in a location of it.
func holds(root *node, name string) bool {
	return slices.ContainsFunc(root.kids, func(k *node) bool {
		return k.name == name || k.name == "location" && holds(k, name)
	})
}

// findDirs reads applications and virtual directories.
func (im *importer) findDirs(s *site, sites *node) {
	defaults := sites.child("virtualDirectoryDefaults")
	subDirs := defaults == nil || defaults.is("allowSubDirConfig", true)
	for _, app := range s.node.all("application") {
		at := cleanURL(app.value("path"))
		app.value("applicationPool") // what a pool does is the application's service's business
		app.value("serviceAutoStartEnabled")
		app.value("preloadEnabled")
		for _, v := range app.all("virtualDirectory") {
			url := cleanURL(path.Join(at, v.value("path")))
			v.value("logonMethod")
			d := &vdir{node: v, app: at, url: url, physical: expandEnv(v.value("physicalPath"))}
			d.flat = !v.is("allowSubDirConfig", subDirs)
			s.dirs = append(s.dirs, d)
			if strings.HasPrefix(d.physical, `\\`) {
				im.check(v, "<"+v.label()+"> on the share "+d.physical, "every node holds a copy of its own: put the files where the folder lies on the first one")
			}
		}
	}
	if len(s.dirs) == 0 {
		s.dirs = append(s.dirs, &vdir{node: s.node, app: "/", url: "/", physical: `C:\inetpub\wwwroot`})
		im.check(s.node, "site "+s.name, "it has no virtual directory; its files are taken to be in C:\\inetpub\\wwwroot")
	}
	slices.SortStableFunc(s.dirs, func(a, b *vdir) int { return len(b.url) - len(a.url) })
	if last := s.dirs[len(s.dirs)-1]; last.url != "/" {
		s.dirs = append(s.dirs, &vdir{node: s.node, app: "/", url: "/", physical: last.physical})
	}
	for _, d := range s.dirs {
		d.root = d
		for _, outer := range s.dirs {
			rest, in := below(outer.url, d.url)
			if outer != d && in && strings.EqualFold(d.physical, joinPhysical(outer.physical, rest)) {
				d.root = outer // the shortest one comes last
			}
		}
	}
	sites.child("siteDefaults")
	sites.child("applicationDefaults").skip("applicationPool")
}

// skip uses an attribute that says nothing to a site file; n may be nil.
func (n *node) skip(name string) {
	if n != nil {
		n.value(name)
	}
}

// cleanURL begins with a slash and ends with none, but for the root.
func cleanURL(p string) string {
	return path.Clean("/" + strings.ReplaceAll(strings.TrimSpace(p), `\`, "/"))
}

// below is the rest of a URL path under another one, with its slash; "" if they are the same.
func below(outer, inner string) (rest string, ok bool) {
	outer = strings.TrimSuffix(outer, "/")
	if len(inner) < len(outer) || !strings.EqualFold(inner[:len(outer)], outer) {
		return "", false
	}
	rest = strings.TrimSuffix(inner[len(outer):], "/")
	return rest, rest == "" || rest[0] == '/'
}

// serverLocations gives the sites what <location> of applicationHost.config says of them.
func (im *importer) serverLocations(doc *document, names map[string]bool) {
	for _, loc := range doc.root.all("location") {
		where := strings.Trim(strings.ReplaceAll(loc.value("path"), `\`, "/"), "/")
		where = strings.TrimPrefix(where, "MACHINE/WEBROOT/APPHOST/")
		loc.skip("overrideMode")
		loc.skip("allowOverride")
		name, rest, _ := strings.Cut(where, "/")
		if name == "" || name == "." {
			for _, s := range im.sites {
				s.sources = append(s.sources, source{node: loc})
			}
			continue
		}
		if !names[strings.ToLower(name)] {
			im.dropped(loc, "there is no site of this name")
			continue
		}
		found := false
		for _, s := range im.sites {
			if strings.EqualFold(s.name, name) {
				s.add(loc, cleanURL(rest))
				found = true
			}
		}
		if !found {
			loc.ignore() // of a site that is not asked for
		}
	}
}

// add takes sections that count from a path on.
func (s *site) add(n *node, at string) {
	src := source{node: n, path: at, depth: strings.Count(strings.TrimSuffix(at, "/"), "/") + 1}
	if !n.is("inheritInChildApplications", true) {
		src.app = s.dirOf(at).app
	}
	s.sources = append(s.sources, src)
}

// dirOf is the virtual directory that a path is in.
func (s *site) dirOf(url string) *vdir {
	for _, d := range s.dirs {
		if _, in := below(d.url, url); in {
			return d
		}
	}
	return s.dirs[len(s.dirs)-1]
}

// diskConfigs adds the web.config files of a site.
func (im *importer) diskConfigs(s *site) {
	given := false
	for _, x := range im.opts.Extra {
		if x.Found && (len(im.sites) != 1 || im.hasOwnConfig(s)) {
			continue
		}
		if x.Site == "" || strings.EqualFold(x.Site, s.name) {
			given = true
			im.read(s, x.Name, x.Data, "/", nil)
		}
	}
	if im.opts.Disk == nil {
		return
	}
	for _, d := range slices.Backward(s.dirs) {
		for _, rel := range im.opts.Disk.WebConfigs(d.physical) {
			at := cleanURL(path.Join(d.url, rel))
			if s.dirOf(at) != d || given && at == "/" || rel != "." && d.flat {
				continue // another virtual directory's, or not asked for, or not looked at by IIS
			}
			dir := joinPhysical(d.physical, "/"+rel)
			data, name, err := im.opts.Disk.ReadFile(joinPhysical(dir, "/web.config"))
			if err != nil {
				im.lost(d.node, "web.config of "+at, "it can't be read: "+err.Error())
				continue
			}
			im.read(s, name, data, at, func(file string) ([]byte, error) {
				data, _, err := im.opts.Disk.ReadFile(joinPhysical(dir, "/"+strings.ReplaceAll(file, `\`, "/")))
				return data, err
			})
		}
	}
}

// hasOwnConfig tells whether there is a web.config in the root of the site.
func (im *importer) hasOwnConfig(s *site) bool {
	return im.opts.Disk != nil && slices.Contains(im.opts.Disk.WebConfigs(s.dirs[len(s.dirs)-1].physical), ".")
}

// read adds a web.config to a site; one that can't be understood is a finding.
func (im *importer) read(s *site, name string, data []byte, at string, beside func(string) ([]byte, error)) {
	doc, err := parse(name, data, beside)
	if err != nil {
		im.lost(s.node, "web.config of "+at, "it can't be understood: "+err.Error())
		return
	}
	im.load(doc)
	im.addConfig(s, doc, at)
}

// addConfig adds a web.config that lies at a path, and its locations.
func (im *importer) addConfig(s *site, doc *document, at string) {
	s.add(doc.root, at)
	for _, loc := range doc.root.all("location") {
		loc.skip("allowOverride")
		loc.skip("overrideMode")
		s.add(loc, cleanURL(path.Join(at, strings.ReplaceAll(loc.value("path"), `\`, "/"))))
	}
}

// makeZones finds the parts of a site, and puts the sources of each in the order in which IIS applies them.
func (im *importer) makeZones(s *site) {
	slices.SortStableFunc(s.sources, func(a, b source) int { return a.depth - b.depth })
	seen := map[string]bool{}
	add := func(at string) {
		if seen[strings.ToLower(at)] {
			return
		}
		seen[strings.ToLower(at)] = true
		z := &zone{im: im, site: s, path: at, dir: s.dirOf(at)}
		for _, src := range s.sources {
			_, in := below(src.path, at)
			if src.path == "" || in && (src.app == "" || src.app == z.dir.app) {
				z.chain = append(z.chain, src)
			}
		}
		s.zones = append(s.zones, z)
	}
	for _, d := range s.dirs {
		add(d.url)
	}
	for _, src := range s.sources {
		add(cmp.Or(src.path, "/"))
	}
	slices.SortStableFunc(s.zones, func(a, b *zone) int {
		return cmp.Or(strings.Count(b.path, "/")-strings.Count(a.path, "/"), len(b.path)-len(a.path), strings.Compare(a.path, b.path))
	})
	// The root has no name after its slash, so it is last.
	slices.SortStableFunc(s.zones, func(a, b *zone) int { return boolInt(a.path == "/") - boolInt(b.path == "/") })
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// sections are the elements of that name that count in the zone, from the outer to the inner one, used.
func (z *zone) sections(name string) []*node {
	var found []*node
	for _, src := range z.chain {
		n := src.node
		for part := range strings.SplitSeq(name, "/") {
			if n = n.child(part); n == nil {
				break
			}
		}
		if n != nil {
			found = append(found, n)
		}
	}
	return found
}

// setting is an attribute of a section: the innermost value, and the element that it stands in.
func (z *zone) setting(section, name, otherwise string) (value string, from *node) {
	value = otherwise
	for _, n := range z.sections(section) {
		if v, ok := n.lookup(name); ok {
			value, from = v, n
		}
	}
	return value, from
}

// on reads a boolean setting.
func (z *zone) on(section, name string, otherwise bool) (bool, *node) {
	def := "false"
	if otherwise {
		def = "true"
	}
	v, from := z.setting(section, name, def)
	return strings.EqualFold(strings.TrimSpace(v), "true") || v == "1", from
}

// stripped tells whether the paths of the zone are looked up without the beginning of their virtual directory.
func (z *zone) stripped() bool { return z.dir.root.url != "/" }

// inside is a path of the site as handlers of the zone see it.
func (z *zone) inside(url string) string {
	if rest, in := below(z.dir.root.url, url); in && z.stripped() {
		return cmp.Or(rest, "/")
	}
	return url
}
