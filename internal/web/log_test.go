package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
)

type logLine struct {
	Logger  string `json:"logger"`
	Request struct {
		ClientIP string `json:"client_ip"`
		RemoteIP string `json:"remote_ip"`
		Host     string `json:"host"`
		URI      string `json:"uri"`
		Headers  http.Header
	} `json:"request"`
	Status int `json:"status"`
	Size   int `json:"size"`
}

func readLog(t *testing.T, path string) []logLine {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var lines []logLine
	for l := range strings.Lines(string(b)) {
		var line logLine
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

func TestAccessLog(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t)
	r.mustLoad(map[string]string{"a": fmt.Sprintf(`http://a.test, http://b.test {
		log {
			output file %[1]s/access.log
		}
		log only_b {
			hostnames b.test
			output file %[1]s/b.log
		}
		log_skip /quiet
		rewrite /old /new
		respond "12345"
	}
	http://c.test {
		log
		respond c
	}`, dir)})
	ask := func(host, path string) {
		req := request(t, "GET", r.edge.URL, host, path)
		req.Header.Set("X-Forwarded-For", "203.0.113.9")
		req.Header.Set("Authorization", "Basic c2VjcmV0")
		do(t, req)
	}
	ask("a.test", "/old?q=1")
	ask("a.test", "/quiet")
	ask("b.test", "/")
	ask("c.test", "/")
	r.edge.Close() // handlers have returned, and their lines are written
	lines := readLog(t, dir+"/access.log")
	if len(lines) == 0 {
		t.Fatal("nothing was logged")
	}
	l := lines[0]
	if l.Request.ClientIP != "203.0.113.9" || l.Request.RemoteIP != "203.0.113.9" || l.Request.URI != "/old?q=1" ||
		l.Status != 200 || l.Size != 5 || !strings.HasPrefix(l.Logger, "http.log.access.") {
		t.Errorf("the line is %+v", l)
	}
	if got := l.Request.Headers.Get("Authorization"); got != "REDACTED" {
		t.Errorf("credentials are logged: %q", got)
	}
	for _, l := range lines {
		if l.Request.URI == "/quiet" {
			t.Error("log_skip is ignored")
		}
	}
	if lines := readLog(t, dir+"/b.log"); len(lines) != 1 || lines[0].Request.Host != "b.test" {
		t.Errorf("b's log is %+v", lines)
	}
	if got := r.log.String(); !strings.Contains(got, "host=c.test") {
		t.Errorf("log without output is not in ours: %s", got)
	}
}

func TestLogFilesAreNotLeaked(t *testing.T) {
	open := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("descriptors can't be counted here: ", err)
		}
		return len(entries)
	}
	dir := t.TempDir()
	r := newRig(t)
	site := func(i, file int) map[string]string {
		return map[string]string{"a": fmt.Sprintf("http://a.test {\n\tlog {\n\t\toutput file %s/%d.log\n\t}\n\trespond %d\n}", dir, file, i)}
	}
	r.mustLoad(site(0, 0))
	before := open()
	for i := range 20 {
		r.mustLoad(site(i, i))
		r.viaEdge("a.test", "/")
		r.mustLoad(site(i+100, i)) // the same file in two revisions
	}
	if after := open(); after > before+5 {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	if lines := readLog(t, dir+"/19.log"); len(lines) != 1 {
		t.Errorf("the last log has %d lines", len(lines))
	}
}
