package web

import (
	"strings"
	"testing"

	"tandem/internal/config"
)

// secretRig is a rig whose secrets are sealed as "sealed " and the value.
func secretRig(t *testing.T) *rig {
	return newRig(t, func(c *Config) {
		c.Unseal = func(_, sealed string) (string, error) { return strings.TrimPrefix(sealed, "sealed "), nil }
	})
}

func (r *rig) loadWith(site string, secrets map[string]string) config.SiteFaults {
	r.t.Helper()
	next := farmOf(map[string]string{"s": site})
	next.Secrets = map[string]string{}
	for name, value := range secrets {
		next.Secrets[name] = "sealed " + value
	}
	p, err := r.Prepare(r.t.Context(), r.last, next)
	p.Commit()
	r.last = next
	faults, _ := err.(config.SiteFaults)
	return faults
}

// Whatever means something in a site file is a character like others in the value of a secret, wherever it is used.
func TestValuesOfSecrets(t *testing.T) {
	r := secretRig(t)
	for _, value := range []string{"plain", "# no comment", "<<EOF", "two  words", `"quoted`, "`back`", `\`, `a\"b`, "/path", "@named", "*", "ü€", "<&>", "line\nline", "x\ty", "import", "'"} {
		site := "http://s.test {\n\theader X-Part \"a {secret.v} b\"\n\trespond /text \"{secret.v}\"\n\trespond {secret.v}\n}\n"
		if strings.Contains(value, "\n") {
			site = strings.Replace(site, "\theader X-Part \"a {secret.v} b\"\n", "", 1) // no header has lines
		}
		if faults := r.loadWith(site, map[string]string{"v": value}); faults != nil {
			t.Fatalf("%q: %v", value, faults)
		}
		for _, path := range []string{"/", "/text"} {
			if got := r.viaEdge("s.test", path); got.body != value {
				t.Errorf("%q: served %q", value, got.body)
			}
		}
		if got := r.viaEdge("s.test", "/").Header.Get("X-Part"); got != "a "+value+" b" && !strings.Contains(value, "\n") {
			t.Errorf("%q: header %q", value, got)
		}
	}
	// A new value loads the site anew; so does another source with the same value.
	r.loadWith("http://s.test {\n\trespond {secret.v}\n}\n", map[string]string{"v": "one"})
	r.loadWith("http://s.test {\n\trespond {secret.v}\n}\n", map[string]string{"v": "two"})
	if got := r.viaEdge("s.test", "/").body; got != "two" {
		t.Errorf("after a change: %q", got)
	}
}

// What a module says of a value is not passed on; what is said of the rest is.
func TestFaultsShowNoSecret(t *testing.T) {
	r := secretRig(t)
	for site, want := range map[string]string{
		"http://s.test {\n\t@a header_regexp X {secret.v}\n\trespond @a x\n}\n": "sites/s.caddy:1: the value of {secret.v} is not taken here",
		"http://s.test {\n\ttls {secret.v}\n\trespond x\n}\n":                   "sites/s.caddy:2:6: a secret can't be used in tls: {secret.v}",
		"http://s.test {\n\trespnd {secret.v}\n}\n":                             "unrecognized directive: respnd",
	} {
		faults := r.loadWith(site, map[string]string{"v": "(tigerlily"})
		if s := faults.Error(); !strings.Contains(s, want) || strings.Contains(s, "lily") {
			t.Errorf("faults: %s", s)
		}
		if strings.Contains(r.log.String(), "lily") {
			t.Errorf("log: %s", r.log)
		}
	}
}
