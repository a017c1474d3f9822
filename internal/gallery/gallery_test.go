package gallery

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// visit sends a request to a gallery.
func visit(h http.Handler, method, target, contentType string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func get(h http.Handler, target string) *httptest.ResponseRecorder {
	return visit(h, "GET", target, "", nil)
}

func upload(h http.Handler, field, name string, content []byte) *httptest.ResponseRecorder {
	var form bytes.Buffer
	m := multipart.NewWriter(&form)
	part, _ := m.CreateFormFile(field, name)
	_, _ = part.Write(content)
	_ = m.Close()
	return visit(h, "POST", "/upload", m.FormDataContentType(), &form)
}

func say(h http.Handler, picture, author, text string) *httptest.ResponseRecorder {
	form := url.Values{"author": {author}, "text": {text}}
	return visit(h, "POST", "/item/"+url.PathEscape(picture)+"/comment", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
}

// picture is a small PNG file.
func picture() []byte {
	var b bytes.Buffer
	_ = png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4)))
	return b.Bytes()
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, uploadsDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

func TestUploadCommentDelete(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	g := New(Config{Dir: dir, Node: "web1"})
	if w := get(g, "/"); w.Code != 200 || !strings.Contains(w.Body.String(), "no pictures yet") {
		t.Fatalf("an empty gallery: %d %s", w.Code, w.Body)
	}
	w := upload(g, "picture", "My Cat.png", picture())
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/" {
		t.Fatalf("upload: %d %s", w.Code, w.Body)
	}
	all := names(t, dir)
	if len(all) != 1 || !regexp.MustCompile(`^my-cat-[a-z0-9]{6}\.png$`).MatchString(all[0]) {
		t.Fatalf("stored as %q", all)
	}
	name := all[0]
	if body := get(g, "/").Body.String(); !strings.Contains(body, `src="/image/`+name) || !strings.Contains(body, "<b>web1</b>, which sees 1 file<") {
		t.Errorf("the first page: %s", body)
	}
	w = get(g, "/image/"+name)
	if w.Code != 200 || !bytes.Equal(w.Body.Bytes(), picture()) || w.Header().Get("Content-Type") != "image/png" || w.Header().Get("ETag") == "" {
		t.Errorf("the picture: %d %v", w.Code, w.Header())
	}

	if w = say(g, name, "Ann\tB\n", "so <b>nice</b>\nand\tsoft"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/item/"+name {
		t.Errorf("comment: %d %s", w.Code, w.Body)
	}
	say(g, name, "", "yes")
	body := get(g, "/item/"+name).Body.String()
	for _, want := range []string{"so &lt;b&gt;nice&lt;/b&gt; and soft", "Ann B", "yes", "somebody"} {
		if !strings.Contains(body, want) {
			t.Errorf("the picture's page lacks %q: %s", want, body)
		}
	}
	if strings.Index(body, "Ann B") > strings.Index(body, "yes") {
		t.Error("comments are not in order")
	}

	w = visit(g, "POST", "/item/"+name+"/delete", "", nil)
	if w.Code != http.StatusSeeOther || len(names(t, dir)) != 0 {
		t.Errorf("delete: %d, left %q", w.Code, names(t, dir))
	}
	if w := get(g, "/item/"+name); w.Code != 404 {
		t.Errorf("after that its page: %d", w.Code)
	}
	if w := get(g, "/image/"+name); w.Code != 404 {
		t.Errorf("after that the picture: %d", w.Code)
	}
	if _, err := os.Stat(filepath.Join(dir, commentsOf(name))); !os.IsNotExist(err) {
		t.Errorf("its comments: %v", err)
	}
}

func TestWhatIsRefused(t *testing.T) {
	dir := t.TempDir()
	g := New(Config{Dir: dir})
	if err := os.WriteFile(filepath.Join(dir, "secret.png"), picture(), 0o600); err != nil {
		t.Fatal(err)
	}
	if w := upload(g, "picture", "a.png", picture()); w.Code != 303 {
		t.Fatal(w.Code)
	}
	name := names(t, dir)[0]
	large := append(picture(), make([]byte, MaxPictureBytes)...)
	foreign := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/item/"+name+"/delete", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		return w
	}
	for what, c := range map[string]struct {
		w    *httptest.ResponseRecorder
		want int
	}{
		"a text that is called a picture": {upload(g, "picture", "a.png", []byte("<script>")), 415},
		"an SVG":                          {upload(g, "picture", "a.svg", []byte("<svg xmlns='http://www.w3.org/2000/svg'/>")), 415},
		"an empty file":                   {upload(g, "picture", "a.png", nil), 415},
		"no file":                         {upload(g, "other", "a.png", picture()), 415},
		"no form":                         {visit(g, "POST", "/upload", "image/png", bytes.NewReader(picture())), 415},
		"half a form":                     {visit(g, "POST", "/upload", "multipart/form-data; boundary=x", strings.NewReader("--x\r\nContent-Disposition: form-data; name=picture; filename=a.png\r\n\r\n"+string(picture()))), 400},
		"a large picture":                 {upload(g, "picture", "a.png", large), 413},
		"a much larger one":               {upload(g, "picture", "a.png", append(large, large...)), 413},
		"a comment on nothing":            {say(g, "gone.png", "", "hello"), 404},
		"an empty comment":                {say(g, name, "ann", " \n"), 400},
		"a long comment":                  {say(g, name, "ann", strings.Repeat("x", maxFormBytes)), 413},
		"a name with a slash":             {get(g, "/image/..%2Fsecret.png"), 404},
		"a hidden name":                   {get(g, "/image/.x.png"), 404},
		"deleting beyond":                 {visit(g, "POST", "/item/..%2Fsecret.png/delete", "", nil), 404},
		"another page":                    {get(g, "/nothing"), 404},
		"another site's form":             {foreign(), 403},
	} {
		if c.w.Code != c.want {
			t.Errorf("%s: %d, want %d", what, c.w.Code, c.want)
		}
	}
	if all := names(t, dir); len(all) != 1 {
		t.Errorf("left behind: %q", all)
	}
}

func TestLinksOutOfTheDirectory(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret.png")
	if err := os.WriteFile(outside, picture(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, uploadsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, uploadsDir, "link.png")); err != nil {
		t.Skip("no symbolic links here: ", err)
	}
	g := New(Config{Dir: dir})
	if w := get(g, "/image/link.png"); w.Code == 200 {
		t.Error("a file outside was served")
	}
	if body := get(g, "/").Body.String(); strings.Contains(body, "link.png") {
		t.Error("a link is listed")
	}
}

func TestNewestFirst(t *testing.T) {
	dir := t.TempDir()
	if err := Seed(dir); err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-30 * time.Minute)
	name := filepath.Join(dir, uploadsDir, "half-an-hour.png")
	if err := os.WriteFile(name, picture(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, before, before); err != nil {
		t.Fatal(err)
	}
	body := get(New(Config{Dir: dir}), "/").Body.String()
	at := 0
	for _, name := range []string{"morning.png", "half-an-hour.png", "noon.png", "evening.png", "night.png"} {
		i := strings.Index(body, name)
		if i < at {
			t.Errorf("%s is at %d, after what is at %d", name, i, at)
		}
		at = i
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := Seed(dir); err != nil || len(names(t, dir)) != len(seeds) {
		t.Errorf("seeding twice: %v, %q", err, names(t, dir))
	}
}

func TestManyPictures(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, uploadsDir), 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range maxShown + 3 {
		if err := os.WriteFile(filepath.Join(dir, uploadsDir, fmt.Sprintf("%d.gif", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	body := get(New(Config{Dir: dir}), "/").Body.String()
	if n := strings.Count(body, "<li>"); n != maxShown || !strings.Contains(body, "3 older pictures") {
		t.Errorf("%d are shown", n)
	}
}

// Several servers append to one file.
func TestCommentsDoNotMix(t *testing.T) {
	dir := t.TempDir()
	if err := Seed(dir); err != nil {
		t.Fatal(err)
	}
	const writers, each = 4, 25
	var all sync.WaitGroup
	for i := range writers {
		g := New(Config{Dir: dir})
		all.Go(func() {
			for n := range each {
				say(g, "noon.png", fmt.Sprint("writer ", i), strings.Repeat(fmt.Sprint(n%10), 100))
			}
		})
	}
	all.Wait()
	got, err := store{dir}.comments("noon.png")
	if err != nil || len(got) != writers*each {
		t.Fatalf("%d comments, %v", len(got), err)
	}
	for _, c := range got {
		if c.Text != strings.Repeat(c.Text[:1], 100) {
			t.Errorf("mixed: %q", c.Text)
		}
	}
}

func TestOnlyTheLatestComments(t *testing.T) {
	dir := t.TempDir()
	if err := Seed(dir); err != nil {
		t.Fatal(err)
	}
	s := store{dir}
	for i := range 300 {
		if err := s.comment("noon.png", Comment{time.Now(), "ann", fmt.Sprintf("%d %s", i, strings.Repeat("x", 400))}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.comments("noon.png")
	if err != nil || len(got) < 100 || len(got) > 200 || !strings.HasPrefix(got[len(got)-1].Text, "299 ") {
		t.Errorf("%d comments, %v", len(got), err)
	}
}

func TestRangesAndTags(t *testing.T) {
	dir := t.TempDir()
	if err := Seed(dir); err != nil {
		t.Fatal(err)
	}
	g := New(Config{Dir: dir})
	whole := get(g, "/image/noon.png")
	r := httptest.NewRequest("GET", "/image/noon.png", nil)
	r.Header.Set("Range", "bytes=100-")
	r.Header.Set("If-Range", whole.Header().Get("ETag"))
	w := httptest.NewRecorder()
	g.ServeHTTP(w, r)
	if w.Code != http.StatusPartialContent || !bytes.Equal(w.Body.Bytes(), whole.Body.Bytes()[100:]) {
		t.Errorf("a part: %d, %d bytes", w.Code, w.Body.Len())
	}
}

func TestHealth(t *testing.T) {
	g := New(Config{Dir: filepath.Join(t.TempDir(), "none")})
	if w := get(g, "/healthz"); w.Code != 200 || w.Body.String() != "ok\n" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if w := get(g, "/style.css"); w.Code != 200 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/css") {
		t.Errorf("style: %d %v", w.Code, w.Header())
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"My Cat.PNG":                      "my-cat",
		`C:\Users\ann\holiday.jpg`:        "holiday",
		"../../etc/passwd":                "passwd",
		"..":                              "picture",
		".htaccess":                       "picture",
		"a.tar.gz":                        "a-tar",
		"Ünïcödé.gif":                     "n-c-d",
		"-rf.png":                         "rf",
		"a\x00b.png":                      "a-b",
		strings.Repeat("x", 200) + ".png": strings.Repeat("x", maxNameBytes),
		"":                                "picture",
	} {
		if got := cleanName(in); got != want {
			t.Errorf("cleanName(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("My Cat.png", "hello")
	f.Add("../x.gif", "<a>\t\n")
	f.Fuzz(func(t *testing.T, name, text string) {
		clean := cleanName(name) + ".png"
		if !isPictureName(clean) || filepath.Base(clean) != clean {
			t.Fatalf("cleanName(%q) is no name", name)
		}
		line := oneLine(text)
		if strings.ContainsAny(line, "\t\n\r") {
			t.Fatalf("oneLine(%q) = %q", text, line)
		}
	})
}
