package web

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"tandem/internal/config"
)

// block is a loaded block of a site file. It does what Caddy's server does around the routes of a site, so that a site
// behaves the same behind any http.Server.
type block struct {
	line     int // in the site file
	bindings []binding
	tls      tlsOptions
	edge     *config.EdgeSite // nil: it has no edge directive
	server   *caddyhttp.Server
	routes   caddyhttp.MiddlewareHandler
	errors   caddyhttp.MiddlewareHandler // nil: no handle_errors
	access   *accessLog                  // nil: none
	missing  *missing                    // nil: its files are in no folder
	vouch    *vouch                      // nil: edges keep nothing of it
	log      *slog.Logger
	proxies  bool
}

// ServeHTTP serves a request whose visitor is settled (see visitor.go).
func (b *block) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if b.proxies {
		w = &answer{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}}
	}
	repl := caddy.NewReplacer()
	r = caddyhttp.PrepareRequest(r, repl, w, b.server)
	if b.access == nil {
		b.handle(w, r)
		return
	}
	start := time.Now()
	rec := caddyhttp.NewResponseRecorder(w, nil, nil)
	body := &countingBody{ReadCloser: r.Body}
	r.Body = body
	before := r.Clone(r.Context()) // handlers may change it
	defer func() {
		b.access.write(before, rec, repl, body.read, time.Since(start))
	}()
	b.handle(rec, r)
}

// handle runs the routes, and those for errors if they fail.
func (b *block) handle(w http.ResponseWriter, r *http.Request) {
	if b.missing != nil && b.missing.serve(w, r) {
		return
	}
	w = b.vouch.wrap(w, r)
	err := b.routes.ServeHTTP(w, r, caddyhttp.HandlerFunc(unhandled))
	if err == nil {
		return
	}
	// The routes for errors see the request as it came in, but for its headers. Caddy's issue 3717.
	if before, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok {
		r.Method, r.RemoteAddr, r.RequestURI = before.Method, before.RemoteAddr, before.RequestURI
		u := *before.URL
		r.URL = &u
	}
	status := statusOf(err)
	level := slog.LevelDebug
	if status >= http.StatusInternalServerError {
		level = slog.LevelWarn
	}
	b.log.Log(r.Context(), level, "the request failed",
		"host", r.Host, "method", r.Method, "path", r.URL.Path, "status", status, "error", err)
	if b.errors == nil {
		w.WriteHeader(status)
		return
	}
	r = (&caddyhttp.HTTPErrorConfig{}).WithError(r, err)
	if err := b.errors.ServeHTTP(w, r, caddyhttp.HandlerFunc(statusOnly)); err != nil {
		b.log.Warn("handle_errors failed", "host", r.Host, "error", err)
		w.WriteHeader(status)
	}
}

// unhandled ends the routes: Caddy answers 200 with nothing.
func unhandled(_ http.ResponseWriter, r *http.Request) error {
	caddyhttp.SetVar(r.Context(), "unhandled", true)
	return nil
}

// statusOnly ends the routes for errors.
func statusOnly(w http.ResponseWriter, r *http.Request) error {
	err, _ := r.Context().Value(caddyhttp.ErrorCtxKey).(error)
	w.WriteHeader(statusOf(err))
	return nil
}

func statusOf(err error) int {
	var he caddyhttp.HandlerError
	if errors.As(err, &he) && he.StatusCode != 0 {
		return he.StatusCode
	}
	return http.StatusInternalServerError
}

// answer puts our name where Caddy's proxy puts its own.
type answer struct {
	*caddyhttp.ResponseWriterWrapper
	begun    bool
	hijacked bool
}

func (a *answer) begin() {
	if a.begun {
		return
	}
	a.begun = true
	for i, via := range a.Header()["Via"] {
		if hop, ok := strings.CutSuffix(via, " Caddy"); ok {
			a.Header()["Via"][i] = hop + " tandem"
		}
	}
}

func (a *answer) WriteHeader(status int) {
	if a.hijacked {
		return // a tunnel that failed has no status any more
	}
	a.begin()
	a.ResponseWriterWrapper.WriteHeader(status)
}

// Hijack implements http.Hijacker.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(a.ResponseWriter).Hijack()
	a.hijacked = err == nil
	return conn, rw, err
}

func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	return a.ResponseWriterWrapper.Write(p)
}

// ReadFrom keeps the way to sendfile open.
func (a *answer) ReadFrom(r io.Reader) (int64, error) {
	a.begin()
	return a.ResponseWriterWrapper.ReadFrom(r)
}

// countingBody counts what a handler reads of a request's body.
type countingBody struct {
	io.ReadCloser
	read int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	if b.ReadCloser == nil {
		return 0, io.EOF
	}
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	return n, err
}

func (b *countingBody) Close() error {
	if b.ReadCloser == nil {
		return nil
	}
	return b.ReadCloser.Close()
}
