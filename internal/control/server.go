package control

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"time"

	"tandem/internal/farm"
)

// Limits of the API.
const (
	maxBodyBytes      = 4 << 10
	maxConfigBytes    = 24 << 20 // MaxConfigFilesBytes in base64, and some
	shutdownTimeout   = 3 * time.Second
	readHeaderTimeout = 5 * time.Second
)

// ServerOptions are what a server needs.
type ServerOptions struct {
	Socket  string // path
	Backend Backend
	Journal *Journal
	Log     *slog.Logger
}

// Server answers the control API.
type Server struct {
	opt    ServerOptions
	socket *socket
}

// NewServer returns a server that does nothing yet.
func NewServer(o ServerOptions) *Server { return &Server{opt: o} }

// Listen takes the socket, so that a second daemon fails early and a command that comes early waits. Exists: another
// daemon has it. Run or Close must follow.
func (s *Server) Listen(ctx context.Context) (err error) {
	s.socket, err = listenSocket(ctx, s.opt.Socket)
	return err
}

// Close gives up the socket of a server that never ran.
func (s *Server) Close() error { return s.socket.Close() }

// Run answers until ctx ends. Calls and streams under way end with it, and get a bounded time to say so.
func (s *Server) Run(ctx context.Context) error {
	hs := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: readHeaderTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.opt.Log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- hs.Serve(s.socket) }()
	select {
	case err := <-served:
		return &farm.Error{Op: "serve", Path: s.opt.Socket, Kind: farm.Other, Err: err}
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err := hs.Shutdown(bounded)
	if err != nil {
		err = hs.Close()
	}
	<-served
	return err
}

// Handler answers the API for whoever reaches it: it knows no callers and refuses none.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h func(http.ResponseWriter, *http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := h(w, r); err != nil {
				s.fail(w, r, err)
			}
		})
	}
	handle("GET /v1/status", s.status)
	handle("GET /v1/health", s.health)
	handle("GET /v1/fronts", s.fronts)
	handle("GET /v1/events", s.events)
	handle("GET /v1/config", s.configStatus)
	handle("POST /v1/config/check", s.configCheck)
	handle("POST /v1/config/apply", s.configApply(s.opt.Backend.ApplyConfig))
	handle("POST /v1/config/rollback", s.configApply(s.opt.Backend.RollbackConfig))
	handle("GET /v1/config/log", s.configLog)
	handle("GET /v1/config/revisions/{rev}", s.configRevision)
	handle("GET /v1/config/export", s.configExport)
	handle("GET /v1/secrets", s.listSecrets)
	handle("POST /v1/secrets/export", s.exportSecrets)
	handle("PUT /v1/secrets/{name}", s.setSecret)
	handle("GET /v1/folders", s.folders)
	handle("POST /v1/folders/{id}/probe", s.probe)
	handle("GET /v1/conflicts", s.conflicts)
	handle("POST /v1/conflicts/diff", s.conflictDiff)
	handle("POST /v1/conflicts/restore", s.conflictRestore)
	handle("POST /v1/conflicts/drop", s.conflictDrop)
	handle("POST /v1/folders/{id}/{verb}", s.steer)
	handle("GET /v1/why", s.why)
	handle("GET /v1/folders/{id}/seed", s.seedSummary)
	handle("POST /v1/folders/{id}/seed", s.seedChoose)
	handle("GET /v1/certificates", s.certificates)
	handle("GET /v1/certificates/check", s.checkHost)
	handle("POST /v1/certificates/import", s.importCertificate)
	handle("POST /v1/invites", s.invite)
	handle("GET /v1/members", s.members)
	handle("DELETE /v1/members/{name}", s.removeMember)
	handle("POST /v1/members/{name}/pause", s.pauseMember(true))
	handle("POST /v1/members/{name}/resume", s.pauseMember(false))
	handle("POST /v1/maintenance", s.maintain)
	handle("GET /v1/members/{name}/drain", s.drain)
	handle("POST /v1/members/{name}/drain/{verb}", s.drain)
	mux.Handle("GET /v1/metrics", metricsHandler(s.opt.Backend, s.opt.Journal, s.opt.Log))
	return mux
}

// fail answers with the error. When the answer has begun already this cuts it short, which the client notices.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := farm.KindOf(err)
	if kind == farm.Internal || kind == farm.Other {
		s.opt.Log.Error("a control call failed", "call", r.Method+" "+r.URL.Path, "err", err)
	}
	answer(w, kind.HTTPStatus(), errorAnswer{ErrorOf(err)})
}

// answer writes v as indented JSON, which people read with curl.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	// The only error is a client that has gone, and there is nobody left to tell.
	_ = enc.Encode(v)
}

// decode reads a body of at most max bytes, strictly: a key that is not known here is a request of a later version.
func decode(w http.ResponseWriter, r *http.Request, max int64, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, max))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return &farm.Error{Op: "read request", Kind: farm.Invalid, Err: err}
	}
	return nil
}
