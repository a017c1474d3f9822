package shell

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"
)

// logCore is Caddy's way to our log. Caddy says at info what only its developers want to know, so that becomes debug.
type logCore struct {
	Instance string `json:"instance"`

	log *slog.Logger
}

// CaddyModule implements caddy.Module.
func (*logCore) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "caddy.logging.cores.tandem",
		New: func() caddy.Module { return new(logCore) },
	}
}

// Provision implements caddy.Provisioner.
func (c *logCore) Provision(caddy.Context) error {
	log, ok := loggers.Load(c.Instance)
	if !ok {
		return fmt.Errorf("there is no instance %q", c.Instance)
	}
	c.log = log.(*slog.Logger)
	return nil
}

func slogLevel(l zapcore.Level) slog.Level {
	switch {
	case l >= zapcore.ErrorLevel:
		return slog.LevelError
	case l == zapcore.WarnLevel:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// Enabled implements zapcore.LevelEnabler.
func (c *logCore) Enabled(l zapcore.Level) bool {
	return l > zapcore.DebugLevel && c.log.Enabled(context.Background(), slogLevel(l))
}

// With implements zapcore.Core.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{Instance: c.Instance, log: c.log.With(attrs(fields)...)}
}

// Check implements zapcore.Core.
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write implements zapcore.Core.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	c.log.With(attrs(fields)...).Log(context.Background(), slogLevel(e.Level), e.Message, "part", e.LoggerName)
	return nil
}

// Sync implements zapcore.Core.
func (c *logCore) Sync() error { return nil }

func attrs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]any, 0, len(enc.Fields))
	for k, v := range enc.Fields {
		out = append(out, slog.Any(k, v))
	}
	return out
}
