package balancer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tandem/internal/control"
)

// nginxServer is what every server block has. nginx itself repeats a request that a node may have seen when it takes its method
// for idempotent: that it does not take POST, LOCK and PATCH for that is right, but PUT, DELETE and those it does not know go
// to one node only, in @once.
const nginxServer = `    proxy_http_version 1.1;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host "";
    proxy_set_header X-Forwarded-Port "";
    proxy_set_header X-Forwarded-Server "";
    proxy_set_header X-Real-IP "";
    proxy_set_header Forwarded "";
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $tandem_connection;
    proxy_connect_timeout 2s;
    proxy_read_timeout 75s;
    proxy_next_upstream error timeout;
    proxy_next_upstream_tries 3;
    proxy_next_upstream_timeout 10s;
    proxy_max_temp_file_size 0;
    client_max_body_size 0;
    error_page 418 = @once;
`

const nginxLocations = `    location / {
        if ($request_method !~ "^(GET|HEAD|OPTIONS|POST|PATCH|LOCK)$") { return 418; }
        proxy_pass %[1]s://%[2]s;
    }
    location @once {
        proxy_next_upstream off;
        proxy_pass %[1]s://%[2]s;
    }
}
`

// Nginx is a configuration for nginx 1.18 and later, to be included in its http block.
func Nginx(f control.Fronts, o Options) (string, error) {
	p, err := draft(f, o)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n# Written by: tandem export nginx\n", p.about)
	for _, n := range p.notes {
		fmt.Fprintf(&b, "# Left out: %s\n", n)
	}
	b.WriteString("\nmap $http_upgrade $tandem_connection {\n    default upgrade;\n    \"\" \"\";\n}\n")
	for _, fr := range p.fronts {
		for i, po := range fr.pools {
			nginxPool(&b, po)
			if fr.tls {
				nginxSecure(&b, fr, po, o, i == 0)
			} else {
				nginxPlain(&b, fr, po, i == 0)
			}
		}
	}
	return b.String(), nil
}

func nginxPool(b *strings.Builder, p pool) {
	fmt.Fprintf(b, "\nupstream %s {\n", p.name)
	for _, s := range p.servers {
		fmt.Fprintf(b, "    server %s weight=%d max_fails=1 fail_timeout=2s", s.address, s.weight)
		if s.draining {
			b.WriteString(" down")
		}
		fmt.Fprintf(b, "; # %s\n", s.name)
	}
	b.WriteString("    keepalive 64;\n}\n")
}

func nginxPlain(b *strings.Builder, f front, p pool, first bool) {
	fmt.Fprintf(b, "\nserver {\n    listen %s%s;\n", f.port, nginxDefault(first))
	fmt.Fprintf(b, "    server_name %s;\n", nginxNames(p.hosts))
	b.WriteString(nginxServer)
	fmt.Fprintf(b, nginxLocations, "http", p.name)
}

// nginxSecure has a server block for each name, for each has a certificate.
func nginxSecure(b *strings.Builder, f front, p pool, o Options, first bool) {
	dir := strings.TrimSuffix(cmp.Or(o.Certificates, "/etc/nginx/tandem"), "/")
	hosts := slices.Clone(p.hosts)
	if i := slices.Index(hosts, ""); i > 0 {
		hosts[0], hosts[i] = hosts[i], hosts[0]
	}
	for i, h := range hosts {
		file := dir + "/" + certificateFile(h)
		fmt.Fprintf(b, "\nserver {\n    listen %s ssl http2%s;\n    server_name %s;\n", f.port, nginxDefault(first && i == 0), nginxNames([]string{h}))
		fmt.Fprintf(b, "    ssl_certificate %s;\n    ssl_certificate_key %s;\n    ssl_protocols TLSv1.2 TLSv1.3;\n", file, file)
		b.WriteString("    proxy_ssl_server_name on;\n    proxy_ssl_name $host;\n    proxy_ssl_protocols TLSv1.2 TLSv1.3;\n")
		if o.CA != NoCA {
			fmt.Fprintf(b, "    proxy_ssl_verify on;\n    proxy_ssl_verify_depth 3;\n    proxy_ssl_trusted_certificate %s;\n", cmp.Or(o.CA, "/etc/ssl/certs/ca-certificates.crt"))
		}
		b.WriteString(nginxServer)
		fmt.Fprintf(b, nginxLocations, "https", p.name)
	}
}

func nginxDefault(is bool) string {
	if is {
		return " default_server"
	}
	return ""
}

func nginxNames(hosts []string) string {
	var names []string
	for _, h := range hosts {
		names = append(names, cmp.Or(h, "_"))
	}
	return strings.Join(names, " ")
}
