package iis

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// dynamic are the lines of what answers before files do.
func (h *handler) dynamic() []string {
	var lines []string
	for _, l := range h.lines {
		if strings.HasPrefix(l, "file_server") || strings.HasPrefix(l, "@programs") {
			break
		}
		if !strings.HasPrefix(l, "#") {
			lines = append(lines, l)
		}
	}
	return lines
}

// firstPort is where applications are taken to listen, one after the other.
const firstPort = 5000

// handler is what answers: an application behind, PHP, files.
func (z *zone) handler() *handler {
	h := &handler{}
	if z.application(h) {
		z.ignoreFiles()
		return h
	}
	h.files = true
	php, from := z.handlersOf(h)
	z.fastCGI()
	why := "PHP is passed to php-fpm at unix//run/php/php-fpm.sock: write where it listens"
	if !php {
		if from = z.leadsToPHP(); from != nil {
			php = true
			why = "no handler for PHP is in these files, but it leads to PHP, so that is taken to be meant: say at unix//run/php/php-fpm.sock where php-fpm listens"
		}
	}
	h.php = php
	docs, docsOn := z.documents(h)
	if php {
		h.comment("PHP (%s): say where php-fpm listens", from.at())
		h.open("php_fastcgi", "unix//run/php/php-fpm.sock")
		tries := []string{"try_files", "{path}"}
		for _, d := range docs {
			tries = append(tries, "{path}/"+d)
		}
		h.put(tries...)
		h.close()
		z.im.check(from, "<"+from.label()+">", why)
	}
	h.programs()
	browse, _ := z.on("system.webServer/directoryBrowse", "enabled", false)
	words := []string{"file_server"}
	if browse {
		words = append(words, "browse")
	}
	if !docsOn || len(docs) == 0 {
		h.open(words...)
		h.put("index", "none.invalid") // no default document
		h.close()
		return h
	}
	h.open(words...)
	h.put(append([]string{"index"}, docs...)...)
	h.close()
	return h
}

// programs refuses files that IIS sends to nobody: it has no type for them, only handlers that run them.
func (h *handler) programs() {
	names := endings(h.unrun())
	h.comment("programs that nothing here runs: IIS does not send their source either")
	h.put(append([]string{"@programs", "path"}, names...)...)
	h.put("error", "@programs", "404")
	h.gap()
}

// unrun are the extensions of programs that nothing runs in the zone.
func (h *handler) unrun() []string {
	exts := []string{".asp", ".aspx", ".ashx", ".asmx", ".svc", ".cshtml", ".vbhtml", ".cfm", ".py", ".pl", ".cgi"}
	if !h.php {
		exts = append([]string{".php"}, exts...)
	}
	return exts
}

// leadsToPHP finds a rule or default document that needs PHP.
func (z *zone) leadsToPHP() *node {
	for _, n := range collect(z.sections("system.webServer/rewrite/rules"), false, "name") {
		for _, k := range n.kids {
			url, _, _ := strings.Cut(strings.ToLower(k.peek("url")), "?")
			if k.name == "action" && strings.EqualFold(k.peek("type"), "Rewrite") && !strings.Contains(url, "://") &&
				strings.Contains(url, ".php") && !strings.EqualFold(n.peek("enabled"), "false") {
				return k
			}
		}
	}
	for _, n := range collect(z.sections("system.webServer/defaultDocument/files"), true, "value") {
		if strings.HasSuffix(strings.ToLower(n.peek("value")), ".php") {
			return n
		}
	}
	return nil
}

// documents are the names of default documents, the first that is there counts.
func (z *zone) documents(h *handler) (names []string, on bool) {
	const name = "system.webServer/defaultDocument"
	on, _ = z.on(name, "enabled", true)
	sections := z.sections(name + "/files")
	for _, n := range collect(sections, true, "value") {
		if v := strings.TrimSpace(n.value("value")); v != "" && !strings.ContainsAny(v, `\"{}`+"`") {
			if has(h.unrun(), pathExt(v)) {
				if !has(ownDocuments(), v) {
					z.im.dropped(n, "a program that nothing here runs")
				}
				continue
			}
			names = append(names, strings.TrimPrefix(v, "/"))
		}
	}
	if len(sections) == 0 || inherits(sections) {
		for _, d := range ownDocuments() {
			if !has(names, d) && !has(h.unrun(), pathExt(d)) {
				names = append(names, d)
			}
		}
	}
	return names, on
}

func (z *zone) ignoreFiles() {
	for _, name := range []string{"defaultDocument", "directoryBrowse"} {
		for _, s := range z.sections("system.webServer/" + name) {
			s.ignore()
		}
	}
}

// application writes a proxy for aspNetCore, httpPlatform and iisnode, whose processes IIS starts and nobody here does.
func (z *zone) application(h *handler) bool {
	var runs *node
	var what string
	for _, n := range z.handlerItems() {
		switch modules := strings.ToLower(n.value("modules")); {
		case strings.Contains(modules, "aspnetcoremodule"):
			runs, what = n, "aspNetCore"
		case modules == "httpplatformhandler":
			runs, what = n, "httpPlatform"
		case modules == "iisnode":
			runs, what = n, "iisnode"
		default:
			continue
		}
		n.useHandler()
	}
	z.node = what == "iisnode"
	if runs == nil {
		return false
	}
	port := firstPort + z.im.ports
	z.im.ports++
	command := z.command(what)
	h.comment("%s (%s): run it as a service of its own that listens on port %d%s", what, runs.at(), port, command)
	if z.stripped() || z.path != "/" && z.dir.url == z.path {
		h.comment("IIS gave it the path %s as its base: it gets paths without it here", z.dir.url)
	}
	h.put("reverse_proxy", fmt.Sprintf("127.0.0.1:%d", port))
	z.im.check(runs, fmt.Sprintf("<%s> of site %q", what, z.site.name), fmt.Sprintf("nothing starts the application: run it as a service that listens on 127.0.0.1:%d%s", port, command))
	return true
}

// command is what IIS started, with what it had in its environment.
func (z *zone) command(what string) string {
	out := ""
	for _, n := range z.sections("system.webServer/" + what) {
		if what == "iisnode" {
			n.ignore()
			z.im.note(n, "<"+n.where()+">", "how IIS ran node: now a service does")
			continue
		}
		out = ": " + strings.TrimSpace(n.value("processPath")+" "+n.value("arguments"))
		for _, name := range []string{"stdoutLogEnabled", "stdoutLogFile", "hostingModel", "startupTimeLimit", "startupRetryCount",
			"requestTimeout", "shutdownTimeLimit", "rapidFailsPerMinute", "processesPerApplication", "forwardWindowsAuthToken", "disableStartUpErrorPage"} {
			n.skip(name)
		}
		if env := n.child("environmentVariables"); env != nil {
			for _, v := range env.all("environmentVariable") {
				z.im.check(v, "<"+v.label()+">", "give it to the service: "+v.value("name")+"="+v.value("value"))
			}
		}
		if s := n.child("handlerSettings"); s != nil {
			s.ignore()
		}
	}
	return literal(out)
}

// useHandler marks what an entry of <handlers> says.
func (n *node) useHandler() {
	for _, name := range []string{"name", "path", "verb", "modules", "type", "preCondition", "resourceType", "requireAccess", "scriptProcessor", "allowPathInfo", "responseBufferLimit"} {
		n.skip(name)
	}
}

// handlerItems are the entries of <handlers>, the inner ones first.
func (z *zone) handlerItems() []*node {
	sections := z.sections("system.webServer/handlers")
	for _, s := range sections {
		s.skip("accessPolicy")
	}
	return collect(sections, true, "name")
}

// handlersOf looks through the entries for PHP, and reports those that have no counterpart.
func (z *zone) handlersOf(*handler) (php bool, from *node) {
	for _, n := range z.handlerItems() {
		name, modules, processor := n.peek("name"), strings.ToLower(n.peek("modules")), strings.ToLower(n.peek("scriptProcessor"))
		switch {
		case isOwnHandler(name, modules, n.peek("type"), processor):
			n.useHandler()
		case strings.Contains(modules, "fastcgi") && (strings.Contains(processor, "php") || strings.HasSuffix(strings.ToLower(n.peek("path")), ".php")):
			n.useHandler()
			php, from = true, n
		case modules == "staticfilemodule":
			n.useHandler()
		case strings.Contains(modules, "cgimodule") || strings.Contains(modules, "fastcgi"):
			z.im.dropped(n, fmt.Sprintf("%s has to listen by itself: write reverse_proxy with transport fastcgi, or a proxy, for %s", firstOf(path.Base(strings.ReplaceAll(processor, `\`, "/")), "the program"), n.peek("path")))
		default:
			z.im.dropped(n, "the module has no counterpart")
		}
	}
	return php, from
}

// fastCGI uses the list of programs that the handlers name.
func (z *zone) fastCGI() {
	for _, s := range z.sections("system.webServer/fastCgi") {
		for _, app := range s.all("application") {
			if !strings.Contains(strings.ToLower(app.value("fullPath")), "php") {
				continue
			}
			for _, name := range []string{"arguments", "maxInstances", "idleTimeout", "activityTimeout", "requestTimeout", "instanceMaxRequests", "protocol", "monitorChangesTo", "queueLength", "flushNamedPipe", "rapidFailsPerMinute", "stderrMode", "signalBeforeTerminateSeconds"} {
				app.skip(name) // the pool of php-fpm has its own
			}
			if env := app.child("environmentVariables"); env != nil {
				for _, v := range env.all("environmentVariable") {
					if strings.HasPrefix(v.value("name"), "PHP_FCGI_") || v.peek("name") == "PHPRC" {
						v.skip("value")
						continue
					}
					z.im.check(v, "<"+v.label()+">", "give it to php-fpm: env["+v.peek("name")+"] = "+v.value("value"))
				}
			}
		}
	}
}

// serverFarm is a farm of Application Request Routing.
type serverFarm struct {
	servers []string // without ports
	ports   map[string][2]string
	policy  string
}

// serverFarm finds a farm by its name; nil if it is a host.
func (im *importer) serverFarm(name string) *serverFarm {
	farms := im.docs[0].root.child("webFarms")
	if farms == nil {
		return nil
	}
	for _, n := range farms.all("webFarm") {
		if !strings.EqualFold(n.value("name"), name) || !n.is("enabled", true) {
			continue
		}
		f := &serverFarm{ports: map[string][2]string{}, policy: "least_conn"}
		for _, s := range n.all("server") {
			address := s.value("address")
			if address == "" || !s.is("enabled", true) || slices.Contains(f.servers, address) {
				continue
			}
			ports := [2]string{"80", "443"}
			if a := s.child("applicationRequestRouting"); a != nil {
				ports = [2]string{a.or("httpPort", "80"), a.or("httpsPort", "443")}
			}
			f.servers = append(f.servers, address)
			f.ports[address] = ports
		}
		f.balancing(im, n)
		if len(f.servers) > 0 {
			return f
		}
	}
	return nil
}

func (f *serverFarm) balancing(im *importer, n *node) {
	routing := n.child("applicationRequestRouting")
	if routing == nil {
		return
	}
	if b := routing.child("loadBalancing"); b != nil {
		switch strings.ToLower(b.or("algorithm", "LeastRequests")) {
		case "weightedroundrobin", "roundrobin":
			f.policy = "round_robin"
		case "requesthash":
			f.policy = "uri_hash"
		}
	}
	if a := routing.child("affinity"); a != nil && a.is("useCookie", false) {
		f.policy = "cookie"
	}
}

func (f *serverFarm) upstreams(scheme string) []string {
	var all []string
	for _, s := range f.servers {
		port := f.ports[s][boolInt(scheme == "https")]
		all = append(all, scheme+"://"+s+":"+port)
	}
	return all
}
