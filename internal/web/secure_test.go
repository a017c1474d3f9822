package web

import (
	"crypto/tls"
	"strings"
	"testing"
)

func TestTLSDirective(t *testing.T) {
	for text, want := range map[string]struct {
		options tlsOptions
		fault   string
	}{
		"":                                 {},
		"tls internal":                     {options: tlsOptions{internal: true}},
		"tls {\n\t\tprotocols tls1.3\n\t}": {options: tlsOptions{minimum: tls.VersionTLS13}},
		"tls internal {\n\t\tprotocols tls1.2\n\t}": {options: tlsOptions{internal: true, minimum: tls.VersionTLS12}},
		"tls a.pem b.pem":                         {fault: "certificates come from the certificate store"},
		"tls me@a.test":                           {fault: "certificates come from the certificate store"},
		"tls {\n\t\tprotocols tls1.1\n\t}":        {fault: "the least version"},
		"tls {\n\t\tprotocols tls1.2 tls1.3\n\t}": {fault: "the least version"},
		"tls {\n\t\tciphers X\n\t}":               {fault: "the least version"},
	} {
		p, faults := compile("sites/a.caddy", "a.test {\n\t"+text+"\n\trespond a\n}", nil)
		switch {
		case want.fault != "":
			if len(faults) != 1 || !strings.Contains(faults[0].Message, want.fault) || faults[0].Line < 2 {
				t.Errorf("%q: %v", text, faults)
			}
		case faults != nil:
			t.Errorf("%q: %v", text, faults)
		case p.blocks[0].tls != want.options:
			t.Errorf("%q says %+v", text, p.blocks[0].tls)
		}
	}
}

func TestMinimumOfAHost(t *testing.T) {
	r := newRig(t)
	r.mustLoad(map[string]string{
		"a": "a.test {\n\ttls {\n\t\tprotocols tls1.3\n\t}\n}\nhttp://a.test {\n}",
		"b": "*.b.test {\n\ttls internal\n}",
	})
	if a, b, c := r.Minimum("A.test"), r.Minimum("x.b.test"), r.Minimum("c.test"); a != tls.VersionTLS13 || b != 0 || c != 0 {
		t.Errorf("the least versions are %x, %x, %x", a, b, c)
	}
	if site, ok := r.Secure("x.b.test"); !ok || !site.Internal || site.File != "sites/b.caddy" {
		t.Errorf("the site is %+v, %v", site, ok)
	}
}
