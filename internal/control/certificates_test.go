package control

import (
	"context"
	"testing"

	"tandem/internal/farm"
)

func (b *fakeBackend) Certificates(context.Context) (Certificates, error) {
	return Certificates{Certificates: []Certificate{{File: "a.test.pem", Hosts: []SiteHost{{Host: "a.test", Site: "sites/a.caddy"}}}}}, b.err
}

func (b *fakeBackend) CheckHost(_ context.Context, host string) (HostCheck, error) {
	return HostCheck{Host: host, Why: "it is so"}, b.err
}

func (b *fakeBackend) ImportCertificate(_ context.Context, req ImportRequest) (Imported, error) {
	if len(req.Files) == 0 {
		return Imported{}, farm.Errorf("import certificate", req.Name, farm.Invalid, "there is no certificate in it")
	}
	return Imported{Path: "/certs/" + req.Name + string(req.Files[0].Content)}, b.err
}

func TestCertificates(t *testing.T) {
	c, _ := serveTest(t, &fakeBackend{})
	all, err := c.Certificates(t.Context())
	if err != nil || len(all.Certificates) != 1 || all.Certificates[0].Hosts[0].Site != "sites/a.caddy" {
		t.Errorf("the list is %+v, %v", all, err)
	}
	if check, err := c.CheckHost(t.Context(), "*.a.test"); err != nil || check.Host != "*.a.test" {
		t.Errorf("the check is %+v, %v", check, err)
	}
	for _, bad := range []string{"", "a/b", "a b"} {
		if _, err := c.CheckHost(t.Context(), bad); farm.KindOf(err) != farm.Invalid {
			t.Errorf("%q is checked: %v", bad, err)
		}
	}
	done, err := c.ImportCertificate(t.Context(), ImportRequest{Name: "a.test", Files: []ImportFile{{Name: "x", Content: []byte(".pem")}}})
	if err != nil || done.Path != "/certs/a.test.pem" {
		t.Errorf("the import is %+v, %v", done, err)
	}
	if _, err := c.ImportCertificate(t.Context(), ImportRequest{}); farm.KindOf(err) != farm.Invalid {
		t.Errorf("an import of nothing: %v", err)
	}
}
