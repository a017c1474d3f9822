package web

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"tandem/internal/client"
	"tandem/internal/farm"
)

// ForwardedHeader marks a request that one node has passed on to another, which must not pass it on again.
const ForwardedHeader = "Tandem-Forwarded"

// fromVisitor takes from a request all that only an edge may say.
func fromVisitor(r *http.Request) {
	for name := range r.Header {
		if name == "Forwarded" || name == "X-Real-Ip" || name == ForwardedHeader || name == farm.CacheHeader || strings.HasPrefix(name, "X-Forwarded-") {
			delete(r.Header, name)
		}
	}
}

// fromFront returns a request that came in by a site's own address as the visitor made it: what a trusted proxy says of them is
// believed, what anybody else says is thrown away.
func fromFront(r *http.Request, trusted []netip.Prefix) *http.Request {
	if who := client.Of(r, trusted); who.Trusted {
		r = r.WithContext(r.Context())                          // a copy: address and TLS state are its own
		r.RemoteAddr = net.JoinHostPort(who.Addr.String(), "0") // the proxy does not tell the port
		switch {
		case !who.HTTPS:
			r.TLS = nil
		case r.TLS == nil:
			r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: hostOnly(r.Host)}
		}
	}
	fromVisitor(r)
	return r
}

// fromMember returns the request as if the visitor had come here and not to the edge, or to the node, that passed it
// on: handlers, logs, PHP and proxied applications then need not know. Which site is meant is in Host as always.
func fromMember(r *http.Request) *http.Request {
	r = r.WithContext(r.Context()) // a copy: address and TLS state are its own
	r.TLS = nil
	if strings.EqualFold(lastOf(r.Header, "X-Forwarded-Proto"), "https") {
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: hostOnly(r.Host)}
	}
	if ip, err := netip.ParseAddr(lastOf(r.Header, "X-Forwarded-For")); err == nil {
		r.RemoteAddr = net.JoinHostPort(ip.String(), "0") // the edge does not tell the port
	}
	forwarded, cache := r.Header[ForwardedHeader], r.Header[farm.CacheHeader]
	fromVisitor(r)
	if cache != nil {
		r.Header[farm.CacheHeader] = cache
	}
	if forwarded != nil {
		r.Header[ForwardedHeader] = forwarded
	}
	r.Header["Forwarded"] = []string{forwardedOf(r)}
	return r
}

// forwardedOf says who the visitor is as RFC 7239 has it, for applications that read nothing else.
func forwardedOf(r *http.Request) string {
	text := "proto=http"
	if r.TLS != nil {
		text = "proto=https"
	}
	if !strings.ContainsAny(r.Host, "\"\\") {
		text = "host=\"" + r.Host + "\";" + text
	}
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case err != nil:
		return text
	case ap.Addr().Is6():
		return "for=\"[" + ap.Addr().String() + "]\";" + text
	}
	return "for=" + ap.Addr().String() + ";" + text
}

// toMember adds to a request what fromMember takes from it, before it is passed on.
func toMember(r *http.Request, self farm.MemberID) {
	if ip, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		r.Header.Set("X-Forwarded-For", ip)
	}
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	r.Header.Set("X-Forwarded-Proto", proto)
	r.Header.Set("X-Forwarded-Host", r.Host)
	r.Header.Set(ForwardedHeader, string(self))
}

// lastOf is the last element of a list header: the one that the nearest hop has added.
func lastOf(h http.Header, name string) string {
	values := h[name]
	if len(values) == 0 {
		return ""
	}
	last := values[len(values)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}
