package iis

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const filtering = "system.webServer/security/requestFiltering"

// limits is what a request may bring.
func (z *zone) limits() *text {
	t := &text{}
	v, from := z.setting(filtering+"/requestLimits", "maxAllowedContentLength", "")
	if n, err := strconv.ParseUint(strings.TrimSpace(v), 0, 64); err == nil {
		t.comment("requestLimits maxAllowedContentLength (%s)", from.at())
		t.open("request_body")
		t.put("max_size", strconv.FormatUint(n, 10))
		t.close()
	}
	return t
}

// filters is requestFiltering, with the status that IIS answers with.
func (z *zone) filters() *text {
	t := &text{}
	for _, s := range z.sections(filtering) {
		s.skip("removeServerHeader") // no answer names a server
		s.skip("allowHighBitCharacters")
		s.skip("allowDoubleEscaping")
	}
	z.hiddenSegments(t)
	z.extensions(t)
	z.verbs(t)
	z.urlSequences(t)
	z.lengths(t)
	z.filteringRules()
	return t
}

// hiddenSegments keeps names out of every path. Without a word in the configuration IIS hides its own.
func (z *zone) hiddenSegments(t *text) {
	sections := z.sections(filtering + "/hiddenSegments")
	names := ownSegments()
	at := "as IIS has it by default"
	if items := collect(sections, false, "segment"); len(sections) > 0 {
		if !inherits(sections) {
			names = nil
		}
		for _, n := range items {
			at = n.at()
			if v := n.value("segment"); v != "" && !has(names, v) {
				names = append(names, v)
			}
		}
		names = removed(sections, "segment", names)
	}
	for _, s := range sections {
		s.skip("applyToWebDAV")
	}
	if len(names) == 0 {
		return
	}
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = regexp.QuoteMeta(n)
	}
	t.gap()
	t.comment("hiddenSegments (%s)", at)
	t.put("@hidden", "path_regexp", "(?i)/("+strings.Join(quoted, "|")+")(/|$)")
	t.put("error", "@hidden", "404")
}

// inherits tells whether IIS's own entries are still in a collection. applicationHost.config names all that it has.
func inherits(sections []*node) bool {
	for _, s := range sections {
		if strings.EqualFold(pathBase(s.doc.name), "applicationHost.config") && len(s.kids) > 0 {
			return false
		}
		for _, k := range s.kids {
			if k.name == "clear" {
				return false
			}
		}
	}
	return true
}

func pathBase(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	return name[strings.LastIndexByte(name, '/')+1:]
}

// removed takes out of IIS's own entries what a section removes.
func removed(sections []*node, key string, names []string) []string {
	for _, s := range sections {
		for _, k := range s.kids {
			if k.name == "remove" {
				names = slices.DeleteFunc(names, func(n string) bool {
					return strings.EqualFold(n, k.value(key)) && !addedAgain(s, key, n)
				})
			}
		}
	}
	return names
}

func addedAgain(s *node, key, value string) bool {
	return slices.ContainsFunc(s.kids, func(k *node) bool { return k.name == "add" && strings.EqualFold(k.peek(key), value) })
}

// extensions refuses files by the end of their names.
func (z *zone) extensions(t *text) {
	const name = filtering + "/fileExtensions"
	sections := z.sections(name)
	unlisted, _ := z.on(name, "allowUnlisted", true)
	var denied, allowed []string
	at := "as IIS has it by default"
	if len(sections) == 0 || inherits(sections) {
		denied = removed(sections, "fileExtension", ownExtensions())
	}
	for _, n := range collect(sections, false, "fileExtension") {
		at = n.at()
		ext := strings.ToLower(n.value("fileExtension"))
		denied = slices.DeleteFunc(denied, func(d string) bool { return d == ext })
		if n.is("allowed", true) {
			allowed = append(allowed, ext)
		} else {
			denied = append(denied, ext)
		}
	}
	for _, s := range sections {
		s.skip("applyToWebDAV")
	}
	if !unlisted {
		t.gap()
		t.comment("fileExtensions: these alone (%s)", at)
		var m [][]string
		if slices.Contains(allowed, ".") { // names without one, directories too
			m = [][]string{{"path_regexp", `\.[^/.]*$`}}
			allowed = slices.DeleteFunc(allowed, func(e string) bool { return e == "." })
		}
		m = append(m, wrap([]string{"not", "path"}, endings(allowed))...)
		if len(m) == 0 {
			m = [][]string{{"path", "*"}}
		}
		t.matcher("extensions", m)
		t.put("error", "@extensions", "404")
		return
	}
	if len(denied) > 0 {
		t.gap()
		t.comment("fileExtensions (%s)", at)
		t.matcher("extensions", wrap([]string{"path"}, endings(denied)))
		t.put("error", "@extensions", "404")
	}
}

func endings(exts []string) []string {
	all := make([]string, len(exts))
	for i, e := range exts {
		all[i] = "*." + strings.TrimPrefix(e, ".")
	}
	return all
}

// wrap makes lines of words that are not too long, each beginning with head.
func wrap(head, words []string) [][]string {
	const width = 100
	var lines [][]string
	length := width
	for _, w := range words {
		if length += len(w) + 1; length > width {
			lines = append(lines, slices.Clone(head))
			length = len(w)
		}
		lines[len(lines)-1] = append(lines[len(lines)-1], w)
	}
	return lines
}

func (z *zone) verbs(t *text) {
	const name = filtering + "/verbs"
	unlisted, from := z.on(name, "allowUnlisted", true)
	var denied, allowed []string
	for _, s := range z.sections(name) {
		s.skip("applyToWebDAV")
	}
	for _, n := range collect(z.sections(name), false, "verb") {
		from = n
		if verb := strings.ToUpper(n.value("verb")); n.is("allowed", true) {
			allowed = append(allowed, verb)
		} else {
			denied = append(denied, verb)
		}
	}
	switch {
	case !unlisted && len(allowed) > 0:
		t.gap()
		t.comment("verbs: these alone (%s)", from.at())
		t.put(append([]string{"@verbs", "not", "method"}, allowed...)...)
		t.put("error", "@verbs", "404")
	case !unlisted:
		t.gap()
		t.comment("verbs: none is allowed (%s)", from.at())
		t.put("error", "404")
	case len(denied) > 0:
		t.gap()
		t.comment("verbs (%s)", from.at())
		t.put(append([]string{"@verbs", "method"}, denied...)...)
		t.put("error", "@verbs", "404")
	}
}

// urlSequences refuses texts in paths and queries.
func (z *zone) urlSequences(t *text) {
	for _, s := range []struct{ section, key, name, subject string }{
		{"denyUrlSequences", "sequence", "sequences", "path_regexp"},
		{"denyQueryStringSequences", "sequence", "query_sequences", "query"},
	} {
		var quoted []string
		var from *node
		for _, n := range collect(z.sections(filtering+"/"+s.section), false, s.key) {
			from = n
			if v := n.value(s.key); v != "" {
				quoted = append(quoted, regexp.QuoteMeta(v))
			}
		}
		if len(quoted) == 0 {
			continue
		}
		t.gap()
		t.comment("%s (%s)", s.section, from.at())
		pattern := "(?i)" + strings.Join(quoted, "|")
		if s.subject == "query" {
			t.put("@"+s.name, "vars_regexp", "{query}", pattern)
		} else {
			t.put("@"+s.name, "path_regexp", pattern)
		}
		t.put("error", "@"+s.name, "404")
	}
	for _, name := range []string{"alwaysAllowedUrls", "alwaysAllowedQueryStrings"} {
		for _, s := range z.sections(filtering + "/" + name) {
			for _, n := range s.all("add") {
				z.im.dropped(n, "exceptions from request filtering are not made: add \"not path\" or the like to the matchers of the site")
			}
		}
	}
}

// lengths limits parts of the request.
func (z *zone) lengths(t *text) {
	const name = filtering + "/requestLimits"
	limit := func(attr, matcher, subject, status string) {
		v, from := z.setting(name, attr, "")
		n, err := strconv.ParseUint(strings.TrimSpace(v), 0, 32)
		if err != nil {
			return
		}
		t.gap()
		t.comment("requestLimits %s (%s)", attr, from.at())
		t.put("@"+matcher, "expression", fmt.Sprintf("size(%s) > %d", subject, n))
		t.put("error", "@"+matcher, status)
	}
	limit("maxUrl", "long_url", "{http.request.uri.path}", "404")
	limit("maxQueryString", "long_query", "{http.request.uri.query}", "404")
	for i, n := range collect(z.sections(name+"/headerLimits"), false, "header") {
		header, size := n.value("header"), n.number("sizeLimit", -1)
		if size < 0 || !isHeaderName(header) {
			z.im.dropped(n, "it is not the name of a header with a size")
			continue
		}
		t.gap()
		t.comment("headerLimits (%s)", n.at())
		t.put(fmt.Sprintf("@long_header%d", i+1), "header_regexp", header, fmt.Sprintf("(?s)^.{%d}", min(size+1, 1000)))
		t.put("error", fmt.Sprintf("@long_header%d", i+1), "431")
		if size+1 > 1000 {
			z.im.check(n, "<"+n.label()+">", "the limit is 1000 characters: longer patterns are not possible")
		}
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+.^_|~-]+$`)

func isHeaderName(s string) bool { return headerName.MatchString(s) }

// filteringRules search for texts that attacks are made of.
func (z *zone) filteringRules() {
	for _, n := range collect(z.sections(filtering+"/filteringRules"), false, "name") {
		z.im.dropped(n, "write it as a matcher: @NAME vars_regexp {query} PATTERN, or path_regexp, with error @NAME 404")
	}
}
