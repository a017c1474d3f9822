package balancer

import (
	"cmp"
	"fmt"
	"strings"

	"tandem/internal/control"
)

// haproxyMaxWeight is the most that HAProxy takes.
const haproxyMaxWeight = 256

const haproxyDefaults = `global
    log stdout format raw local0 info
    ssl-default-bind-options ssl-min-ver TLSv1.2

defaults tandem
    mode http
    log global
    option httplog
    option dontlognull
    timeout connect 2s
    timeout client 60s
    timeout server 75s
    timeout http-request 10s
    timeout http-keep-alive 60s
    timeout queue 5s
    timeout tunnel 1h
    option redispatch 1
    retries 3
`

// haproxySafe and haproxyOnce are how a pool treats requests with a safe method, and all others. Those get a connection of
// their own, so that none meets one that a node has just closed. When a node dies with one of them under way, HAProxy says
// 502 only if it was the first of its visitor's connection; otherwise it closes that without a word, whatever is set (its
// abort_keep_alive).
const (
	haproxySafe = "    retry-on conn-failure empty-response junk-response response-timeout\n"
	haproxyOnce = "    option http-server-close\n    retry-on conn-failure\n"
)

// HAProxy is a configuration for HAProxy 2.4 and later.
func HAProxy(f control.Fronts, o Options) (string, error) {
	p, err := draft(f, o)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# Written by: tandem export haproxy\n", p.about)
	for _, n := range p.notes {
		fmt.Fprintf(&b, "# Left out: %s\n", n)
	}
	b.WriteString("\n" + haproxyDefaults)
	for _, fr := range p.fronts {
		haproxyFront(&b, fr, cmp.Or(o.Certificates, "/etc/haproxy/tandem"))
		for _, po := range fr.pools {
			haproxyPool(&b, fr, po, cmp.Or(o.CA, "@system-ca"))
		}
	}
	return b.String(), nil
}

func haproxyFront(b *strings.Builder, f front, certificates string) {
	fmt.Fprintf(b, "\nfrontend visitors_%s\n    bind :%s", f.port, f.port)
	if f.tls {
		fmt.Fprintf(b, " ssl crt %s/ alpn h2,http/1.1", strings.TrimSuffix(certificates, "/"))
	}
	b.WriteString("\n")
	for _, name := range []string{"forwarded", "x-real-ip"} {
		fmt.Fprintf(b, "    http-request del-header %s\n", name)
	}
	b.WriteString("    http-request del-header x-forwarded- -m beg\n")
	b.WriteString("    http-request set-header x-forwarded-for %[src]\n")
	fmt.Fprintf(b, "    http-request set-header x-forwarded-proto %s\n", scheme(f.tls))
	b.WriteString("    acl safe method GET HEAD OPTIONS\n")
	for _, p := range f.pools[1:] {
		for _, h := range p.hosts {
			host := "{ req.hdr(host),host_only,lower " + haproxyMatch(h) + " }"
			fmt.Fprintf(b, "    use_backend %s if safe %s\n    use_backend %s_once if %s\n", p.name, host, p.name, host)
		}
	}
	fmt.Fprintf(b, "    use_backend %s if safe\n    default_backend %[1]s_once\n", f.pools[0].name)
}

func haproxyMatch(host string) string {
	if parent, ok := strings.CutPrefix(host, "*"); ok {
		return "-m end " + parent
	}
	if host == "" {
		return "-m found"
	}
	return "-m str " + host
}

func scheme(tls bool) string {
	if tls {
		return "https"
	}
	return "http"
}

// haproxyPool writes a pool's two backends; the second has its health from the first.
func haproxyPool(b *strings.Builder, f front, p pool, ca string) {
	fmt.Fprintf(b, "\nbackend %s\n    balance roundrobin\n%s    option httpchk\n", p.name, haproxySafe)
	fmt.Fprintf(b, "    http-check send meth GET uri %s ver HTTP/1.1 hdr host %s\n", HealthPath, cmp.Or(p.named(), "tandem"))
	b.WriteString("    http-check expect status 200\n")
	b.WriteString("    default-server check inter 1s fastinter 250ms rise 2 fall 2 observe layer4 error-limit 1 on-error fastinter slowstart 5s" + haproxyTLS(f, ca))
	if name := p.named(); f.tls && name != "" {
		b.WriteString(" check-sni " + name)
	}
	b.WriteString("\n")
	haproxyServers(b, p, func(server) string { return "" })
	fmt.Fprintf(b, "\nbackend %s_once\n    balance roundrobin\n%s    default-server slowstart 5s%s\n", p.name, haproxyOnce, haproxyTLS(f, ca))
	haproxyServers(b, p, func(s server) string { return " track " + p.name + "/" + s.name })
}

// haproxyTLS is how a server is spoken to.
func haproxyTLS(f front, ca string) string {
	switch {
	case !f.tls:
		return ""
	case ca == NoCA:
		return " ssl sni req.hdr(host),host_only verify none"
	}
	return " ssl sni req.hdr(host),host_only verify required ca-file " + ca
}

func haproxyServers(b *strings.Builder, p pool, more func(server) string) {
	most := 0
	for _, s := range p.servers {
		most = max(most, s.weight)
	}
	for _, s := range p.servers {
		weight := s.weight
		if most > haproxyMaxWeight {
			weight = max(1, weight*haproxyMaxWeight/most)
		}
		fmt.Fprintf(b, "    server %s %s weight %d%s\n", s.name, s.address, weight, more(s))
	}
}
