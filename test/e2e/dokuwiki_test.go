//go:build linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// wikiSite is all that an admin writes for DokuWiki.
const wikiSite = `http://wiki.test {
	root * {folder.www}
	read_your_writes www
	encode zstd gzip
	@private path /data/* /conf/* /inc/* /vendor/*
	respond @private 403
	php_fastcgi 127.0.0.1:9000
	file_server
}
`

const wikiFarm = `
[folder.www]
path = "/var/www/wiki"
exclude = ["data/cache/**"]

[edge]
http = ":80"
https = ":443"
`

// TestDokuWiki is the seed case: a wiki that keeps its pages as files, on two nodes with an edge, used while a node dies.
// A visitor never meets a page that is missing or old.
func TestDokuWiki(t *testing.T) {
	need(t)
	fpm := findFPM(t)
	const source = "/usr/share/dokuwiki"
	if _, err := os.Stat(source); err != nil {
		t.Skip("needs the Debian package dokuwiki")
	}
	f := newFarm(t, "web1", "web2", "edge1")
	installWiki(t, source, f.folder("web1"))
	for _, n := range []string{"web1", "web2"} {
		startFPM(f, n, fpm)
	}
	f.found(wikiFarm, map[string]string{"wiki.caddy": wikiSite})
	f.edgeReady("edge1", 2)

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &wiki{t: t, client: f.visitor(jar), base: "http://" + f.members["edge1"].addr, pages: map[string]string{}, nodes: map[string]int{}}

	w.save("start", "The first page, %d")
	w.upload("cat.png")
	w.readBack(100)
	if len(w.nodes) != 2 {
		t.Errorf("answers came from %v, want both nodes", w.nodes)
	}

	w.save("second", "Written just before a node dies, %d")
	victim := w.last
	f.kill(victim)
	w.readBack(20)
	w.save("second", "Edited while a node is dead, %d")
	w.save("third", "Made while a node is dead, %d")
	w.readBack(20)

	f.start(victim)
	f.edgeReady("edge1", 2)
	w.save("start", "Edited after all, %d")
	w.readBack(50)
	for _, n := range []string{"web1", "web2"} {
		f.await(10*time.Second, "all pages are on "+n, func() error { return w.onDisk(f.folder(n)) })
	}
}

func findFPM(t *testing.T) string {
	found, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(found) == 0 {
		t.Skip("needs the Debian package php-fpm")
	}
	return found[0]
}

// installWiki copies the packaged wiki into one tree, as its own archive is laid out.
func installWiki(t *testing.T, source, root string) {
	t.Helper()
	for _, c := range [][2]string{{source, root}, {"/etc/dokuwiki", root + "/conf"}, {"/var/lib/dokuwiki/data", root + "/data"}} {
		if err := os.MkdirAll(c[1], 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-rL", c[0]+"/.", c[1]).CombinedOutput(); err != nil {
			t.Fatalf("cp: %v: %s", err, out)
		}
	}
	if err := os.Remove(root + "/inc/preload.php"); err != nil { // Debian's: it leads out of the tree
		t.Fatal(err)
	}
	conf := "<?php\n$conf['title'] = 'Wiki';\n$conf['useacl'] = 0;\n$conf['savedir'] = './data';\n"
	if err := os.WriteFile(root+"/conf/local.php", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
}

func startFPM(f *farmUnderTest, n, fpm string) {
	f.t.Helper()
	dir := f.members[n].dir
	conf := filepath.Join(dir, "fpm.conf")
	f.write(conf, fmt.Sprintf(`[global]
error_log = %s/fpm.log
daemonize = no
[www]
user = root
group = root
listen = 127.0.0.1:9000
pm = static
pm.max_children = 2
php_admin_value[error_log] = %s/php.log
`, dir, dir))
	cmd := f.lan.command(n, fpm, "--allow-to-run-as-root", "--fpm-config", conf)
	if err := cmd.Start(); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if errors, _ := os.ReadFile(filepath.Join(dir, "php.log")); f.t.Failed() && len(errors) > 0 {
			f.t.Logf("--- PHP on %s\n%s", n, tail(errors, 40))
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	f.await(10*time.Second, "php-fpm listens", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c, err := f.lan.dial(n)(ctx, "tcp", "127.0.0.1:9000")
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// wiki is a visitor of DokuWiki, who remembers what must be there.
type wiki struct {
	t      *testing.T
	client *http.Client
	base   string
	edits  int
	pages  map[string]string // id to the text that was saved last
	image  []byte
	nodes  map[string]int // answers by node
	last   string         // node that answered last
}

func (w *wiki) do(method, path string, body io.Reader, header http.Header) (int, string) {
	w.t.Helper()
	req, err := http.NewRequest(method, w.base+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Host = "wiki.test"
	maps.Copy(req.Header, header)
	resp, err := w.client.Transport.RoundTrip(w.withCookies(req))
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	w.client.Jar.SetCookies(req.URL, resp.Cookies())
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	w.last = resp.Header.Get("Tandem-Node")
	w.nodes[w.last]++
	return resp.StatusCode, string(b)
}

func (w *wiki) withCookies(req *http.Request) *http.Request {
	for _, c := range w.client.Jar.Cookies(req.URL) {
		req.AddCookie(c)
	}
	return req
}

var hiddenInput = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// save edits a page through its form.
func (w *wiki) save(id, format string) {
	w.t.Helper()
	w.edits++
	text := fmt.Sprintf(format, w.edits)
	status, page := w.do("GET", "/doku.php?id="+id+"&do=edit", nil, nil)
	if status != 200 {
		w.t.Fatalf("edit form of %s: status %d", id, status)
	}
	i := strings.Index(page, `id="dw__editform"`)
	if i < 0 {
		w.t.Fatalf("edit form of %s is missing (locked?):\n%s", id, page)
	}
	form := url.Values{"wikitext": {text}, "do[save]": {"1"}, "summary": {""}}
	for _, m := range hiddenInput.FindAllStringSubmatch(page[i:], -1) {
		form.Set(m[1], html.UnescapeString(m[2]))
	}
	status, page = w.do("POST", "/doku.php?id="+id+"&do=edit", strings.NewReader(form.Encode()),
		http.Header{"Content-Type": {"application/x-www-form-urlencoded"}})
	if status != 302 {
		w.t.Fatalf("saving %s: status %d\n%s", id, status, page)
	}
	w.pages[id] = text
}

func (w *wiki) upload(name string) {
	w.t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range 64 * 64 {
		img.Set(i%64, i/64, color.RGBA{uint8(i), uint8(i / 64), uint8(w.edits), 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		w.t.Fatal(err)
	}
	w.image = b.Bytes()
	status, page := w.do("POST", "/lib/exe/ajax.php?call=mediaupload&ns=&qqfile="+name, bytes.NewReader(w.image),
		http.Header{"Content-Type": {"application/octet-stream"}})
	if status != 200 || !strings.Contains(page, `"success":true`) {
		w.t.Fatalf("upload: status %d: %s", status, page)
	}
}

// readBack reads all that was saved, so many times.
func (w *wiki) readBack(times int) {
	w.t.Helper()
	ids := slices.Sorted(maps.Keys(w.pages))
	for i := range times {
		id := ids[i%len(ids)]
		status, page := w.do("GET", "/doku.php?id="+id, nil, nil)
		if status != 200 || !strings.Contains(page, w.pages[id]) {
			w.t.Fatalf("read %d of %s on %s: status %d, without %q", i, id, w.last, status, w.pages[id])
		}
		if i%5 == 0 {
			status, got := w.do("GET", "/lib/exe/fetch.php?media=cat.png", nil, nil)
			if status != 200 || got != string(w.image) {
				w.t.Fatalf("image on %s: status %d, %d bytes, want %d", w.last, status, len(got), len(w.image))
			}
		}
	}
}

// onDisk compares pages and image with the files of a node.
func (w *wiki) onDisk(root string) error {
	for id, text := range w.pages {
		b, err := os.ReadFile(filepath.Join(root, "data", "pages", id+".txt"))
		if err != nil {
			return err
		}
		if !strings.Contains(string(b), text) {
			return fmt.Errorf("%s is %q, want %q", id, b, text)
		}
	}
	b, err := os.ReadFile(filepath.Join(root, "data", "media", "cat.png"))
	if err == nil && !bytes.Equal(b, w.image) {
		err = fmt.Errorf("the image has %d bytes, want %d", len(b), len(w.image))
	}
	return err
}
