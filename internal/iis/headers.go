package iis

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// headers is what a zone adds to its answers.
func (z *zone) headers() *text {
	t := &text{}
	z.customHeaders(t)
	z.hsts(t)
	z.outbound(t)
	return t
}

func (z *zone) customHeaders(t *text) {
	var from *node
	for _, s := range z.sections("system.webServer/httpProtocol") {
		s.skip("allowKeepAlive")
	}
	sections := z.sections("system.webServer/httpProtocol/customHeaders")
	items := collect(sections, false, "name")
	for _, n := range items {
		name, value := n.value("name"), n.value("value")
		if !isHeaderName(name) {
			z.im.dropped(n, "it is not the name of a header")
			continue
		}
		if from == nil {
			t.gap()
			t.comment("customHeaders (%s)", n.at())
		}
		from = n
		t.put("header", name, literal(value))
	}
	// What is removed and not set again may come from an application behind.
	for _, s := range sections {
		for _, k := range s.kids {
			name := k.peek("name")
			if k.name == "remove" && isHeaderName(name) && !slices.ContainsFunc(items, func(i *node) bool { return strings.EqualFold(i.peek("name"), name) }) {
				line := "header -" + name
				if !slices.Contains(t.lines, line) {
					t.raw(line)
				}
			}
		}
	}
}

// hsts is the element of a site that IIS 10 has.
func (z *zone) hsts(t *text) {
	for _, n := range []*node{z.im.siteDefault("hsts"), z.site.node.child("hsts")} {
		if n == nil || !n.is("enabled", false) {
			n.ignoreAll()
			continue
		}
		value := "max-age=" + strconv.FormatInt(n.number("max-age", 0), 10)
		if n.is("includeSubDomains", false) {
			value += "; includeSubDomains"
		}
		if n.is("preload", false) {
			value += "; preload"
		}
		t.gap()
		t.comment("hsts (%s)", n.at())
		t.put("@https", "protocol", "https")
		t.put("header", "@https", "Strict-Transport-Security", value)
		if n.is("redirectHttpToHttps", false) {
			t.put("@http", "protocol", "http")
			t.put("redir", "@http", "https://{host}{uri}", "307")
		}
	}
}

func (n *node) ignoreAll() {
	if n != nil {
		n.ignore()
	}
}

// siteDefault is an element of <siteDefaults>.
func (im *importer) siteDefault(name string) *node {
	host := im.docs[0].root.child("system.applicationHost")
	if host == nil {
		return nil
	}
	sites := host.child("sites")
	if sites == nil {
		return nil
	}
	if d := sites.child("siteDefaults"); d != nil {
		return d.child(name)
	}
	return nil
}

// cacheControl is clientCache: how long visitors may keep files.
func (z *zone) cacheControl(h *handler) *text {
	t := &text{}
	const name = "system.webServer/staticContent/clientCache"
	mode, from := z.setting(name, "cacheControlMode", "NoControl")
	age, _ := z.setting(name, "cacheControlMaxAge", "1.00:00:00")
	expires, _ := z.setting(name, "httpExpires", "")
	custom, at := z.setting(name, "cacheControlCustom", "")
	value, header := custom, "Cache-Control"
	switch strings.ToLower(mode) {
	case "disablecache":
		value = joinComma("no-cache", custom)
	case "usemaxage":
		value = joinComma("max-age="+strconv.FormatInt(seconds(age), 10), custom)
	case "useexpires":
		value, header = expires, "Expires"
	default:
		from = at
	}
	if value == "" || from == nil || !h.files {
		return t
	}
	t.comment("clientCache, of files (%s)", from.at())
	t.matcher("static", h.static())
	t.put("header", "@static", header, literal(value))
	return t
}

// static are the conditions under which a path is a file that is sent as it is.
func (h *handler) static() [][]string {
	if h.php {
		return [][]string{{"file"}, {"not", "path", "*.php"}}
	}
	return [][]string{{"file"}}
}

func joinComma(a, b string) string {
	if b == "" {
		return a
	}
	return a + ", " + b
}

// seconds reads a time span as .NET writes it: [days.]hours:minutes:seconds.
func seconds(span string) int64 {
	days, rest, ok := strings.Cut(strings.TrimSpace(span), ".")
	if !ok || strings.Contains(days, ":") {
		days, rest = "0", span
	}
	total, _ := strconv.ParseInt(days, 10, 32)
	total *= 24
	for i, part := range strings.SplitN(rest, ":", 3) {
		n, _ := strconv.ParseInt(strings.TrimSpace(part), 10, 32)
		if i > 0 {
			total *= 60
		}
		total += n
	}
	return total
}

// types are mimeMaps: those that are not what IIS has anyway.
func (z *zone) types(h *handler) *text {
	t := &text{}
	sections := z.sections("system.webServer/staticContent")
	if !h.files {
		for _, n := range sections {
			n.ignore() // of files, and there are none
		}
		return t
	}
	own := ownTypes()
	var order []string
	byType := map[string][]string{}
	var from *node
	for _, n := range collect(sections, false, "fileExtension") {
		if n.name != "mimeMap" {
			continue
		}
		ext, mime := strings.ToLower(n.value("fileExtension")), strings.TrimSpace(n.value("mimeType"))
		if own[ext] == strings.ToLower(mime) && strings.EqualFold(pathBase(n.doc.name), "applicationHost.config") {
			continue
		}
		if strings.ContainsAny(ext, "*? ") || mime == "" {
			z.im.dropped(n, "a type needs one extension and a name")
			continue
		}
		if from == nil {
			from = n
		}
		if byType[mime] == nil {
			order = append(order, mime)
		}
		byType[mime] = append(byType[mime], ext)
	}
	for i, mime := range order {
		if i == 0 {
			t.comment("mimeMap (%s)", from.at())
		}
		name := "type_" + strings.ReplaceAll(strings.TrimPrefix(byType[mime][0], "."), ".", "_")
		if slug(name, "_", 40) != name {
			name = fmt.Sprintf("type_%d", i+1)
		}
		words := []string{"path"}
		for _, ext := range byType[mime] {
			words = append(words, "*"+ext)
		}
		t.put(append([]string{"@" + name}, words...)...)
		t.put("header", "@"+name, "Content-Type", literal(mime))
	}
	return t
}

// encode is compression, which IIS has for files unless it is told not to.
func (z *zone) encode() *text {
	t := &text{}
	static, a := z.on("system.webServer/urlCompression", "doStaticCompression", true)
	dynamic, b := z.on("system.webServer/urlCompression", "doDynamicCompression", true)
	for _, n := range z.sections("system.webServer/urlCompression") {
		n.skip("dynamicCompressionBeforeCache")
	}
	switch {
	case static || dynamic:
		t.put("encode", "zstd", "gzip")
	case a != nil && b != nil:
		t.comment("no compression: urlCompression (%s)", a.at())
	}
	return t
}
