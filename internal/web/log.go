package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const accessLogName = "http.log.access" // Caddy's name for it, which its tools know

// accessLog writes what Caddy's server would write about a request, to the logs of one block.
type accessLog struct {
	names *caddyhttp.ServerLogConfig
	logs  map[string]*zap.Logger
	slog  *slog.Logger // for log directives that say nothing about where
}

// logFiles are the writers that a site has open, by their key in the pool.
type logFiles []string

// open makes a block's access log; nil if it has none. Sites and revisions that write the same file with the same
// options share one writer.
func (lf *logFiles) open(ctx caddy.Context, pool *caddy.UsagePool, c compiled, log *slog.Logger) (*accessLog, error) {
	if c.access == nil {
		return nil, nil
	}
	a := &accessLog{names: c.access, logs: map[string]*zap.Logger{}, slog: log}
	for _, name := range slices.Sorted(maps.Keys(c.logs)) {
		if name == caddy.DefaultLoggerName {
			continue // the adapter adds it, only to take the access logs out of it
		}
		core, err := lf.core(ctx, pool, c.logs[name])
		if err != nil {
			return nil, fmt.Errorf("loading module 'log': %w", err)
		}
		a.logs[name] = zap.New(core).Named(accessLogName + "." + name)
	}
	return a, nil
}

func (lf *logFiles) core(ctx caddy.Context, pool *caddy.UsagePool, l *caddy.CustomLog) (zapcore.Core, error) {
	if l.CoreRaw != nil {
		return nil, fmt.Errorf("core is not supported")
	}
	level, err := zapcore.ParseLevel(cmp.Or(l.Level, "info"))
	if err != nil {
		return nil, err
	}
	opener := caddy.WriterOpener(caddy.StderrWriter{})
	if l.WriterRaw != nil {
		raw := l.WriterRaw
		mod, err := ctx.LoadModule(l, "WriterRaw")
		if err != nil {
			return nil, err
		}
		opener = mod.(caddy.WriterOpener)
		if _, ok := opener.(*caddy.DiscardWriter); ok {
			return zapcore.NewNopCore(), nil
		}
		l.WriterRaw = raw
	}
	key := opener.WriterKey() + string(l.WriterRaw)
	w, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) {
		w, err := opener.OpenWriter()
		return writer{w}, err
	})
	if err != nil {
		return nil, err
	}
	*lf = append(*lf, key)
	enc, err := encoder(ctx, l, opener)
	if err != nil {
		return nil, err
	}
	core := zapcore.NewCore(enc, zapcore.AddSync(w.(writer)), level)
	if s := l.Sampling; s != nil {
		core = zapcore.NewSamplerWithOptions(core, max(s.Interval, time.Second), max(s.First, 1), max(s.Thereafter, 1))
	}
	return core, nil
}

func encoder(ctx caddy.Context, l *caddy.CustomLog, opener caddy.WriterOpener) (zapcore.Encoder, error) {
	if l.EncoderRaw == nil {
		l.EncoderRaw = json.RawMessage(`{"format": "json"}`)
	}
	mod, err := ctx.LoadModule(l, "EncoderRaw")
	if err != nil {
		return nil, err
	}
	if d, ok := mod.(caddy.ConfiguresFormatterDefault); ok {
		if err := d.ConfigureDefaultFormat(opener); err != nil {
			return nil, err
		}
	}
	return mod.(zapcore.Encoder), nil
}

func (lf *logFiles) close(pool *caddy.UsagePool) {
	for _, key := range *lf {
		_, _ = pool.Delete(key) // nobody is left to whom a failed close would matter
	}
}

// writer is closed when its last user is gone.
type writer struct{ io.WriteCloser }

// Destruct implements caddy.Destructor.
func (w writer) Destruct() error { return w.Close() }

// loggers are those that a request is written to.
func (a *accessLog) loggers(r *http.Request) []string {
	if skip, _ := caddyhttp.GetVar(r.Context(), caddyhttp.LogSkipVar).(bool); skip {
		return nil
	}
	if names, ok := caddyhttp.GetVar(r.Context(), caddyhttp.AccessLoggerNameVarKey).([]any); ok {
		var all []string
		for _, n := range names {
			if n, ok := n.(string); ok {
				all = append(all, n)
			}
		}
		return all
	}
	host := strings.ToLower(hostOnly(r.Host))
	if names, ok := a.names.LoggerNames[host]; ok {
		return names
	}
	if _, parent, ok := strings.Cut(host, "."); ok {
		if names, ok := a.names.LoggerNames["*."+parent]; ok {
			return names
		}
	}
	if a.names.SkipUnmappedHosts || slices.Contains(a.names.SkipHosts, host) {
		return nil
	}
	return []string{a.names.DefaultLoggerName}
}

// write logs a request that has been answered.
func (a *accessLog) write(r *http.Request, rec caddyhttp.ResponseRecorder, repl *caddy.Replacer, read int64, took time.Duration) {
	level := zapcore.InfoLevel
	if rec.Status() >= http.StatusInternalServerError {
		level = zapcore.ErrorLevel
	}
	var fields []zapcore.Field
	for _, name := range a.loggers(r) {
		log, ok := a.logs[name]
		if !ok {
			a.slog.Info("handled request", "client", r.RemoteAddr, "host", r.Host, "method", r.Method,
				"path", r.URL.Path, "status", rec.Status(), "bytes", rec.Size(), "took", took)
			continue
		}
		entry := log.Check(level, "handled request")
		if entry == nil {
			continue
		}
		if fields == nil {
			user, _ := repl.GetString("http.auth.user.id")
			fields = []zapcore.Field{
				zap.Object("request", caddyhttp.LoggableHTTPRequest{Request: r}),
				zap.Int64("bytes_read", read),
				zap.String("user_id", user),
				zap.Duration("duration", took),
				zap.Int("size", rec.Size()),
				zap.Int("status", rec.Status()),
				zap.Object("resp_headers", caddyhttp.LoggableHTTPHeader{Header: rec.Header()}),
			}
		}
		entry.Write(fields...)
	}
}

// hostOnly is a Host header without its port and without the brackets of an IPv6 address.
func hostOnly(host string) string {
	if !strings.Contains(host, ":") {
		return host // nearly always, and SplitHostPort would make an error
	}
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}
