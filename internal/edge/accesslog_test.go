package edge

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/internal/farm"
)

// logging runs an access log; what it returns ends it.
func logging(t *testing.T, f LogFile, sink farm.Sink) (*AccessLog, func()) {
	t.Helper()
	l := NewAccessLog(sink)
	l.Set(f)
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = l.Run(ctx) })
	end := func() {
		cancel()
		run.Wait()
	}
	t.Cleanup(end)
	return l, end
}

func ignore(farm.Event) {}

func TestAccessLog(t *testing.T) {
	network := newNetwork()
	network.set("web1", named("web1"))
	file := filepath.Join(t.TempDir(), "logs", "access.log")
	l, end := logging(t, LogFile{Path: file, Format: "json", Size: 1 << 20, Age: time.Hour, Keep: 1}, ignore)
	e := healthyEdge(network, Config{Access: l}, "web1")
	defer closeIdle(e)
	r := visit("GET", "/a?b", nil)
	r.Header.Set("Tandem-Position", "shop:web1.a.1")
	w := get(e, r)
	get(e, visit("GET", "/.tandem/x", nil))
	end()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 2 {
		t.Fatalf("%d lines", len(lines))
	}
	var got, own map[string]any
	if json.Unmarshal([]byte(lines[0]), &got) != nil || json.Unmarshal([]byte(lines[1]), &own) != nil {
		t.Fatalf("no JSON: %s", b)
	}
	for name, want := range map[string]any{"id": w.Header().Get("X-Request-Id"), "node": "web1", "client": "192.0.2.1", "method": "GET", "host": "shop.test",
		"uri": "/a?b", "status": 200.0, "bytes": 4.0, "tries": 1.0, "position": "shop:web1.a.1", "proto": "HTTP/1.1"} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if own["status"] != 404.0 || own["node"] != "" {
		t.Errorf("the edge's own answer: %v", own)
	}
}

func TestAccessFormats(t *testing.T) {
	a := Access{
		ID: "0123", Node: "web1", Client: "2001:db8::7", Method: "GET", Host: "shop.test", URI: "/a\"b?c d", Proto: "HTTP/2.0", Agent: "x\ny é\xff", Position: "shop:web1.a.1",
		Time: time.Date(2026, 11, 29, 3, 4, 5, 6e6, time.FixedZone("", 3600)), Status: 200, Bytes: 5, Tries: 2, Duration: 1500 * time.Microsecond,
	}
	for format, want := range map[string]string{
		"combined": `2001:db8::7 - - [29/Nov/2026:03:04:05 +0100] "GET /a\x22b?c d HTTP/2.0" 200 5 "-" "x\x0ay \xc3\xa9\xff" host="shop.test" node=web1 tries=2 time=0.001500 position="shop:web1.a.1" id=0123`,
		"json": `{"time":"2026-11-29T02:04:05.006Z","id":"0123","client":"2001:db8::7","method":"GET","host":"shop.test","uri":"/a\"b?c d","proto":"HTTP/2.0","referer":"",` +
			`"agent":"x\u000ay é\ufffd","node":"web1","position":"shop:web1.a.1","status":200,"bytes":5,"tries":2,"seconds":0.001500}`,
		"w3c": `2026-11-29 02:04:05 2001:db8::7 GET /a"b c+d 200 5 1 HTTP/2.0 shop.test x%0ay+%c3%a9%ff - web1 2 shop:web1.a.1 0123`,
	} {
		got := string(formats[format](nil, &a))
		got, ok := strings.CutSuffix(got, "\n")
		if want = strings.ReplaceAll(want, `\ufffd`, "\ufffd"); !ok || got != want {
			t.Errorf("%s:\n got %s\nwant %s", format, got, want)
		}
	}
	if n := len(strings.Fields(strings.Split(w3cHead, "#Fields: ")[1])); n != len(strings.Fields(string(appendW3C(nil, &a)))) {
		t.Errorf("the head names %d fields", n)
	}
}

// Whatever a visitor sends is one line, and one JSON object.
func FuzzAccessFormats(f *testing.F) {
	f.Add("/a\nb", "x\" y", "h\x00", "\\")
	f.Fuzz(func(t *testing.T, uri, agent, host, referer string) {
		a := Access{Method: "GET", URI: uri, Agent: agent, Host: host, Referer: referer, Client: "192.0.2.1", Time: time.Unix(0, 0)}
		for name, add := range formats {
			line := string(add(nil, &a))
			if strings.IndexByte(line, '\n') != len(line)-1 || strings.ContainsAny(line[:len(line)-1], "\r\x00\x1b") {
				t.Errorf("%s: %q", name, line)
			}
		}
		if !json.Valid(appendJSON(nil, &a)) {
			t.Errorf("no JSON: %q", appendJSON(nil, &a))
		}
		if n := len(strings.Fields(string(appendW3C(nil, &a)))); n != 17 {
			t.Errorf("%d fields: %q", n, appendW3C(nil, &a))
		}
	})
}

// A new file is begun by size, the old ones are compressed, and each W3C file has its head.
func TestAccessLogRotates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "access.log")
	l := NewAccessLog(ignore)
	l.Set(LogFile{Path: file, Format: "w3c", Size: 1 << 20, Age: time.Hour, Keep: 2})
	for range 25 {
		l.Write(Access{Method: "GET", URI: "/" + strings.Repeat("x", 100<<10), Time: time.Unix(0, 0)})
		l.flush(nil)
	}
	l.close()
	b, err := os.ReadFile(file)
	if err != nil || !strings.HasPrefix(string(b), "#Software") {
		t.Errorf("the file begins with %.40q, %v", b, err)
	}
	old, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "access-*"))
	if len(old) == 0 {
		t.Fatal("no file was begun anew")
	}
	in, err := os.Open(old[0])
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var r io.Reader = in
	if strings.HasSuffix(old[0], ".gz") {
		if r, err = gzip.NewReader(in); err != nil {
			t.Fatal(err)
		}
	}
	first := make([]byte, len("#Software"))
	if _, err := io.ReadFull(r, first); err != nil || string(first) != "#Software" {
		t.Errorf("an old file begins with %q, %v", first, err)
	}
}

// A disk that can't be written to costs lines and an event, and no visitor anything.
// A file has lines of one format: when that changes, a new one is begun; when the edge starts again, it goes on.
func TestAccessLogChangesFormat(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "access.log")
	for _, c := range []struct {
		format, begins string
		files          int
	}{{"combined", "192.0.2.1 - ", 1}, {"json", "{", 2}, {"json", "{", 2}, {"w3c", "#Software", 3}, {"w3c", "#Software", 3}, {"combined", "192.0.2.1 - ", 4}} {
		l, end := logging(t, LogFile{Path: file, Format: c.format, Size: 1 << 20, Age: time.Hour, Keep: 9}, ignore)
		l.Write(Access{Client: "192.0.2.1", Method: "GET", URI: "/"})
		end()
		now, err := os.ReadFile(file)
		files, _ := filepath.Glob(filepath.Join(dir, "access*.log*"))
		if err != nil || !strings.HasPrefix(string(now), c.begins) || len(files) < c.files {
			t.Errorf("in %s it begins with %.20q, files are %v, %v", c.format, now, files, err)
		}
	}
}

func TestAccessLogThatCantBeWritten(t *testing.T) {
	dir := t.TempDir()
	var ev events
	l, end := logging(t, LogFile{Path: filepath.Join(dir, "x"), Format: "combined", Size: 1 << 20, Age: time.Hour, Keep: 1}, ev.sink)
	end() // nobody writes
	for range 100 {
		l.Write(Access{URI: "/" + strings.Repeat("x", 64<<10)})
	}
	if l.lost == 0 || len(l.next) > logBufferBytes+128<<10 {
		t.Fatalf("%d lines left out, %d bytes kept", l.lost, len(l.next))
	}
	l.flush(nil)
	l.flush(nil)
	l.close()
	ev.mu.Lock()
	defer ev.mu.Unlock()
	if len(ev.all) != 2 || ev.all[0].Severity != farm.Warning || ev.all[0].Fields["lost"] == "0" || ev.all[1].Severity != farm.Healed {
		t.Errorf("events %+v", ev.all)
	}
}
