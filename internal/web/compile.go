package web

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"golang.org/x/net/idna"

	"tandem/internal/config"
)

// program is a site file that was adapted but not loaded: pure data.
type program struct {
	blocks []compiled
}

// compiled is one block of a site file: what it answers to, and Caddy's JSON of what it does.
type compiled struct {
	line     int
	segments []caddyfile.Segment // for the positions of faults
	bindings []binding
	tls      tlsOptions
	edge     *config.EdgeSite // nil: it has no edge directive
	routes   caddyhttp.RouteList
	errors   caddyhttp.RouteList
	named    map[string]*caddyhttp.Route
	access   *caddyhttp.ServerLogConfig
	logs     map[string]*caddy.CustomLog
}

// binding is one address of a block, for one host name.
type binding struct {
	host    string // lower case; "*.example.com"; "" is every host
	address string // "127.0.0.1:8080"; ":443" is every address of the member
	tls     bool
}

// String is "https://example.com on :443".
func (b binding) String() string {
	name := "http://"
	if b.tls {
		name = "https://"
	}
	return name + cmp.Or(b.host, "*") + " on " + b.address
}

func (b binding) port() string { return b.address[strings.LastIndexByte(b.address, ':')+1:] }

// bindHost is the part of the address before the port.
func (b binding) bindHost() string {
	host, _, err := net.SplitHostPort(b.address)
	if err != nil {
		return b.address
	}
	return host
}

// compile turns a site's source, its placeholders filled in but for those of secrets, into a program. fill puts the values
// of secrets into what Caddy makes of it; nil: their placeholders stay.
func compile(file, source string, fill func([]byte) []byte) (*program, config.Faults) {
	p, faults := compileLines(file, source, fill)
	lines := strings.Split(source, "\n")
	for i, f := range faults {
		faults[i].Line, faults[i].Column = placeOf(lines, f)
	}
	return p, faults
}

func compileLines(file, source string, fill func([]byte) []byte) (*program, config.Faults) {
	registerDirectives()
	if f := checkImports(file, source); f != nil {
		return nil, config.Faults{*f}
	}
	parsed, err := caddyfile.Parse(file, []byte(source))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, config.Faults{faultOf(file, 0, err)}
	}
	var named, sites []caddyfile.ServerBlock
	for _, b := range parsed {
		switch {
		case b.IsNamedRoute:
			named = append(named, b)
		case len(b.Keys) == 0:
			return nil, config.Faults{globalOptions(file, b)}
		default:
			sites = append(sites, b)
		}
	}
	if len(sites) == 0 {
		return nil, config.Faults{{File: file, Line: 1, Message: "there is no site in this file", Hint: "write: example.com { ... }; to take the site away, remove the file"}}
	}
	p, faults := &program{}, config.Faults(nil)
	for _, b := range sites {
		c, wrong := compileWhole(file, b, named, fill)
		if len(wrong) > 0 {
			faults = append(faults, wrong...)
			continue
		}
		p.blocks = append(p.blocks, *c)
	}
	return p, faults
}

// checkImports refuses the import of files: they would not travel with the configuration. Snippets are fine.
func checkImports(file, source string) *config.Fault {
	tokens, err := caddyfile.Tokenize([]byte(source), file)
	if err != nil && !errors.Is(err, io.EOF) { // of a file with nothing in it
		f := faultOf(file, 0, err)
		return &f
	}
	snippets := map[string]bool{}
	for _, t := range tokens {
		if name, ok := strings.CutPrefix(t.Text, "("); ok && strings.HasSuffix(name, ")") {
			snippets[strings.TrimSuffix(name, ")")] = true
		}
	}
	for i, t := range tokens {
		first := i == 0 || tokens[i-1].Line < t.Line || tokens[i-1].Text == "{"
		if first && t.Text == "import" && i+1 < len(tokens) && !snippets[tokens[i+1].Text] {
			return &config.Fault{
				File: file, Line: t.Line,
				Message: fmt.Sprintf("there is no snippet called %q in this file, and files can't be imported", tokens[i+1].Text),
				Hint:    "a site file stands alone, because it is all that the other members get",
			}
		}
	}
	return nil
}

func globalOptions(file string, b caddyfile.ServerBlock) config.Fault {
	f := config.Fault{
		File: file, Line: 1,
		Message: "a site file has no global options",
		Hint:    "they would be about all sites of a member; what can be set for all stands in farm.toml",
	}
	if len(b.Segments) > 0 && len(b.Segments[0]) > 0 {
		f.Line = b.Segments[0][0].Line
	}
	return f
}

// compileWhole compiles a block, or finds what is wrong with it: Caddy stops at the first fault, so that what comes before is
// left out and the rest compiled again.
func compileWhole(file string, b caddyfile.ServerBlock, named []caddyfile.ServerBlock, fill func([]byte) []byte) (*compiled, config.Faults) {
	var faults config.Faults
	for {
		c, err := compileBlock(b, named, fill)
		if err == nil {
			return c, faults
		}
		f := faultOf(file, b.Keys[0].Line, err)
		faults = append(faults, f)
		wrong := slices.IndexFunc(b.Segments, func(s caddyfile.Segment) bool { return s[0].Line <= f.Line && f.Line <= s[len(s)-1].Line })
		if wrong < 0 || strings.HasPrefix(b.Segments[wrong].Directive(), "@") || len(faults) == maxBlockFaults {
			return nil, faults // the fault is in the block itself, or in a matcher that others use
		}
		b.Segments = slices.Delete(slices.Clone(b.Segments), wrong, wrong+1)
	}
}

// compileBlock adapts one block alone, so that its routes are not mixed with those of others.
func compileBlock(b caddyfile.ServerBlock, named []caddyfile.ServerBlock, fill func([]byte) []byte) (*compiled, error) {
	if err := secretsOutOfPlace(b); err != nil {
		return nil, err
	}
	options, err := readTLS(b)
	if err != nil {
		return nil, err
	}
	edge, err := takeEdge(&b)
	if err != nil {
		return nil, err
	}
	cfg, _, err := httpcaddyfile.ServerType{}.Setup(append(slices.Clone(named), b), nil)
	if err != nil {
		return nil, err
	}
	raw := []byte(cfg.AppsRaw["http"])
	if fill != nil {
		raw = fill(raw)
	}
	var app caddyhttp.App
	if err := json.Unmarshal(raw, &app); err != nil {
		return nil, err
	}
	c := &compiled{line: b.Keys[0].Line, segments: b.Segments, tls: options, edge: edge, named: map[string]*caddyhttp.Route{}}
	if cfg.Logging != nil {
		c.logs = cfg.Logging.Logs
	}
	// Caddy makes one server per set of addresses. They do the same for different host names, which our router tells
	// apart: one is enough.
	for i, name := range slices.Sorted(maps.Keys(app.Servers)) {
		srv := app.Servers[name]
		if i == 0 {
			c.routes, c.named = withoutHosts(srv.Routes), srv.NamedRoutes
			if srv.Errors != nil {
				c.errors = withoutHosts(srv.Errors.Routes)
			}
		}
		c.access = joinLogs(c.access, srv.Logs)
		if err := c.bind(b.Keys, srv.Listen, options.internal); err != nil {
			return nil, err
		}
	}
	if err := settleProbe(edge, c.bindings); err != nil {
		return nil, err
	}
	if err := passable(edge, c.bindings); err != nil {
		return nil, at(b.Keys[0], "%w", err)
	}
	return c, nil
}

// withoutHosts takes off the matcher that the adapter puts around a block with host names.
func withoutHosts(routes caddyhttp.RouteList) caddyhttp.RouteList {
	if len(routes) != 1 || !routes[0].Terminal {
		return routes
	}
	for _, set := range routes[0].MatcherSetsRaw {
		if _, ok := set["host"]; !ok || len(set) > 1 {
			return routes
		}
	}
	routes[0].MatcherSetsRaw = nil
	return routes
}

func joinLogs(a, b *caddyhttp.ServerLogConfig) *caddyhttp.ServerLogConfig {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	if a.LoggerNames == nil {
		a.LoggerNames = map[string]caddyhttp.StringArray{}
	}
	maps.Copy(a.LoggerNames, b.LoggerNames)
	a.DefaultLoggerName += b.DefaultLoggerName
	return a
}

// bind adds the addresses of one of the adapter's servers, for those keys of the block that have its port.
func (c *compiled) bind(keys []caddyfile.Token, listen []string, internal bool) error {
	for _, key := range keys {
		addr, err := httpcaddyfile.ParseAddress(key.Text)
		if err != nil {
			return at(key, "%w", err)
		}
		addr = addr.Normalize()
		if addr.Path != "" {
			return at(key, "the address of a site has no path: use handle %s* in it", addr.Path)
		}
		if strings.Contains(strings.TrimPrefix(addr.Host, "*."), "*") || strings.ContainsAny(addr.Host, "{}") {
			return at(key, "%q is not a host name: a wildcard is the first label, as in *.example.com", addr.Host)
		}
		host, err := idna.ToASCII(addr.Host) // as browsers send it
		if err != nil {
			return at(key, "%q is not a host name: %w", addr.Host, err)
		}
		for _, l := range listen {
			na, err := caddy.ParseNetworkAddress(l)
			if err != nil {
				return at(key, "%w", err)
			}
			if na.Network != "tcp" || na.PortRangeSize() != 1 {
				return at(key, "can't listen on %s: bind takes IP addresses", l)
			}
			port := strconv.FormatUint(uint64(na.StartPort), 10)
			if port != portOf(addr) {
				continue
			}
			ip, ok := bindIP(na.Host)
			if !ok {
				return at(key, "can't listen on %s: bind takes IP addresses", l)
			}
			c.bindings = append(c.bindings, binding{host, net.JoinHostPort(ip, port), speaksTLS(addr, internal)})
		}
	}
	return nil
}

// bindIP is the address as it is listened on; "" is every address of the member.
func bindIP(host string) (string, bool) {
	switch host {
	case "", "0.0.0.0", "::":
		return "", true
	case "localhost":
		return "127.0.0.1", true
	}
	ip, err := netip.ParseAddr(host)
	return ip.String(), err == nil
}

const (
	portHTTP  = "80"
	portHTTPS = "443"
)

func portOf(a httpcaddyfile.Address) string {
	switch {
	case a.Port != "":
		return a.Port
	case a.Scheme == "http":
		return portHTTP
	}
	return portHTTPS
}

// speaksTLS follows Caddy: a name means HTTPS unless it is said otherwise; a bare port other than 443 means HTTP.
func speaksTLS(a httpcaddyfile.Address, internal bool) bool {
	if a.Scheme != "" {
		return a.Scheme == "https"
	}
	return portOf(a) != portHTTP && (a.Host != "" || internal || portOf(a) == portHTTPS)
}
