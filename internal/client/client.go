package client

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Client is who a request comes from.
type Client struct {
	Addr    netip.Addr // the visitor's; invalid: it can't be told
	HTTPS   bool       // the visitor uses TLS
	Trusted bool       // the connection is a trusted proxy's, whose word the above is
}

// Of tells who a request comes from. Where the connection is one of a trusted proxy, it believes X-Forwarded-For or
// else Forwarded, from the right: each proxy adds the address that it sees, so the first that is not trusted is the
// visitor's, and what stands left of that is only what the visitor says.
//
// RFC 7239, sections 4 to 7.
func Of(r *http.Request, trusted []netip.Prefix) Client {
	c := Client{HTTPS: r.TLS != nil}
	if a, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		c.Addr = a.Addr().Unmap().WithZone("")
	}
	if len(trusted) == 0 || !Contains(trusted, c.Addr) {
		return c
	}
	c.Trusted = true
	hops, protos := r.Header["X-Forwarded-For"], r.Header["X-Forwarded-Proto"]
	if len(hops) == 0 {
		hops, protos = forwarded(r.Header["Forwarded"], "for"), forwarded(r.Header["Forwarded"], "proto")
	}
	for hop := range fromRight(hops) {
		a, ok := parseHop(hop)
		if !ok {
			break
		}
		c.Addr = a
		if !Contains(trusted, a) {
			break
		}
	}
	for proto := range fromRight(protos) {
		c.HTTPS = strings.EqualFold(proto, "https")
		break
	}
	return c
}

// Contains tells whether the address is in one of the networks.
func Contains(list []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(a) })
}

// fromRight gives the elements of a list header, the last first.
func fromRight(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := len(lines) - 1; i >= 0; i-- {
			for line := lines[i]; ; {
				at := strings.LastIndexByte(line, ',')
				if !yield(strings.Trim(line[at+1:], " \t")) {
					return
				}
				if at < 0 {
					break
				}
				line = line[:at]
			}
		}
	}
}

// parseHop reads an address, with or without a port, as proxies write it.
func parseHop(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddrPort(s); err == nil {
		return a.Addr().Unmap().WithZone(""), true
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	return a.Unmap().WithZone(""), err == nil
}

// forwarded gives the values of one parameter of the header Forwarded, one for each proxy: "" where it says none. Values in
// quotes lose them. A header that is malformed says nothing.
func forwarded(lines []string, name string) []string {
	var values []string
	for _, line := range lines {
		for line != "" {
			value, rest, ok := forwardedElement(line, name)
			if !ok {
				return nil
			}
			values, line = append(values, value), rest
		}
	}
	return values
}

// forwardedElement reads up to the comma that ends an element.
func forwardedElement(s, name string) (value, rest string, ok bool) {
	for {
		key, after, found := strings.Cut(s, "=")
		if !found {
			return "", "", strings.Trim(s, " \t") == "" && value == ""
		}
		text, left, ok := forwardedValue(after)
		if !ok {
			return "", "", false
		}
		if strings.EqualFold(strings.Trim(key, " \t"), name) {
			value = text
		}
		left = strings.TrimLeft(left, " \t")
		switch {
		case left == "":
			return value, "", true
		case left[0] == ';':
			s = left[1:]
		case left[0] == ',':
			return value, left[1:], true
		default:
			return "", "", false
		}
	}
}

// forwardedValue reads a token or a quoted string. A comma in one would make two elements of it, and stands in no address.
func forwardedValue(s string) (value, rest string, ok bool) {
	if quoted, is := strings.CutPrefix(s, `"`); is {
		value, rest, ok = strings.Cut(quoted, `"`)
		return value, rest, ok && !strings.ContainsAny(value, `\,`)
	}
	end := strings.IndexAny(s, ";, \t")
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:], true
}
