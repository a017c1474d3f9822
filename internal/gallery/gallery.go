package gallery

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/url"
	"time"
)

//go:embed page.html style.css
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"size": size,
	"time": func(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04:05") },
}).ParseFS(files, "page.html"))

const (
	maxShown       = 200                      // pictures on the first page
	maxUploadBytes = MaxPictureBytes + 64<<10 // with the form around it
	maxFormBytes   = 16 << 10                 // of a comment
	policy         = "default-src 'none'; img-src 'self'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

// Config is what a gallery needs.
type Config struct {
	Dir  string       // where the files are; need not exist yet
	Node string       // name of this server, shown at the foot of every page
	Log  *slog.Logger // nil: nothing is logged
}

// gallery is the application.
type gallery struct {
	store store
	node  string
	log   *slog.Logger
}

// New returns the application.
func New(cfg Config) http.Handler {
	g := &gallery{store: store{cfg.Dir}, node: cfg.Node, log: cfg.Log}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", g.index)
	mux.HandleFunc("POST /upload", g.upload)
	mux.HandleFunc("GET /image/{name}", g.image)
	mux.HandleFunc("GET /item/{name}", g.item)
	mux.HandleFunc("POST /item/{name}/comment", g.comment)
	mux.HandleFunc("POST /item/{name}/delete", g.remove)
	mux.HandleFunc("GET /style.css", func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "style.css") })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { g.fail(w, r, fs.ErrNotExist) })
	// No other site may make a visitor's browser upload or delete.
	return http.NewCrossOriginProtection().Handler(mux)
}

// page is what the templates show.
type page struct {
	Title    string
	Node     string
	Files    int
	Pictures []Picture // the first page
	More     int       // pictures that it does not show
	Picture  *Picture  // an item's page
	Comments []Comment
	Problem  string // an error's page
}

func (g *gallery) index(w http.ResponseWriter, r *http.Request) {
	all, err := g.store.pictures()
	if err != nil {
		g.fail(w, r, err)
		return
	}
	shown := all[:min(len(all), maxShown)]
	g.show(w, http.StatusOK, page{Title: "Gallery", Pictures: shown, More: len(all) - len(shown), Files: len(all)})
}

func (g *gallery) item(w http.ResponseWriter, r *http.Request) {
	all, err := g.store.pictures()
	if err != nil {
		g.fail(w, r, err)
		return
	}
	for _, p := range all {
		if p.Name != r.PathValue("name") {
			continue
		}
		comments, err := g.store.comments(p.Name)
		if err != nil {
			g.fail(w, r, err)
			return
		}
		g.show(w, http.StatusOK, page{Title: p.Name, Picture: &p, Comments: comments, Files: len(all)})
		return
	}
	g.fail(w, r, fs.ErrNotExist)
}

// image serves a picture's bytes. The tag is the same on every server that has the file with its time.
func (g *gallery) image(w http.ResponseWriter, r *http.Request) {
	f, err := g.store.open(r.PathValue("name"))
	if err != nil {
		g.fail(w, r, err)
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		g.fail(w, r, errors.Join(err, fs.ErrNotExist))
		return
	}
	h := w.Header()
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy)
	http.ServeContent(w, r, info.Name(), info.ModTime(), f)
}

func (g *gallery) upload(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUploadBytes)
	parts, err := r.MultipartReader()
	if err != nil {
		g.fail(w, r, errNoPicture)
		return
	}
	for {
		part, err := parts.NextPart()
		switch {
		case err == io.EOF:
			g.fail(w, r, errNoPicture)
			return
		case err != nil:
			g.fail(w, r, err)
			return
		case part.FormName() == "picture":
			g.take(w, r, part)
			return
		}
	}
}

func (g *gallery) take(w http.ResponseWriter, r *http.Request, part *multipart.Part) {
	name, err := g.store.add(part.FileName(), part)
	if err != nil {
		g.fail(w, r, err)
		return
	}
	g.log.Info("picture uploaded", "name", name)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (g *gallery) comment(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		g.fail(w, r, err)
		return
	}
	f, err := g.store.open(name) // only what is there can be commented on
	if err != nil {
		g.fail(w, r, err)
		return
	}
	_ = f.Close()
	err = g.store.comment(name, Comment{time.Now(), r.PostForm.Get("author"), r.PostForm.Get("text")})
	if err != nil {
		g.fail(w, r, err)
		return
	}
	g.log.Info("comment added", "name", name)
	http.Redirect(w, r, "/item/"+url.PathEscape(name), http.StatusSeeOther)
}

func (g *gallery) remove(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	if err := g.store.remove(name); err != nil {
		g.fail(w, r, err)
		return
	}
	g.log.Info("picture deleted", "name", name)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// fail shows what went wrong. What is not the visitor's to mend is logged and not told.
func (g *gallery) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, problem := http.StatusInternalServerError, "Something went wrong here. Please try again."
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		status, problem = http.StatusNotFound, "There is no such picture, or it has been deleted."
	case errors.Is(err, errNoPicture):
		status, problem = http.StatusUnsupportedMediaType, "That is not a PNG, JPEG, GIF or WebP picture."
	case errors.Is(err, errTooLarge), errors.As(err, &tooLarge):
		status, problem = http.StatusRequestEntityTooLarge, fmt.Sprintf("A picture may have up to %d MB.", MaxPictureBytes>>20)
	case errors.Is(err, errNoText):
		status, problem = http.StatusBadRequest, "A comment needs a text."
	case errors.Is(err, io.ErrUnexpectedEOF):
		status, problem = http.StatusBadRequest, "The upload broke off."
	default:
		g.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "err", err)
	}
	all, _ := g.store.pictures() // for the foot of the page only
	g.show(w, status, page{Title: http.StatusText(status), Problem: problem, Files: len(all)})
}

// show writes a page, whole or not at all.
func (g *gallery) show(w http.ResponseWriter, status int, p page) {
	p.Node = g.node
	var text bytes.Buffer
	if err := pages.ExecuteTemplate(&text, "page", p); err != nil {
		g.log.Error("page not written", "err", err)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KB", n>>10)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/(1<<20))
}
