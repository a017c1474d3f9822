package member

import (
	"bytes"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/internal/config"
	"tandem/internal/farm"
)

// TestSecretIsServedAndNotShown sets a secret on one member: a site on another one uses it, the new value too, and it is
// in no file of either.
func TestSecretIsServedAndNotShown(t *testing.T) {
	web1, web2 := two(t)
	const first, second = "fr0m-the-first-day", "fr0m-the-second-day"
	for name, value := range map[string]string{"answer": first, "more": "unused-but-hidden"} {
		if done, err := web1.SetSecret(t.Context(), name, value); err != nil || !done.Check.OK || !done.Changed {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	at := freeAddress(t)
	_, port, err := net.SplitHostPort(at)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(web2.paths.Config, config.SitesDir, "s.caddy"), []byte("http://s.test:"+port+" {\n\tbind 127.0.0.1\n\trespond {secret.answer}\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	says := func(want string) func() bool {
		return func() bool {
			req, err := http.NewRequest(http.MethodGet, "http://"+at+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "s.test:" + port
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			var b bytes.Buffer
			_, _ = b.ReadFrom(resp.Body)
			return b.String() == want
		}
	}
	eventually(t, "the site answers with the secret", says(first))
	if _, err := web1.SetSecret(t.Context(), "answer", second); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the site answers with the new one", says(second))

	// A fault about an expanded text must not tell it.
	files := map[string][]byte{}
	for name, b := range web1.reload.Head().Files {
		files[name] = b
	}
	files["sites/t.caddy"] = []byte("t.test {\n\t{secret.answer} x\n}\n")
	faults := web1.reload.Check(t.Context(), files)
	if s := faults.Error(); !strings.Contains(s, "{secret.answer}") || strings.Contains(s, second) {
		t.Errorf("faults: %s", s)
	}
	for _, s := range []*server{web1, web2} {
		for _, dir := range []string{s.paths.Config, s.paths.State} {
			if err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
				if err != nil || !e.Type().IsRegular() {
					return err
				}
				b, err := os.ReadFile(p)
				for _, value := range []string{first, second, "unused-but-hidden"} {
					if bytes.Contains(b, []byte(value)) {
						t.Errorf("%s holds the secret in the clear", p)
					}
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSecretsWithoutTheKey: an edge gets to know those secrets that farm.toml uses, after a restart too, and no others;
// once it is made a node, all.
func TestSecretsWithoutTheKey(t *testing.T) {
	web1 := first(t, "web1")
	edge1 := web1.joinAs("edge1", farm.RoleEdge)
	for name, value := range map[string]string{"pfx": "the password", "db": "another # one"} {
		if done, err := web1.SetSecret(t.Context(), name, value); err != nil || !done.Check.OK {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	web1.edit(config.FarmFile, func(src string) string { return src + "\n[certificates]\npassword = \"{secret.pfx}\"\n" })
	knows := func() bool {
		password, err := edge1.certs.password()
		return err == nil && password == "the password"
	}
	eventually(t, "the edge knows the password", knows)
	edge1.end()
	edge1.start()
	eventually(t, "the edge knows the password after a restart", knows)
	sealed := edge1.config().Secrets
	if value, err := edge1.secrets.open("db", sealed["db"]); farm.KindOf(err) != farm.Denied {
		t.Errorf("an edge is told another secret: %q, %v", value, err)
	}
	if value, err := edge1.secrets.open("pfx", sealed["db"]); farm.KindOf(err) != farm.Denied {
		t.Errorf("an edge is told another secret by the name of one that it may know: %q, %v", value, err)
	}

	web1.edit(config.FarmFile, func(src string) string {
		return strings.Replace(src, `roles = ["edge"]`, `roles = ["edge", "node"]`, 1)
	})
	eventually(t, "a node that was an edge knows all", func() bool {
		value, err := edge1.secrets.open("db", sealed["db"])
		return err == nil && value == "another # one"
	})
}
