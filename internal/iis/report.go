package iis

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Kinds of findings.
const (
	Lost  = "lost"  // it is not in the site files
	Check = "check" // it is, in another way than in IIS, or with a value that has to be looked at
	Note  = "note"  // it is not the web server's business, or nothing has to be done
)

// Finding is something in the input that an admin has to know of.
type Finding struct {
	Kind string `json:"kind"`
	File string `json:"file"`
	Line int    `json:"line"`
	What string `json:"what"` // the element or attribute
	Why  string `json:"why"`  // why, and what to do instead
}

// String is "file:line: what: why".
func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.What, f.Why)
}

// findings are all, each once.
type findings struct {
	all  []Finding
	seen map[Finding]bool
}

func (fs *findings) add(kind string, n *node, line int, what, why string) {
	f := Finding{kind, n.doc.name, line, what, why}
	if fs.seen[f] {
		return
	}
	if fs.seen == nil {
		fs.seen = map[Finding]bool{}
	}
	fs.seen[f] = true
	fs.all = append(fs.all, f)
}

func (fs *findings) sorted() []Finding {
	rank := map[string]int{Lost: 0, Check: 1, Note: 2}
	slices.SortStableFunc(fs.all, func(a, b Finding) int {
		return cmp.Or(rank[a.Kind]-rank[b.Kind], strings.Compare(a.File, b.File), a.Line-b.Line)
	})
	return fs.all
}

func (im *importer) lost(n *node, what, why string)  { im.findings.add(Lost, n, n.line, what, why) }
func (im *importer) check(n *node, what, why string) { im.findings.add(Check, n, n.line, what, why) }
func (im *importer) note(n *node, what, why string)  { im.findings.add(Note, n, n.line, what, why) }

// dropped reports an element that was looked at and can't be said, with all that it holds.
func (im *importer) dropped(n *node, why string) {
	n.ignore()
	im.lost(n, "<"+n.label()+">", why)
}

// leftovers reports what nobody has asked for and what does not have its default.
func (im *importer) leftovers(n *node) {
	if !n.used && n.gone {
		return
	}
	if !n.used {
		im.unused(n)
		return
	}
	for _, a := range n.attrs {
		if !a.used && !isDefault(n, a) {
			im.findings.add(Lost, n, a.line, fmt.Sprintf(`%s="%s" of <%s>`, a.name, a.shown(), n.label()), reasonFor(n.where()+"/@"+a.name))
		}
	}
	for _, k := range n.kids {
		im.leftovers(k)
	}
}

// unused reports an element as a whole, or what in it is not as IIS has it anyway.
func (im *importer) unused(n *node) {
	if isMachinery(n) || allDefault(n) {
		return
	}
	where := n.where()
	switch {
	case n.parent != nil && n.parent.parent == nil && !strings.HasPrefix(n.name, "system.") && n.name != "location":
		im.note(n, "<"+n.name+">", "the application reads it, not the web server")
	case n.name == "system.ftpServer":
		im.note(n, "<system.ftpServer>", "there is no FTP")
	case strings.HasPrefix(where, "system.applicationHost/applicationPools/"):
		im.note(n, "<"+n.label()+">", reasonFor(where))
	case strings.HasPrefix(where, "system.web/") || n.name == "system.web" && len(n.kids) == 0:
		im.note(n, "<"+n.label()+">", reasonFor("system.web"))
	case len(n.kids) > 0 && len(n.attrs) == 0:
		for _, k := range n.kids {
			im.leftovers(k)
		}
	default:
		im.lost(n, "<"+n.label()+">", reasonFor(where))
	}
}

// shown is the value as a report may have it: no secrets.
func (a attr) shown() string {
	if name := strings.ToLower(a.name); strings.Contains(name, "password") || strings.HasSuffix(name, "key") || name == "connectionstring" {
		return "..."
	}
	return a.value
}
