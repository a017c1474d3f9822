package demo

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"tandem/internal/farm"
	"tandem/internal/gallery"
)

// AppOptions of the demo's application.
type AppOptions struct {
	Listen, Dir, Node string
}

// RunApp serves the gallery until ctx ends.
func RunApp(ctx context.Context, o AppOptions) error {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return &farm.Error{Op: "demo-app", Path: o.Dir, Kind: farm.Other, Err: err}
	}
	s := &http.Server{
		Addr: o.Listen, Handler: gallery.New(gallery.Config{Dir: o.Dir, Node: o.Node}), ReadHeaderTimeout: 10 * time.Second,
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return &farm.Error{Op: "demo-app", Path: o.Listen, Kind: farm.Unavailable, Err: err}
	}
	return nil
}
