package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/control"
	"tandem/internal/farm"
)

var certNow = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// someCertificates has one of each kind.
func someCertificates(now time.Time) control.Certificates {
	in := func(days int) *time.Time {
		at := now.Add(time.Duration(days) * day)
		return &at
	}
	shop := []control.SiteHost{{Host: "shop.test", Site: "sites/shop.caddy"}, {Host: "www.shop.test", Site: "sites/shop.caddy"}}
	return control.Certificates{
		Certificates: []control.Certificate{
			{File: "torn.test.pem", Origin: "shared", Faults: []string{"there is no private key in it"}},
			{File: "shop.test.pem", Origin: "shared", Names: []string{"shop.test", "www.shop.test"}, Issuer: "R11", From: in(-80), Until: in(3), Hosts: shop},
			{File: "/etc/own/a.test.pem", Origin: "local", Names: []string{"a.test"}, Issuer: "R11", From: in(-80), Until: in(20)},
			{File: "acme/b.test.pem", Origin: "acme", Names: []string{"b.test"}, Issuer: "E5", From: in(-10), Until: in(80)},
		},
		Bare: []control.SiteHost{{Host: "new.test", Site: "sites/new.caddy"}},
	}
}

func (d *daemon) Certificates(context.Context) (control.Certificates, error) {
	return someCertificates(time.Now()), nil
}

func (d *daemon) CheckHost(_ context.Context, host string) (control.HostCheck, error) {
	c := someCertificates(time.Now()).Certificates[1]
	if host == "shop.test" {
		return control.HostCheck{Host: host, Site: "sites/shop.caddy", Certificate: &c, Why: "the file has the name shop.test"}, nil
	}
	return control.HostCheck{Host: host, Why: "none is for it", Trust: "it is known to no browser"}, nil
}

func (d *daemon) ImportCertificate(_ context.Context, req control.ImportRequest) (control.Imported, error) {
	var all strings.Builder
	for _, f := range req.Files {
		all.WriteString(f.Name + "=" + string(f.Content) + ";")
	}
	return control.Imported{Path: all.String() + req.Password, Replaced: req.Force, Notes: []string{"no site"}, Certificate: someCertificates(certNow).Certificates[1]}, nil
}

func TestCertListIsGroupedByUrgency(t *testing.T) {
	a, out, _ := quietApp()
	printCertificates(a.ui, someCertificates(certNow), certNow)
	golden(t, "testdata/cert-list.golden", out.String())
}

func TestCertCommands(t *testing.T) {
	socket, _ := serveDaemon(t, &daemon{})
	dir := t.TempDir()
	for name, content := range map[string]string{"c.pem": "C", "k.pem": "K", "pass": "secret\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"cert", "check", "shop.test"}, 0, "shop.test is served with shop.test.pem (shared)\n  because the file has the name shop.test\n"},
		{[]string{"cert", "check", "x.test"}, farm.Conflict.ExitCode(), "x.test is served with one of the farm's own\n"},
		{[]string{"cert", "check"}, farm.Conflict.ExitCode(), "torn.test.pem: there is no private key in it\nshop.test.pem: it ends in 2 d 23 h\nnew.test: there is no certificate (sites/new.caddy)\n"},
		{[]string{"cert", "import", dir + "/c.pem", "--key", dir + "/k.pem", "--password-file", dir + "/pass"}, 0, "wrote c.pem=C;k.pem=K;secret\n  names   shop.test, www.shop.test\n"},
		{[]string{"cert", "import", dir + "/none.pem"}, farm.NotFound.ExitCode(), ""},
		{[]string{"cert", "import"}, farm.Invalid.ExitCode(), ""},
	} {
		a, out, errOut := quietApp()
		if code := a.run(t.Context(), append(tt.args, "--socket", socket)); code != tt.code || !strings.HasPrefix(out.String(), tt.want) {
			t.Errorf("%v ends with %d and prints %q, %q", tt.args, code, out, errOut)
		}
	}
	a, out, _ := quietApp()
	var all control.Certificates
	if code := a.run(t.Context(), []string{"cert", "list", "--json", "--socket", socket}); code != 0 || json.Unmarshal(out.Bytes(), &all) != nil || len(all.Certificates) != 4 {
		t.Errorf("--json ends with %d and prints %s", code, out)
	}
}
