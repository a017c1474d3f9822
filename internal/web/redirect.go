package web

import (
	"net"
	"net/http"
	"strings"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// A site whose name has HTTPS only answers on HTTP with a redirect there, as with Caddy. What is said of HTTP in a site
// file counts more: a block for http:// with the name.

// securePortOf is the port of HTTPS on the farm's edges; empty: there is none.
func securePortOf(c *config.Config) string {
	if len(c.With(farm.RoleEdge)) == 0 || len(c.Edge.HTTPS) == 0 {
		return ""
	}
	_, port, err := net.SplitHostPort(c.Edge.HTTPS[0])
	if err != nil {
		return ""
	}
	return port
}

// redirect answers a request in the clear for a name that has HTTPS only. secure finds the target that the name has there, and
// port is that of HTTPS.
func (s *Sites) redirect(w http.ResponseWriter, r *http.Request, port string, secure *target) bool {
	if r.TLS != nil || port == "" || secure == nil || !secure.tls || secure.host == "" {
		return false
	}
	host := hostOnly(r.Host)
	if port != portHTTPS {
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	w.Header().Set("Cache-Control", "no-cache") // the site may have HTTP one day
	http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect)
	return true
}

// securely is the target with HTTPS for a request that came in the clear at an address of port 80, unless the name has one
// there, too.
func (t *table) securely(address, host string) *target {
	at, ok := strings.CutSuffix(address, ":"+portHTTP)
	if !ok {
		return nil
	}
	if plain := t.first(address, host); plain != nil && plain.host != "" {
		return nil
	}
	return t.first(at+":"+portHTTPS, host)
}

// securelyHere is securely for the interface that the request came in by, else for the address that is listened on.
func (t *table) securelyHere(address, host string, r *http.Request) *target {
	if r.TLS != nil {
		return nil
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if found := t.securely(local.String(), host); found != nil {
			return found
		}
	}
	return t.securely(address, host)
}

// redirects are the addresses of port 80 on which nothing is served, but names are that have HTTPS at port 443.
func (t *table) redirects() (addresses []string) {
	for address, h := range t.fronts {
		at, ok := strings.CutSuffix(address, ":"+portHTTPS)
		plain := at + ":" + portHTTP
		if ok && h.tls && len(h.exact)+len(h.wild) > 0 && t.fronts[plain] == nil && t.fronts[everywhere(plain)] == nil {
			addresses = append(addresses, plain)
		}
	}
	return addresses
}
