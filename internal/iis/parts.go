package iis

// parts is what a zone does, in the order in which a request meets it.
type parts struct {
	headers  *text // of answers
	caching  *text // how long visitors may keep files
	types    *text // of files
	encode   *text
	limits   *text // request_body
	filters  *text // requests that are turned away
	access   *text // visitors that are turned away, by their address
	secure   *text // ... that come without TLS
	login    *text // ... all, where IIS asks for a login
	rules    *text // URL Rewrite
	redirect *text // HTTP Redirect
	handler  *handler
	errors   *text // handle_errors; only those of a site's root are written
}

// handler is what answers in the end.
type handler struct {
	text
	files bool // it reads the site's directory
	php   bool // and runs PHP in it
}

// Fields that zones can have in common, in their order.
const (
	fieldHeaders = iota
	fieldCaching
	fieldTypes
	fieldEncode
	fieldLimits
	fieldFilters
	fieldAccess
	fieldSecure
	fieldLogin
	fieldRules
	fieldRedirect
	fieldsEnd
)

func (p *parts) fields() []int {
	var all []int
	for f := range fieldsEnd {
		all = append(all, f)
	}
	return all
}

func (p *parts) field(f int) **text {
	return []**text{
		&p.headers, &p.caching, &p.types, &p.encode, &p.limits, &p.filters, &p.access, &p.secure, &p.login, &p.rules, &p.redirect,
	}[f]
}

// same tells whether two zones do the same.
func (p *parts) same(o *parts) bool {
	for _, f := range p.fields() {
		if (*p.field(f)).String() != (*o.field(f)).String() {
			return false
		}
	}
	return p.handler.String() == o.handler.String()
}

// plain writes what has its place whatever the order.
func (p *parts) plain(t *text) {
	t.add(p.headers)
	t.add(p.caching)
	t.add(p.types)
	t.add(p.encode)
	t.add(p.limits)
}

// guards writes what turns requests away.
func (p *parts) guards(t *text) {
	for _, g := range []*text{p.filters, p.access, p.secure, p.login} {
		t.add(g)
	}
}

// steps writes what has to stay in its order, for a route.
func (p *parts) steps(t *text) {
	p.guards(t)
	if !p.rules.empty() {
		t.gap()
		t.open("route")
		t.add(p.rules)
		t.close()
	}
	t.add(p.redirect)
}

// write puts all parts of a zone. Without rules and redirects the order that directives have by themselves is right:
// errors come before files.
func (p *parts) write(t *text) {
	p.plain(t)
	if p.rules.empty() && p.redirect.empty() {
		p.guards(t)
		t.add(&p.handler.text)
		return
	}
	t.gap()
	t.comment("in the order in which IIS does it")
	t.open("route")
	p.guards(t)
	t.add(p.rules) // their handles would be mixed up with others, but there are none here
	t.add(p.redirect)
	t.add(&p.handler.text)
	t.close()
}

// parts reads the settings of a zone.
func (z *zone) parts() *parts {
	p := &parts{}
	z.unspoken()
	p.redirect = z.redirect()
	p.handler = z.handler()
	p.headers = z.headers()
	p.caching = z.cacheControl(p.handler)
	p.types = z.types(p.handler)
	p.encode = z.encode()
	p.limits = z.limits()
	p.filters = z.filters()
	p.access = z.addressGuard()
	p.secure = z.tlsGuard()
	p.login = z.loginGuard()
	p.rules = z.rules()
	if z.path == "/" {
		p.errors = z.errorPages(p.handler)
	} else {
		z.errorPagesBelow()
	}
	return p
}

// unspoken marks what is the same in a site file whether it is said or not.
func (z *zone) unspoken() {
	for _, n := range z.sections("system.webServer/proxy") {
		n.skip("enabled")
	}
	for _, n := range z.sections("system.webServer/modules") {
		n.skip("runAllManagedModulesForAllRequests")
	}
}
