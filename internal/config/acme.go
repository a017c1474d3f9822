package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// acme reports what is wrong with [acme].
func (d *decoder) acme(c *Config) {
	a := c.ACME
	if at, ok := d.taken("acme.directory"); ok {
		if u, err := url.Parse(a.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
			d.fault(at, "Let's Encrypt's is the default", "%q is not the URL of an ACME directory: it begins with https://", a.Directory)
		}
	}
	if at, ok := d.taken("acme.root"); ok && !strings.Contains(a.Root, "-----BEGIN CERTIFICATE-----") {
		if err := checkFolderPath(a.Root); err != nil {
			d.fault(at, "write the certificate itself in \"\"\"...\"\"\", or the path of its file", "%s", err)
		}
	}
	if at, ok := d.taken("acme.email"); ok && (!strings.Contains(a.Email, "@") || strings.ContainsAny(a.Email, " ,;<>") || hasControl(a.Email)) {
		d.fault(at, "", "%q is not one e-mail address", a.Email)
	}
	if at, ok := d.taken("acme.dns_hook"); ok && (len(a.DNSHook) == 0 || checkFolderPath(a.DNSHook[0]) != nil) {
		d.fault(at, "write the command and its arguments as a list", "the command of dns_hook must be an absolute path")
	}
	if at, ok := d.taken("acme.challenges"); ok && len(a.Challenges)+len(a.DNSHook) == 0 {
		d.fault(at, "", "without challenges and without dns_hook no host can be proven")
	}
	for i, name := range a.Members {
		if at, ok := d.taken(fmt.Sprintf("acme.members[%d]", i)); ok && !slices.ContainsFunc(c.Members, func(m Member) bool { return m.Name == name }) {
			d.fault(at, DidYouMean(string(name), memberNames(c)), "there is no member %s", name)
			d.faults[len(d.faults)-1].Warning = true // it may have been removed since
		}
	}
	if at, ok := d.places["acme"]; ok && !a.Agree && d.faults.Err() == nil {
		d.fault(at, "add: agree = true", "[acme] has no effect: nobody has agreed to the authority's terms")
		d.faults[len(d.faults)-1].Warning = true
	}
}

func memberNames(c *Config) []string {
	var names []string
	for _, m := range c.Members {
		names = append(names, string(m.Name))
	}
	return names
}
