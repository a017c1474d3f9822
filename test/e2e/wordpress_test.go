//go:build linux

package e2e

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// visits is what plugins do that keep PHP's sessions in files.
const visits = `<?php
$sessions = __DIR__ . '/sessions';
is_dir( $sessions ) || mkdir( $sessions, 0700 );
session_save_path( $sessions );
session_start( array( 'read_and_close' => 'GET' === $_SERVER['REQUEST_METHOD'] ) );
if ( 'POST' === $_SERVER['REQUEST_METHOD'] ) {
	$_SESSION['visits'] = ( $_SESSION['visits'] ?? 0 ) + 1;
}
echo $_SESSION['visits'] ?? 0;
`

// documented is the first block of code in docs/wordpress.md of a language, with what is otherwise here.
func documented(t *testing.T, language string, here ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/wordpress.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(page), "```"+language+"\n")
	block, _, closed := strings.Cut(block, "```")
	if !ok || !closed {
		t.Fatalf("docs/wordpress.md has no block of %s", language)
	}
	for i := 0; i < len(here); i += 2 {
		if !strings.Contains(block, here[i]) {
			t.Fatalf("docs/wordpress.md: the block of %s lacks %s", language, here[i])
		}
		block = strings.ReplaceAll(block, here[i], here[i+1])
	}
	return block
}

// TestWordPress: an author and a reader, each in a real browser, use WordPress on two nodes, set up as docs/wordpress.md says, through
// an edge that sends each request to the next node. Pictures show at once and always, also when the node that took
// them dies; what is deleted is gone at once.
func TestWordPress(t *testing.T) {
	need(t, "chromium", "mariadbd", "mariadb-install-db")
	fpm := findFPM(t)
	const source = "/usr/share/wordpress"
	for _, path := range []string{source + "/wp-content/themes/twentytwentythree", "/usr/lib/php/*/mysqli.so"} {
		if found, _ := filepath.Glob(path); len(found) == 0 {
			t.Skipf("needs the Debian packages wordpress, wordpress-theme-twentytwentythree and php-mysql: no %s", path)
		}
	}
	f := newFarm(t, "web1", "web2", "edge1")
	database := f.startMariaDB()
	installWordPress(f, source, database)
	for _, n := range []string{"web1", "web2"} {
		startFPM(f, n, fpm)
	}
	f.found("\n"+documented(t, "toml", "[folder.shop]", "[folder.www]"), map[string]string{
		"blog.caddy": documented(t, "caddyfile", "shop.example.com", "blog.test", "{folder.shop}", "{folder.www}", "unix//run/php/php-fpm.sock", "127.0.0.1:9000"),
	})
	f.edgeReady("edge1", 2)
	f.inSync("web1", "web2")

	b := f.chromium("blog.test", f.members["edge1"].addr)
	blog := &blog{f: f, author: b.visitor(1200, 900), reader: b.visitor(1200, 900)}
	for _, who := range []*tab{blog.author, blog.reader} {
		who.do("Page.addScriptToEvaluateOnNewDocument", map[string]any{"source": shows})
	}
	blog.install()
	blog.login()
	for range 2 {
		blog.upload()
	}
	blog.publish("Pictures on two nodes")
	blog.upload()
	victim := blog.author.nodeOf("POST " + blogURL + "/wp-admin/async-upload.php")
	f.kill(victim)
	blog.look()
	blog.upload()
	blog.read("Pictures on two nodes, edited")
	f.start(victim)
	f.edgeReady("edge1", 2)
	blog.upload()
	blog.remove(0)
	blog.visit(10)
	blog.finish()
}

const blogURL = "https://blog.test"

// startMariaDB runs a database on a host of its own and returns its address.
func (f *farmUnderTest) startMariaDB() string {
	f.t.Helper()
	addr, dir := f.lan.host("db"), f.t.TempDir()
	out, err := exec.Command("mariadb-install-db", "--no-defaults", "--user=root", "--datadir="+dir+"/data", "--skip-test-db", "--auth-root-authentication-method=normal").CombinedOutput()
	if err != nil {
		f.t.Fatalf("%v: %s", err, out)
	}
	f.write(dir+"/init.sql", "CREATE DATABASE IF NOT EXISTS blog;\nCREATE USER IF NOT EXISTS blog@'%' IDENTIFIED BY 'secret';\nGRANT ALL ON blog.* TO blog@'%';\n")
	f.background(f.lan.command("db", "mariadbd", "--no-defaults", "--user=root", "--datadir="+dir+"/data", "--bind-address="+addr, "--socket="+dir+"/sock",
		"--pid-file="+dir+"/pid", "--init-file="+dir+"/init.sql", "--skip-name-resolve", "--log-error="+dir+"/log"))
	f.await(20*time.Second, "the database listens", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c, err := f.lan.dial("db")(ctx, "tcp", addr+":3306")
		if err == nil {
			err = c.Close()
		}
		return err
	})
	return addr
}

// installWordPress lays the packaged files out as WordPress' own archive does, on web1.
func installWordPress(f *farmUnderTest, source, database string) {
	f.t.Helper()
	root := f.folder("web1")
	if err := os.MkdirAll(root, 0o755); err != nil {
		f.t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-rL", source+"/.", root).CombinedOutput(); err != nil {
		f.t.Fatalf("cp: %v: %s", err, out)
	}
	f.write(root+"/wp-config.php", documented(f.t, "php", "192.0.2.10", database))
	f.write(root+"/visits.php", visits)
}

// blog is what the author has put into it, and who looks at it.
type blog struct {
	f              *farmUnderTest
	author, reader *tab
	pictures       []picture
	posts          []string // their addresses
}

// picture is an upload and what WordPress has made of it.
type picture struct {
	ID    int
	Sizes []string // addresses
}

func (b *blog) install() {
	b.author.goTo(blogURL + "/")
	b.author.shoot("install")
	var page string
	b.author.eval("document.body.innerText", &page)
	b.author.eval(`fetch('/wp-admin/install.php?step=2', {method: 'POST', body: new URLSearchParams({weblog_title: 'Two nodes', user_name: 'author',
		admin_password: 'correct horse', admin_password2: 'correct horse', pw_weak: 'on', admin_email: 'author@blog.test', blog_public: '0'})})
		.then(r => r.text()).then(text => { if (!text.includes('wp-login.php')) throw text })`, nil)
	// Whoever meets the installer at work gets a 500 from WordPress itself: its tables are there in part only.
	for _, request := range b.author.failures() {
		b.f.t.Logf("WordPress was not installed yet: %s\nthe first page: %s", request, page)
	}
	b.author.forgive(0)
}

func (b *blog) login() {
	b.author.goTo(blogURL + "/wp-login.php")
	b.author.leads("login", func() {
		b.author.eval(`user_login.value = 'author'; user_pass.value = 'correct horse'; wp_submit = document.getElementById('wp-submit'); wp_submit.click()`, nil)
	})
	b.author.shoot("dashboard")
	b.author.goTo(blogURL + "/wp-admin/upload.php?mode=grid")
	b.reader.goTo(blogURL + "/")
}

// newest is the id of the latest picture.
func (b *blog) newest() int {
	if len(b.pictures) == 0 {
		return 0
	}
	return b.pictures[len(b.pictures)-1].ID
}

// upload puts one more picture into the media library, which is open, as its dialog for files does. All sizes of it show at once: to the
// author when the library shows it, and to the reader, who asks for it all the time, when the database has heard of it.
func (b *blog) upload() {
	t, n := b.f.t, len(b.pictures)+1
	t.Helper()
	b.author.waitFor("the uploader", `document.querySelector('.moxie-shim input[type=file]')`)
	before := b.newest()
	b.reader.eval(fmt.Sprintf(eager, before), nil)
	b.author.choose(".moxie-shim input[type=file]", drawPicture(t, before+1))
	b.author.waitFor("the picture in the library", fmt.Sprintf(`document.querySelectorAll('li.attachment:not(.uploading) .thumbnail img').length == %d`, n))
	b.checkImages(b.author, n)
	b.author.shoot(fmt.Sprintf("library%d", n))
	var p picture
	b.author.eval(`(() => {
		const a = wp.media.attachment(document.querySelector('li.attachment').dataset.id).toJSON()
		return {ID: a.id, Sizes: Object.values(a.sizes).map(s => s.url)}
	})()`, &p)
	if len(p.Sizes) < 4 {
		t.Fatalf("the picture has the sizes %v, want thumbnail, medium, large and full at least", p.Sizes)
	}
	b.pictures = append(b.pictures, p)
	b.show(b.author, p)
	var broken []string
	b.reader.eval(`seen`, &broken)
	if len(broken) > 0 {
		t.Errorf("the reader does not see %v", broken)
	}
	b.show(b.reader, p)
}

// eager asks for pictures later than one until there is one with all its sizes, and loads each size in the moment in which it is
// heard of.
const eager = `window.seen = (async after => {
	const sizes = new Map()
	while (![...sizes.keys()].some(s => s.includes('1024x'))) {
		const media = await (await fetch('/?rest_route=/wp/v2/media&per_page=1', {cache: 'no-store'})).json()
		if (media.length && media[0].id > after)
			for (const s of Object.values(media[0].media_details.sizes ?? {}))
				if (!sizes.has(s.source_url)) sizes.set(s.source_url, shows(s.source_url))
	}
	return (await Promise.all(sizes.values())).filter(src => src)
})(%d); undefined`

// show puts all sizes of a picture into the page and looks whether they show.
func (b *blog) show(who *tab, p picture) {
	b.f.t.Helper()
	var broken []string
	who.eval(fmt.Sprintf(`Promise.all(%s.map(shows)).then(all => all.filter(src => src))`, list(p.Sizes)), &broken)
	if len(broken) > 0 {
		b.f.t.Errorf("of picture %d don't show: %v", p.ID, broken)
	}
}

// shows is in every page: it tells which of its argument does not show.
const shows = `window.shows = src => new Promise(done => {
	const i = new Image()
	i.onload = () => done(i.naturalWidth > 0 ? '' : src)
	i.onerror = () => done(src)
	i.src = src
})`

// list is a list of texts in JavaScript.
func list(texts []string) string {
	return `["` + strings.Join(texts, `","`) + `"]`
}

// checkImages fails unless the page has so many images at least, and all of them show.
func (b *blog) checkImages(who *tab, atLeast int) {
	b.f.t.Helper()
	broken, all := who.brokenImages()
	if len(broken) > 0 || all < atLeast {
		who.shoot("broken")
		b.f.t.Errorf("the page has %d images, want %d; broken are %v", all, atLeast, broken)
	}
}

// publish writes a post with the last picture in WordPress' editor, looks at it, edits it, and looks again; then comes back to the library.
func (b *blog) publish(title string) {
	t, last := b.f.t, b.pictures[len(b.pictures)-1]
	t.Helper()
	b.author.goTo(blogURL + "/wp-admin/post-new.php")
	b.author.waitFor("the editor", `window.wp && wp.data && wp.data.select('core/editor') && wp.data.select('core/editor').getCurrentPostId() && wp.blocks.getBlockType('core/image')`)
	var link string
	save := func(change string) {
		t.Helper()
		b.author.eval(fmt.Sprintf(`(async () => {
			const editor = wp.data.dispatch('core/editor'), now = wp.data.select('core/editor')
			%s
			await editor.savePost()
			if (!now.didPostSaveRequestSucceed()) throw 'not saved'
			return now.getPermalink()
		})()`, change), &link)
	}
	save(fmt.Sprintf(`wp.data.dispatch('core/block-editor').insertBlocks(wp.blocks.createBlock('core/image', {id: %[1]d, url: %[2]q, sizeSlug: 'large'}))
		editor.editPost({title: %[3]q, featured_media: %[1]d, status: 'publish'})`, last.ID, last.Sizes[len(last.Sizes)-1], title))
	b.author.shoot("editor")
	b.posts = append(b.posts, link)
	b.read(title)
	save(fmt.Sprintf(`editor.editPost({title: %q})`, title+", edited"))
	b.read(title + ", edited")
	b.author.goTo(blogURL + "/wp-admin/upload.php?mode=grid")
}

// read opens the last post as the reader, several times so that both nodes are asked, and the front page.
func (b *blog) read(title string) {
	b.f.t.Helper()
	for _, page := range []string{b.posts[len(b.posts)-1], blogURL + "/", b.posts[len(b.posts)-1]} {
		b.reader.goTo(page)
		b.checkImages(b.reader, 1)
		var text string
		b.reader.eval(`document.body.innerText`, &text)
		if !strings.Contains(text, title) {
			b.reader.shoot("stale")
			b.f.t.Errorf("%s lacks %q:\n%s", page, title, text)
		}
	}
	b.reader.shoot("post")
}

// look shows all pictures to both.
func (b *blog) look() {
	b.f.t.Helper()
	for _, p := range b.pictures {
		b.show(b.author, p)
		b.show(b.reader, p)
	}
}

// remove deletes a picture in the library. It is gone at once, for both, on all nodes.
func (b *blog) remove(i int) {
	t, p := b.f.t, b.pictures[i]
	t.Helper()
	b.author.waitFor("the pictures in the library", fmt.Sprintf(`wp.media.attachment(%d).get('nonces')`, p.ID))
	b.author.eval(fmt.Sprintf(`new Promise((done, fail) => wp.media.attachment(%d).destroy({wait: true}).done(() => done()).fail(fail))`, p.ID), nil)
	b.pictures = append(b.pictures[:i], b.pictures[i+1:]...)
	for range 2 {
		for _, who := range []*tab{b.reader, b.author} {
			var left []string
			before := len(who.failures())
			who.eval(fmt.Sprintf(`Promise.all(%s.map(src => fetch(src, {cache: 'no-store'}).then(r => r.status == 404 ? '' : r.status + ' ' + src))).then(all => all.filter(s => s))`, list(p.Sizes)), &left)
			if len(left) > 0 {
				t.Errorf("a deleted picture is there: %v", left)
			}
			who.forgive(before)
		}
	}
	b.author.shoot("removed")
}

// visit counts visits in a session of PHP, which the nodes keep in files.
func (b *blog) visit(times int) {
	b.f.t.Helper()
	var counted []string
	b.reader.eval(fmt.Sprintf(`(async () => {
		const counted = []
		for (let i = 1; i <= %d; i++) {
			const ask = method => fetch('/visits.php', {method}).then(r => r.text())
			counted.push(await ask('POST'), await ask('GET'))
			if (counted.at(-1) != i || counted.at(-2) != i) break
		}
		return counted
	})()`, times), &counted)
	if last := fmt.Sprint(times); len(counted) != 2*times || counted[2*times-1] != last {
		b.f.t.Errorf("a session counts %v visits", counted)
	}
}

// finish looks at the whole again and says how it was.
func (b *blog) finish() {
	t := b.f.t
	t.Helper()
	b.look()
	for _, n := range []string{"web1", "web2"} {
		for _, c := range b.f.conflicts(n).List {
			if !c.Reason.Meant() {
				t.Errorf("WordPress needs no conflict, but %s has %s: %s", n, c.Path, c.Reason)
			}
		}
	}
	for name, who := range map[string]*tab{"author": b.author, "reader": b.reader} {
		t.Logf("the %s's browser made %d requests, to nodes %v", name, who.asked, who.nodes)
		for _, request := range who.failures() {
			t.Errorf("the %s's request failed: %s", name, request)
		}
		if who.nodes["web1"] == 0 || who.nodes["web2"] == 0 {
			t.Errorf("the %s's answers came from %v, want both nodes", name, who.nodes)
		}
	}
}

// drawPicture makes a photo that no other one is like.
func drawPicture(t *testing.T, n int) string {
	t.Helper()
	img := image.NewRGBA(image.Rect(0, 0, 1200, 900))
	for y := range 900 {
		for x := range 1200 {
			img.Set(x, y, color.RGBA{uint8(x * n / 8), uint8(y / 4), uint8(n * 40), 255})
		}
	}
	path := filepath.Join(t.TempDir(), fmt.Sprintf("picture%d.jpg", n))
	out, err := os.Create(path)
	if err == nil {
		err = jpeg.Encode(out, img, nil)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
