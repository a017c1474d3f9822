package iis

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// binding is an address, port and host name of a site.
type binding struct {
	node *node
	tls  bool
	ip   string // "": every address
	port string
	host string
}

type claim struct {
	site string
	tls  bool
}

// key is the address of a site in its file.
func (b binding) key() string {
	scheme, usual := "http://", "80"
	if b.tls {
		scheme, usual = "https://", "443"
	}
	switch {
	case b.port == usual && b.host != "":
		return scheme + b.host
	case b.host == "" && b.port == usual:
		return scheme
	}
	return scheme + b.host + ":" + b.port
}

// bindings reads those that a site file can have. One that another site has already is left out, as IIS does not start
// two sites on one binding.
func (im *importer) bindings(s *site, claims bool) []binding {
	list := s.node.child("bindings")
	if list == nil {
		if s.node.name == "configuration" {
			im.check(s.node, "address of the site", "a web.config does not say it: the site answers to every name on port 80 until its first line says otherwise")
			return []binding{{node: s.node, port: "80"}}
		}
		return nil
	}
	var all []binding
	list.all("clear")
	for _, n := range list.all("binding") {
		b, why := readBinding(n)
		if why != "" {
			n.ignore()
			im.lost(n, fmt.Sprintf("binding %s %s", n.peek("protocol"), n.peek("bindingInformation")), why)
			continue
		}
		im.tlsOf(n, b)
		if other, taken := im.claimed(b); claims && taken {
			im.lost(n, fmt.Sprintf("binding %s", n.peek("bindingInformation")), "it is left out: "+other)
			continue
		}
		if claims {
			im.claims[b.ip+"|"+b.port+"|"+b.host] = claim{s.name, b.tls}
		}
		all = append(all, b)
	}
	return all
}

func readBinding(n *node) (b binding, why string) {
	protocol, info := strings.ToLower(n.value("protocol")), n.value("bindingInformation")
	b.node = n
	switch protocol {
	case "http":
	case "https":
		b.tls = true
	default:
		return b, "only http and https are served"
	}
	// Address:port:host, where an IPv6 address is in brackets.
	address, rest := "", info
	if end := strings.IndexByte(info, ']'); strings.HasPrefix(info, "[") && end > 0 {
		address, rest = info[1:end], info[end+1:]
	} else {
		address, rest, _ = strings.Cut(info, ":")
		rest = ":" + rest
	}
	parts := strings.SplitN(strings.TrimPrefix(rest, ":"), ":", 2)
	b.port = strings.TrimSpace(parts[0])
	if len(parts) == 2 {
		b.host = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(parts[1]), "."))
	}
	if n, err := strconv.ParseUint(b.port, 10, 16); err != nil || n == 0 {
		return b, fmt.Sprintf("%q is not a port", b.port)
	}
	if address = strings.TrimSpace(address); address != "" && address != "*" && address != "0.0.0.0" && address != "::" {
		ip, err := netip.ParseAddr(address)
		if err != nil {
			return b, fmt.Sprintf("%q is not an IP address", address)
		}
		b.ip = ip.String()
	}
	if strings.Trim(b.host, "*.") == "" {
		b.host = ""
	}
	if strings.ContainsAny(b.host, " {}/\\\"`:@") || strings.Contains(strings.TrimPrefix(b.host, "*."), "*") {
		return b, fmt.Sprintf("%q is not a host name for a site; a wildcard is the first label, as in *.example.com", b.host)
	}
	switch {
	case b.tls && b.port == "80":
		return b, "HTTPS on port 80 is not served"
	case !b.tls && b.port == "443":
		return b, "HTTP without TLS on port 443 is not served"
	}
	return b, ""
}

// Bits of sslFlags.
const (
	flagSNI  = 1 // every site file's names are told apart by SNI
	flagCCS  = 2
	flagRest = ^(flagSNI | flagCCS)
)

// tlsOf says what becomes of a binding's certificate.
func (im *importer) tlsOf(n *node, b binding) {
	flags := n.number("sslFlags", 0)
	hash := n.value("certificateHash")
	n.value("certificateStoreName")
	if !b.tls {
		return
	}
	what := "certificate of " + b.key()
	switch name := strings.Replace(b.host, "*", "_", 1); {
	case flags&flagCCS != 0 && name != "":
		im.check(n, what, "it is in the central certificate store: put "+name+".pem or its crt and key into certs/ of the configuration")
	case name != "":
		im.check(n, what, certificateOf(hash)+"export it with its key and put it into certs/ of the configuration as "+name+".pem")
	default:
		im.check(n, what, certificateOf(hash)+"the binding has no host name: export it with its key and put it into certs/ under the name of its host")
	}
	if flags&flagRest != 0 {
		im.lost(n, fmt.Sprintf("sslFlags=\"%d\" of binding %s", flags, n.peek("bindingInformation")), "only SNI (1) and the central certificate store (2) have a counterpart; protocols and stapling are as Caddy has them")
	}
}

func certificateOf(hash string) string {
	if hash == "" {
		return ""
	}
	return "thumbprint " + hash + "; "
}

// claimed tells who has the binding, or speaks another protocol on its port.
func (im *importer) claimed(b binding) (string, bool) {
	if c, ok := im.claims[b.ip+"|"+b.port+"|"+b.host]; ok {
		return fmt.Sprintf("site %q has it", c.site), true
	}
	for _, key := range slices.Sorted(maps.Keys(im.claims)) {
		c, parts := im.claims[key], strings.SplitN(key, "|", 3)
		if c.tls != b.tls && parts[1] == b.port && (parts[0] == b.ip || parts[0] == "" || b.ip == "") {
			return fmt.Sprintf("site %q speaks the other of HTTP and HTTPS on port %s", c.site, b.port), true
		}
	}
	return "", false
}

// byAddress groups bindings by the address that they listen on.
func byAddress(all []binding) [][]binding {
	var groups [][]binding
	for _, b := range all {
		i := slices.IndexFunc(groups, func(g []binding) bool { return g[0].ip == b.ip })
		if i < 0 {
			groups = append(groups, []binding{b})
			continue
		}
		groups[i] = append(groups[i], b)
	}
	return groups
}
