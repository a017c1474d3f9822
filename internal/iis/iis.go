package iis

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"tandem/internal/config"
)

// Options are what to import, and how.
type Options struct {
	File   string                            // name of the file, for messages
	Data   []byte                            // applicationHost.config, or a web.config alone
	Beside func(name string) ([]byte, error) // files that it names by configSource; nil: none can be read
	Disk   Disk                              // the sites' own files; nil: none can be read
	Extra  []Extra                           // web.config files that were given by name
	Site   string                            // only the site of that name; "": all
	Map    []Mapping                         // where directories of the server lie in the farm
	Taken  []string                          // site files that are there already, as "sites/shop.caddy"
	Have   []config.Folder                   // folders that are there already
}

// Disk reads the IIS server's disk, as far as it can be reached. Paths are the server's own.
type Disk interface {
	// WebConfigs are the directories in and below dir that hold a web.config, relative to it with slashes; "." is dir.
	WebConfigs(dir string) []string
	// ReadFile returns a file and the name by which people know it.
	ReadFile(path string) (data []byte, name string, err error)
}

// Extra is a web.config for the root of a site, in place of one on the disk.
type Extra struct {
	Site  string // name; "": whichever is imported
	Name  string // for messages
	Data  []byte
	Found bool // nobody asked for it: it is taken if there is but one site, and none in its directory
}

// Mapping says that a directory of the server lies elsewhere in the farm.
type Mapping struct{ From, To string }

// Result is what an import has made.
type Result struct {
	Sites    []SiteFile      `json:"sites"`
	Folders  []config.Folder `json:"-"` // name and path only; those of Options.Have are not among them
	Findings []Finding       `json:"findings"`
}

// SiteFile is a site file that was written for a site of IIS.
type SiteFile struct {
	Name     string `json:"site"`               // in IIS
	File     string `json:"file"`               // "sites/shop.caddy"
	Source   string `json:"-"`                  // its text
	Disabled string `json:"disabled,omitempty"` // why it is not to be served; empty: it is
}

// Import reads what opts say. An error means that the file can't be understood at all.
func Import(opts Options) (*Result, error) {
	doc, err := parse(opts.File, opts.Data, opts.Beside)
	if err != nil {
		return nil, err
	}
	im := &importer{opts: opts, taken: map[string]bool{}, claims: map[string]claim{}, maps: map[string]bool{}}
	for _, name := range opts.Taken {
		im.taken[strings.ToLower(name)] = true
	}
	if doc.root.name != "configuration" {
		return nil, fmt.Errorf("%s:%d: <%s> is not the beginning of a configuration of IIS, which is <configuration>", doc.name, doc.root.line, doc.root.name)
	}
	im.load(doc)
	if err := im.findSites(doc); err != nil {
		return nil, err
	}
	im.placeFolders()
	res := &Result{Folders: im.newFolders()}
	for _, s := range im.sites {
		res.Sites = append(res.Sites, im.write(s))
	}
	for _, d := range im.docs {
		im.leftovers(d.root)
	}
	res.Findings = im.findings.sorted()
	return res, nil
}

// importer is the state of one import.
type importer struct {
	opts     Options
	docs     []*document
	sites    []*site
	folders  []folder
	findings findings
	taken    map[string]bool  // names of site files, in lower case
	claims   map[string]claim // bindings, by address, port and host
	maps     map[string]bool  // physical paths that no mapping names
	ports    int              // given to applications so far
}

// load takes a document in: what it keeps in other files is put in its place.
func (im *importer) load(doc *document) {
	doc.root.used = true
	im.docs = append(im.docs, doc)
	im.include(doc.root, doc)
}

// include resolves configSource.
func (im *importer) include(n *node, doc *document) {
	if name := n.peek("configSource"); name != "" {
		was := n.used
		n.value("configSource")
		if err := im.replace(n, doc, name); err == nil {
			n.used = was
		} else {
			im.lost(n, fmt.Sprintf("<%s configSource=%q>", n.where(), name), "the file can't be read: "+err.Error())
		}
	}
	for _, k := range n.kids {
		im.include(k, doc)
	}
}

func (im *importer) replace(n *node, doc *document, name string) error {
	if doc.read == nil {
		return fmt.Errorf("it is not within reach")
	}
	data, err := doc.read(name)
	if err != nil {
		return err
	}
	part, err := parse(path.Join(path.Dir(strings.ReplaceAll(doc.name, `\`, "/")), strings.ReplaceAll(name, `\`, "/")), data, nil)
	if err != nil {
		return err
	}
	if part.root.name != n.name {
		return fmt.Errorf("it holds <%s>", part.root.name)
	}
	n.attrs = append(n.attrs, part.root.attrs...)
	n.kids = part.root.kids
	for _, k := range n.kids {
		k.parent = n
	}
	return nil
}

// slug is a name for files, folders and matchers: a-z, 0-9 and the separator.
func slug(s, sep string, limit int) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(s) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			if gap && b.Len() > 0 {
				b.WriteString(sep)
			}
			gap = false
			b.WriteRune(r)
		default:
			gap = true
		}
	}
	return strings.Trim(b.String()[:min(limit, b.Len())], sep)
}

// unique adds a number to a name that is taken.
func unique(name, sep string, taken func(string) bool) string {
	for i, try := 2, name; ; i++ {
		if !taken(try) {
			return try
		}
		try = fmt.Sprintf("%s%s%d", name, sep, i)
	}
}

func (im *importer) fileName(site string) string {
	name := unique(cmp.Or(slug(site, "-", 60), "site"), "-", func(n string) bool { return im.taken[config.SitesDir+"/"+n+".caddy"] })
	file := config.SitesDir + "/" + name + ".caddy"
	im.taken[file] = true
	return file
}

// has tells whether list has s, whatever the case.
func has(list []string, s string) bool {
	return slices.ContainsFunc(list, func(e string) bool { return strings.EqualFold(e, s) })
}
