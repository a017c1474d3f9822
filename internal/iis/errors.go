package iis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const errorPagesName = "system.webServer/httpErrors"

// errorPages is httpErrors: what visitors see of errors that are made here. Those of an application stay its own.
func (z *zone) errorPages(h *handler) *text {
	t := &text{}
	sections := z.sections(errorPagesName)
	if existing, from := z.setting(errorPagesName, "existingResponse", "Auto"); from != nil {
		switch strings.ToLower(existing) {
		case "passthrough":
			z.ignoreErrors(sections)
			return t
		case "replace":
			z.im.check(from, "existingResponse=\"Replace\" of <httpErrors>", "error pages of an application stay as they are: only errors that are made here get these pages")
		}
	}
	mode, from := z.setting(errorPagesName, "errorMode", "DetailedLocalOnly")
	if strings.EqualFold(mode, "Detailed") {
		z.im.note(from, "errorMode=\"Detailed\" of <httpErrors>", "answers never tell more than the status")
		z.ignoreErrors(sections)
		return t
	}
	defaultMode, _ := z.setting(errorPagesName, "defaultResponseMode", "File")
	defaultPath, dp := z.setting(errorPagesName, "defaultPath", "")
	pages := map[string]*text{}
	var order []string
	for _, n := range collect(sections, false, "statusCode", "subStatusCode") {
		page, status, err := z.errorPage(n, defaultMode, h)
		if err != nil {
			z.im.dropped(n, err.Error())
			continue
		}
		if page == nil {
			continue
		}
		if pages[status] == nil {
			order = append(order, status)
		}
		pages[status] = page
	}
	slices.Sort(order)
	for _, status := range order {
		t.gap()
		t.open("handle_errors", status)
		t.lines = append(t.lines, indent(pages[status].lines)...)
		t.close()
	}
	if dp != nil && defaultPath != "" {
		if page, err := z.pageAt(defaultPath, defaultMode, dp, h); err != nil {
			z.im.lost(dp, "defaultPath of <httpErrors>", err.Error())
		} else {
			t.gap()
			t.open("handle_errors")
			t.lines = append(t.lines, indent(page.lines)...)
			t.close()
		}
	}
	return t
}

func indent(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "\t" + l
	}
	return out
}

func (z *zone) ignoreErrors(sections []*node) {
	for _, s := range sections {
		s.ignore()
	}
}

// errorPage is what is shown for one status; nil if it is the page that IIS brings along.
func (z *zone) errorPage(n *node, mode string, h *handler) (page *text, status string, err error) {
	code := n.number("statusCode", 0)
	if code < 400 || code > 599 {
		return nil, "", fmt.Errorf("%q is not the status of an error", n.peek("statusCode"))
	}
	prefix, path := n.value("prefixLanguageFilePath"), n.value("path")
	if sub := n.number("subStatusCode", -1); sub > 0 {
		return nil, "", fmt.Errorf("there are no sub-statuses: the page of %d is shown for %d.%d, too", code, code, sub)
	}
	if prefix != "" && strings.Contains(strings.ToLower(prefix), `custerr`) {
		n.skip("responseMode")
		return nil, "", nil
	}
	if prefix != "" {
		// The directory of the visitor's language lies between; the page without it is the next best one.
		path = strings.TrimRight(prefix, `\/`) + `\` + path
		z.im.check(n, "<"+n.label()+">", "one page for all languages")
	}
	page, err = z.pageAt(path, n.or("responseMode", mode), n, h)
	return page, strconv.FormatInt(code, 10), err
}

// pageAt shows the page at a path of the site or of the server's disk.
func (z *zone) pageAt(path, mode string, n *node, h *handler) (*text, error) {
	t := &text{}
	t.comment("httpErrors (%s)", n.at())
	path = strings.TrimSpace(path)
	if path == "" {
		return nil, fmt.Errorf("it names no page")
	}
	if strings.EqualFold(mode, "Redirect") {
		t.put("redir", "*", literal(path), "302")
		return t, nil
	}
	if strings.EqualFold(mode, "File") {
		local := "/" + strings.TrimLeft(strings.ReplaceAll(path, `\`, "/"), "/")
		if strings.Contains(path, ":") || strings.HasPrefix(path, `\\`) || strings.HasPrefix(path, "%") {
			var in bool
			if local, in = z.inRoot(path); !in {
				return nil, fmt.Errorf("the page %s is not in the site's directory: put it there, and write handle_errors", path)
			}
		}
		path = local
	}
	path = "/" + strings.TrimLeft(strings.TrimPrefix(path, "~"), "/")
	name, _, _ := strings.Cut(path, "?")
	if h.files && has(h.unrun(), pathExt(name)) {
		return nil, fmt.Errorf("the page %s is a program that nothing here runs", path)
	}
	t.put("rewrite", "*", literal(path))
	if strings.EqualFold(mode, "ExecuteURL") {
		for _, line := range h.dynamic() {
			t.raw(line)
		}
	}
	if h.files {
		t.put("file_server")
	}
	return t, nil
}

func pathExt(name string) string {
	return name[max(0, strings.LastIndexByte(name, '.')):]
}

// errorPagesBelow reports error pages of a part of a site: handle_errors is for the whole.
func (z *zone) errorPagesBelow() {
	for _, src := range z.chain {
		if src.path != z.path {
			continue
		}
		for _, s := range (&zone{im: z.im, site: z.site, path: z.path, dir: z.dir, chain: []source{src}}).sections(errorPagesName) {
			if len(s.kids) > 0 || len(s.attrs) > 0 {
				z.im.dropped(s, "error pages of "+z.path+" alone: write handle_errors with a matcher for the path in the site's block")
			}
		}
	}
}
