package web

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// startFPM runs a php-fpm of the test's own on a socket.
func startFPM(t *testing.T) (socket string) {
	t.Helper()
	found, _ := filepath.Glob("/usr/sbin/php-fpm*")
	if len(found) == 0 {
		t.Skip("php-fpm is not installed (package php-fpm)")
	}
	dir, err := os.MkdirTemp("", "fpm") // short: the path of a socket has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket = dir + "/s"
	owner := ""
	if me, err := user.Current(); err == nil && me.Uid == "0" {
		owner = "user = root\ngroup = root\n"
	}
	writeFile(t, dir+"/conf", fmt.Sprintf(`[global]
error_log = /dev/stderr
daemonize = no
[www]
%[1]slisten = %[2]s
pm = static
pm.max_children = 2
catch_workers_output = yes
`, owner, socket))
	cmd := exec.Command(found[0], "--nodaemonize", "--fpm-config", dir+"/conf", "--allow-to-run-as-root")
	said, say, err := os.Pipe() // not cmd.StderrPipe: the workers would hold Wait back
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	cmd.Stderr = say
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	say.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // the master ends its workers
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to handle connections") {
			return socket
		}
		t.Log(lines.Text())
	}
	t.Fatal("php-fpm does not listen")
	return ""
}

func TestPHP(t *testing.T) {
	socket := startFPM(t)
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, root+"/index.php", `<?php
		foreach (["REMOTE_ADDR", "HTTPS", "SERVER_NAME", "SERVER_PORT", "PATH_INFO", "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"] as $k)
			echo $k, "=", $_SERVER[$k] ?? "-", "\n";
		if ($_FILES) echo "upload=", md5_file($_FILES["f"]["tmp_name"]), "\n";
		echo "body=", strlen(file_get_contents("php://input")), "\n";`)
	writeFile(t, root+"/plain.txt", "plain")
	writeFile(t, root+"/.tandem/x.php", `<?php echo "private";`)
	r := newRig(t)
	r.mustLoad(map[string]string{"a": fmt.Sprintf("http://a.test {\n\troot * %s\n\tphp_fastcgi unix/%s\n\tfile_server\n}", root, socket)})

	req := request(t, "GET", r.edge.URL, "a.test:8443", "/index.php/some/page?x=1")
	req.Header.Set("X-Forwarded-For", "203.0.113.9")
	req.Header.Set("X-Forwarded-Proto", "https")
	res := do(t, req)
	for _, want := range []string{
		"REMOTE_ADDR=203.0.113.9\n", "HTTPS=on\n", "SERVER_NAME=a.test\n", "SERVER_PORT=8443\n", "PATH_INFO=/some/page\n",
		"HTTP_X_FORWARDED_FOR=203.0.113.9\n", "HTTP_X_FORWARDED_PROTO=https\n",
	} {
		if !strings.Contains(res.body, want) {
			t.Errorf("%q is missing in:\n%s", want, res.body)
		}
	}
	if res := r.viaEdge("a.test", "/pretty/url"); !strings.Contains(res.body, "HTTPS=-") || res.StatusCode != http.StatusOK {
		t.Errorf("a path without a file: %d\n%s", res.StatusCode, res.body)
	}
	if res := r.viaEdge("a.test", "/plain.txt"); res.body != "plain" {
		t.Errorf("a static file: %q", res.body)
	}
	for _, path := range []string{"/.tandem/x.php", "/index.php/.tandem/x.php", "/.TANDEM/x.php"} {
		if res := r.viaEdge("a.test", path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d %q", path, res.StatusCode, res.body)
		}
	}
	post, err := http.NewRequest("POST", r.edge.URL+"/index.php", strings.NewReader(strings.Repeat("x", 100_000)))
	if err != nil {
		t.Fatal(err)
	}
	post.Host = "a.test"
	if res := do(t, post); !strings.Contains(res.body, "body=100000\n") {
		t.Errorf("a body arrives as %s", res.body)
	}
}
