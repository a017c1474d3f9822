//go:build linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/internal/farm"
)

// webServer is one that was there before Tandem: how it is run, what it is configured with, and what its sites look like.
type webServer struct {
	need                       string
	run, check, apply          string // $TANDEM_PATH/.. holds "main"
	main                       string // %[1]s: the directory of "main"
	site, needs, nonsense, end string // a site that answers with %s, one that needs the file "only", one that is wrong; how it is stopped
}

var webServers = map[string]webServer{
	"nginx": {
		need:  "nginx",
		run:   "nginx -c %[1]s/main",
		check: "nginx -t -q -c ${TANDEM_PATH%/*}/main", apply: "nginx -s reload -c ${TANDEM_PATH%/*}/main", end: "nginx -s stop -c %[1]s/main",
		main: `pid %[1]s/pid; error_log %[1]s/error.log; worker_processes 1; events {}
http { access_log off; client_body_temp_path %[1]s/t1; proxy_temp_path %[1]s/t2; fastcgi_temp_path %[1]s/t3; uwsgi_temp_path %[1]s/t4; scgi_temp_path %[1]s/t5;
include %[1]s/www/*.conf; }
`,
		site:     "server { listen 8090; return 200 \"%s\"; }\n",
		needs:    "server { listen 8090; include only; return 200 \"%s\"; }\n",
		nonsense: "server { listen 8090; retrun 200 \"three\"; }\n",
	},
	"apache": {
		need:  "apache2",
		run:   "apache2 -f %[1]s/main -k start",
		check: "apache2 -t -f ${TANDEM_PATH%/*}/main", apply: "apache2 -f ${TANDEM_PATH%/*}/main -k graceful", end: "apache2 -f %[1]s/main -k stop",
		main: `ServerRoot %[1]s
ServerName localhost
PidFile %[1]s/pid
ErrorLog %[1]s/error.log
DefaultRuntimeDir %[1]s
Mutex file:%[1]s default
User www-data
Group www-data
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
Listen 8090
<Directory />
Require all granted
</Directory>
IncludeOptional %[1]s/www/*.conf
`,
		// An answer with a status of its own is all that it takes to tell sites apart.
		site:     "Redirect 302 / http://%s.example.com/\n",
		needs:    "Include only\nRedirect 302 / http://%s.example.com/\n",
		nonsense: "Redirekt 302 / http://three.example.com/\n",
	},
}

// TestCheckAndApply keeps the sites of a real nginx and a real Apache on two nodes. What does not pass on one of them never
// stays there, the other goes on with it, and all that know of it say so.
func TestCheckAndApply(t *testing.T) {
	for name, s := range webServers {
		t.Run(name, func(t *testing.T) {
			need(t, s.need)
			checkAndApply(t, s)
		})
	}
}

func checkAndApply(t *testing.T, s webServer) {
	f := newFarm(t, "web1", "web2")
	f.found(fmt.Sprintf("\n[folder.www]\npath = \"/var/www\"\ncheck = %q\napply = %q\n", s.check, s.apply), nil)
	f.inSync("web1", "web2")
	for _, n := range f.order {
		dir := f.members[n].dir
		f.write(filepath.Join(dir, "main"), fmt.Sprintf(s.main, dir))
		if out, err := f.lan.command(n, "sh", "-c", fmt.Sprintf(s.run, dir)).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", n, err, out)
		}
		t.Cleanup(func() { _ = f.lan.command(n, "sh", "-c", fmt.Sprintf(s.end, dir)).Run() })
	}
	site := func(n string) string { return filepath.Join(f.folder(n), "a.conf") }
	says := func(n, what string) {
		t.Helper()
		f.await(20*time.Second, n+" serves "+what, func() error {
			if got, err := f.answer(n); err != nil || !strings.Contains(got, what) {
				return fmt.Errorf("%q, %v", got, err)
			}
			return nil
		})
	}
	f.write(site("web1"), fmt.Sprintf(s.site, "one"))
	says("web1", "one")
	says("web2", "one")

	// web2 lacks what it needs: there the previous file comes back.
	f.write(filepath.Join(f.members["web1"].dir, "only"), "")
	begun := time.Now()
	f.write(site("web1"), fmt.Sprintf(s.needs, "two"))
	e := f.awaitEvent("web2", farm.EventFolderCheck, begun, func(e farm.Event) bool { return e.Severity == farm.Fault })
	if !strings.Contains(e.Message, "only") || !strings.Contains(e.Message, "the previous files are back") {
		t.Errorf("web2 says: %s", e.Message)
	}
	says("web1", "two")
	says("web2", "one")
	if b, err := os.ReadFile(site("web2")); string(b) != fmt.Sprintf(s.site, "one") {
		t.Errorf("on web2: %q, %v", b, err)
	}
	f.await(10*time.Second, "web1 knows", func() error {
		st, err := f.status("web1")
		for _, fo := range st.Folders {
			if fo.ID == "www" && strings.Contains(fo.Reason, "the check refuses changes on web2") {
				return err
			}
		}
		return fmt.Errorf("%v, %v", st.Folders, err)
	})
	f.kill("web2") // it is refused after a crash, too, and nothing of it goes back to web1
	f.start("web2")
	f.awaitEvent("web2", farm.EventFolderCheck, begun, func(e farm.Event) bool { return e.Severity == farm.Fault })
	says("web1", "two")
	f.write(filepath.Join(f.members["web2"].dir, "only"), "")
	f.tandem("web2", "folder", "retry", "www")
	says("web2", "two")
	f.inSync("web1", "web2")

	// What is wrong stays where it was typed.
	begun = time.Now()
	f.write(site("web2"), s.nonsense)
	e = f.awaitEvent("web2", farm.EventFolderCheck, begun, func(e farm.Event) bool { return e.Severity == farm.Fault })
	if !strings.Contains(e.Message, "stays here") {
		t.Errorf("web2 says: %s", e.Message)
	}
	says("web1", "two")
	says("web2", "two")
	if b, err := os.ReadFile(site("web1")); string(b) != fmt.Sprintf(s.needs, "two") {
		t.Errorf("on web1: %q, %v", b, err)
	}
	f.write(site("web2"), fmt.Sprintf(s.site, "four"))
	says("web1", "four")
	says("web2", "four")
	f.awaitEvent("web2", farm.EventFolderCheck, begun, func(e farm.Event) bool { return e.Severity == farm.Healed })
	f.inSync("web1", "web2")
	f.equal("web1", "web2")

	// A node that has lost all is seeded, and what comes is checked like any change.
	f.stop("web2")
	for _, dir := range []string{filepath.Join(f.members["web2"].dir, "state", "index", "www"), f.folder("web2")} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	f.start("web2")
	f.await(20*time.Second, "web2 has the site again", func() error { _, err := os.Stat(site("web2")); return err })
	f.inSync("web1", "web2")
	f.equal("web1", "web2")
	says("web2", "four")
}

// answer is what the web server on a member says: its redirect, or its text.
func (f *farmUnderTest) answer(n string) (string, error) {
	c := http.Client{
		Transport:     &http.Transport{DialContext: f.lan.dial(n), DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       2 * time.Second,
	}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://127.0.0.1:8090/", nil)
	if err != nil {
		return "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.Header.Get("Location") + string(b), err
}
