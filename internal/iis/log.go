package iis

import (
	"strings"
)

// logOf is the site's access log: by default IIS writes one for each site.
func (im *importer) logOf(s *site) *text {
	t := &text{}
	on := true
	root := s.zones[len(s.zones)-1]
	if off, from := root.on("system.webServer/httpLogging", "dontLog", false); off {
		t.comment("no access log: httpLogging dontLog (%s)", from.at())
		return t
	}
	if v, _ := root.setting("system.webServer/httpLogging", "selectiveLogging", "LogAll"); !strings.EqualFold(v, "LogAll") {
		for _, n := range root.sections("system.webServer/httpLogging") {
			im.check(n, "selectiveLogging of <httpLogging>", "all requests are logged")
		}
	}
	var fields []*node
	for _, n := range []*node{im.siteDefault("logFile"), s.node.child("logFile")} {
		if n == nil {
			continue
		}
		on = n.is("enabled", on)
		for _, name := range []string{"logFormat", "logExtFileFlags", "directory", "period", "truncateSize", "localTimeRollover", "logSiteId", "logTargetW3C", "flushByEntryCountW3CLog", "maxLogLineLength"} {
			n.skip(name) // entries have all fields, as JSON, and go where the member's log goes
		}
		if c := n.child("customFields"); c != nil {
			fields = append(fields, c.all("add")...)
		}
	}
	if !on {
		t.comment("no access log: logFile enabled is false")
		return t
	}
	t.put("log")
	for _, f := range fields {
		im.logField(f)
	}
	return t
}

// logField is a field that IIS was told to log besides. Entries have all headers anyway.
func (im *importer) logField(f *node) {
	name, source := f.value("logFieldName"), f.value("sourceName")
	switch kind := strings.ToLower(f.value("sourceType")); {
	case strings.HasSuffix(kind, "header"):
		im.note(f, "<"+f.label()+">", "entries of the log have all headers, "+source+" too")
	case strings.HasPrefix(strings.ToUpper(source), "HTTP_"):
		im.note(f, "<"+f.label()+">", "entries of the log have all headers of requests")
	default:
		im.dropped(f, "there is no field "+name+" in entries of the log")
	}
}
