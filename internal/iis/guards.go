package iis

import (
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
)

const ipSection = "system.webServer/security/ipSecurity"

// addressGuard is ipSecurity: the first entry that fits a visitor counts.
func (z *zone) addressGuard() *text {
	t := &text{}
	sections := z.sections(ipSection)
	if len(sections) == 0 {
		return t
	}
	unlisted, _ := z.on(ipSection, "allowUnlisted", true)
	answer, from := z.setting(ipSection, "denyAction", "Forbidden")
	if proxy, n := z.on(ipSection, "enableProxyMode", false); proxy {
		z.im.note(n, "enableProxyMode of <ipSecurity>", "the address is that of the visitor anyway: an edge of the farm passes it on")
	}
	z.on(ipSection, "enableReverseDns", false)
	// Runs of entries of one kind: addresses, and those of the other kind that come before and win.
	var deny, allow, earlierAllow, earlierDeny []string
	sets := map[bool][][2][]string{}
	flush := func() {
		if len(deny) > 0 {
			sets[false] = append(sets[false], [2][]string{deny, earlierAllow})
			earlierDeny = append(earlierDeny, deny...)
		}
		if len(allow) > 0 {
			sets[true] = append(sets[true], [2][]string{allow, earlierDeny})
			earlierAllow = append(earlierAllow[:len(earlierAllow):len(earlierAllow)], allow...)
		}
		deny, allow = nil, nil
	}
	last := -1
	for _, n := range collect(sections, true, "ipAddress", "subnetMask", "domainName") {
		allowed := n.is("allowed", false)
		prefix, why := prefixOf(n)
		if why != "" {
			z.im.dropped(n, why)
			continue
		}
		from = n
		if last != boolInt(allowed) {
			flush()
			last = boolInt(allowed)
		}
		if allowed {
			allow = append(allow, prefix)
		} else {
			deny = append(deny, prefix)
		}
	}
	flush()
	if from == nil || unlisted && len(sets[false]) == 0 {
		return t
	}
	t.comment("ipSecurity (%s)", from.at())
	for i, m := range addressMatchers(unlisted, sets) {
		name := "denied"
		if i > 0 {
			name += strconv.Itoa(i + 1)
		}
		t.matcher(name, m)
		t.put(denial(answer, name)...)
	}
	return t
}

// addressMatchers are the conditions under which a visitor is denied, one of which suffices.
func addressMatchers(unlisted bool, sets map[bool][][2][]string) [][][]string {
	var all [][][]string
	if !unlisted {
		var m [][]string
		for _, s := range sets[true] {
			m = append(m, append([]string{"not", "remote_ip"}, s[0]...))
		}
		if len(m) == 0 {
			m = [][]string{{"remote_ip", "0.0.0.0/0", "::/0"}}
		}
		all = append(all, m)
	}
	for _, s := range sets[false] {
		all = append(all, deniedSet(s))
	}
	return all
}

func deniedSet(s [2][]string) [][]string {
	m := [][]string{append([]string{"remote_ip"}, s[0]...)}
	if len(s[1]) > 0 {
		m = append(m, append([]string{"not", "remote_ip"}, s[1]...))
	}
	return m
}

// denial is the directive that turns a visitor away.
func denial(action, matcher string) []string {
	switch strings.ToLower(action) {
	case "unauthorized":
		return []string{"error", "@" + matcher, "401"}
	case "notfound":
		return []string{"error", "@" + matcher, "404"}
	case "abortrequest":
		return []string{"abort", "@" + matcher}
	}
	return []string{"error", "@" + matcher, "403"}
}

// prefixOf is an entry of ipSecurity as a range of addresses.
func prefixOf(n *node) (prefix, why string) {
	if n.value("domainName") != "" {
		return "", "names of domains are not looked up: list addresses"
	}
	ip, err := netip.ParseAddr(strings.TrimSpace(n.value("ipAddress")))
	if err != nil {
		return "", "it is not an IP address"
	}
	length := ip.BitLen()
	if mask := strings.TrimSpace(n.value("subnetMask")); mask != "" {
		if length, err = maskLength(mask, ip.BitLen()); err != nil {
			return "", err.Error()
		}
	}
	p, err := ip.Prefix(length)
	if err != nil {
		return "", err.Error()
	}
	if length == ip.BitLen() {
		return ip.String(), ""
	}
	return p.String(), ""
}

// maskLength reads 255.255.255.0, or a number of bits.
func maskLength(mask string, most int) (int, error) {
	if n, err := strconv.Atoi(strings.TrimPrefix(mask, "/")); err == nil && n >= 0 && n <= most {
		return n, nil
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || m.BitLen() != most {
		return 0, fmt.Errorf("%q is not a mask for such an address", mask)
	}
	length, over := 0, false
	for _, b := range m.AsSlice() {
		ones := bits.LeadingZeros8(^b)
		if over && b != 0 || bits.OnesCount8(b) != ones {
			return 0, fmt.Errorf("%q is not a mask: its bits have gaps", mask)
		}
		over = ones < 8
		length += ones
	}
	return length, nil
}

// tlsGuard is access: only by HTTPS.
func (z *zone) tlsGuard() *text {
	t := &text{}
	flags, from := z.setting("system.webServer/security/access", "sslFlags", "None")
	for flag := range strings.SplitSeq(flags, ",") {
		switch strings.ToLower(strings.TrimSpace(flag)) {
		case "ssl", "ssl128":
			if t.empty() {
				t.comment("access sslFlags=%s (%s)", flags, from.at())
				t.put("@plain_http", "protocol", "http")
				t.put("error", "@plain_http", "403")
			}
		case "sslrequirecert":
			z.close(t, from, "a client certificate (access sslFlags="+flags+")")
		case "sslnegotiatecert", "sslmapcert":
			z.im.lost(from, "sslFlags=\""+flags+"\" of <"+from.where()+">", "client certificates are not asked for")
		}
	}
	return t
}

// loginGuard closes what IIS opens to nobody without a login.
func (z *zone) loginGuard() *text {
	t := &text{}
	const auth = "system.webServer/security/authentication/"
	anonymous, from := z.on(auth+"anonymousAuthentication", "enabled", true)
	z.setting(auth+"anonymousAuthentication", "userName", "")
	z.setting(auth+"anonymousAuthentication", "password", "")
	z.setting(auth+"anonymousAuthentication", "logonMethod", "")
	var ways []string
	for _, way := range []string{"basicAuthentication", "digestAuthentication", "windowsAuthentication"} {
		on, n := z.on(auth+way, "enabled", false)
		for _, s := range z.sections(auth + way) {
			s.ignore()
		}
		if on {
			ways = append(ways, way)
			if anonymous {
				z.im.check(n, "<"+way+">", "anonymous visitors are let in, too; who has to log in is the application's decision")
			}
		}
	}
	if !anonymous {
		what := "a login"
		if len(ways) > 0 {
			what += " (" + strings.Join(ways, ", ") + ")"
		}
		z.close(t, from, what)
		return t
	}
	z.urlAuthorization(t)
	z.aspAuthorization(t)
	return t
}

// urlAuthorization is the section of system.webServer: by default all users are allowed.
func (z *zone) urlAuthorization(t *text) {
	const name = "system.webServer/security/authorization"
	sections := z.sections(name)
	open := false
	var deny, taken *node
	for _, n := range collect(sections, false, "users", "roles", "verbs") {
		allow := strings.EqualFold(n.or("accessType", "Allow"), "allow")
		everyone := strings.Contains(n.value("users"), "*")
		n.value("roles")
		if n.value("verbs") == "" && allow && everyone {
			open = true
		}
		if !allow {
			deny = n
		}
	}
	for _, s := range sections {
		for _, k := range s.kids {
			if k.name == "clear" || k.name == "remove" {
				taken = k // what IIS has by itself: all users are allowed
			}
		}
	}
	if taken != nil && !open && deny == nil {
		deny = taken
	}
	if deny != nil {
		z.close(t, deny, "certain users (authorization)")
	}
}

// aspAuthorization is the section of system.web: the inner one comes first, and in it the first rule that fits.
func (z *zone) aspAuthorization(t *text) {
	sections := z.sections("system.web/authorization")
	for i := len(sections) - 1; i >= 0; i-- {
		for _, rule := range sections[i].kids {
			users := rule.value("users")
			rule.value("roles")
			rule.value("verbs")
			switch {
			case rule.name == "allow" && (users == "*" || users == "?"):
				return
			case rule.name == "deny" && (users == "*" || users == "?"):
				z.close(t, rule, "a login (authorization in system.web)")
				return
			}
		}
	}
}

// close turns everybody away where IIS asked for something that can't be asked for here.
func (z *zone) close(t *text, from *node, what string) {
	t.gap()
	t.comment("CLOSED: IIS asked for %s here (%s).", what, from.at())
	t.comment("Nobody is let in until you put basic_auth, or a proxy that asks for it, in place of this line.")
	t.put("error", "403")
	z.im.lost(from, fmt.Sprintf("%s at %s of site %q", what, z.path, z.site.name), "it is not asked for here, so this part of the site answers 403: put basic_auth in its place, or take the line out if the application asks by itself")
}
