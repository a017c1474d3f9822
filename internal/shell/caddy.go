package shell

// Everything that Caddy makes global is in this file: two registered modules, the standard logger, and the table that gives the log
// module, which Caddy makes without any context of ours, its logger.

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyevents" // the http app asks for it
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// The configuration is the same for ever. The servers have no listeners: they are pipelines that the fronts' servers
// use as their handler. The tls app is there because the http app asks for it, and is never started.
//
// The time-out of a plain connection's writes is the kernel's (DefaultStallTime) where there is one, because Caddy's own costs
// sendfile; that of a TLS connection is Caddy's, which also covers an HTTP/2 stream that a visitor does not read.
const (
	loggingJSON = `{"logs": {"default": {"level": "FATAL", "core": {"module": "tandem", "instance": %q}}}}`
	tlsJSON     = `{"disable_ocsp_stapling": true, "disable_storage_check": true, "disable_storage_clean": true}`
	httpJSON    = `{"servers": {
		"plain": {"automatic_https": {"disable": true}, "write_idle_timeout": %d, "routes": [{"handle": [{"handler": "tandem_front"}]}]},
		"tls":   {"automatic_https": {"disable": true}, "routes": [{"handle": [{"handler": "tandem_front"}]}]}
	}}`
)

var register = sync.OnceFunc(func() {
	caddy.RegisterModule(new(frontHandler))
	caddy.RegisterModule(new(logCore))
	// Importing Caddy has made the standard logger write Caddy's JSON. It is the program's again.
	log.SetOutput(os.Stderr)
	log.SetFlags(log.LstdFlags)
})

// loggers gives each instance's log module its logger: from the instance's number to a *slog.Logger.
var loggers, instances = sync.Map{}, atomic.Uint64{}

// instance is a provisioned Caddy.
type instance struct {
	id         string
	ctx        caddy.Context
	cancel     context.CancelFunc
	plain, tls http.Handler
}

func startCaddy(logger *slog.Logger) (*instance, error) {
	register()
	in := &instance{id: strconv.FormatUint(instances.Add(1), 10)}
	loggers.Store(in.id, logger)

	cfg := &caddy.Config{}
	if err := json.Unmarshal(fmt.Appendf(nil, loggingJSON, in.id), &cfg.Logging); err != nil {
		return nil, err
	}
	root, err := caddy.ProvisionContext(cfg)
	if err != nil {
		return nil, err
	}
	// The apps are loaded in a context below the root, because Caddy keeps the root's cancel function to itself.
	cfg.AppsRaw = caddy.ModuleMap{"tls": json.RawMessage(tlsJSON), "http": fmt.Appendf(nil, httpJSON, plainWriteIdle)}
	in.ctx, in.cancel = caddy.NewContext(root)
	app, err := in.ctx.App("http")
	if err != nil {
		in.stop()
		return nil, err
	}
	servers := app.(*caddyhttp.App).Servers
	in.plain, in.tls = servers["plain"], servers["tls"]
	return in, nil
}

// stop cancels the context, and with it those of the sites.
func (in *instance) stop() {
	in.cancel()
	loggers.Delete(in.id)
}

// frontHandler is the one route of the pipelines: it passes the request to the handler of the front it came in by.
type frontHandler struct{}

// CaddyModule implements caddy.Module.
func (*frontHandler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.tandem_front",
		New: func() caddy.Module { return new(frontHandler) },
	}
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (*frontHandler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	f, ok := r.Context().Value(frontKey{}).(*front)
	if !ok {
		return caddyhttp.Error(http.StatusInternalServerError, fmt.Errorf("the request came by no front"))
	}
	f.serve(w, r)
	return nil
}
