package shell

import (
	"context"
	"crypto/tls"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

const http2FrameBytes = 16 << 10 // that are read: the least that a server must take, and what browsers send

type frontKey struct{}

// handler is boxed, so that handlers of different types can be swapped atomically.
type handler struct{ http.Handler }

// front is one address that is listened on. It is made anew when its address or TLS option changes.
type front struct {
	network, address string
	tls              *tls.Config // nil: plain
	limits           Limits
	door             *door
	resets           *quic.StatelessResetKey // see Config.Resets; may be nil
	pass             Switch                  // nil: no connection is passed on
	log              *slog.Logger
	handler          atomic.Pointer[handler]

	server   *http.Server
	fresh    fresh
	listener net.Listener
	split    *split     // nil: no connection is passed on
	quic     *quicFront // nil: no HTTP/3
	done     sync.WaitGroup
}

// listen binds the socket and starts to serve. pipeline is what requests pass through on their way to serve.
func (f *front) listen(ctx context.Context, pipeline http.Handler, http3 bool) error {
	lc := net.ListenConfig{Control: stallGuard(f.limits.StallTime)}
	ln, err := lc.Listen(ctx, f.network, f.address)
	if err != nil {
		return err
	}
	f.listener = ln
	ln = guardedListener{ln, f.door}
	if f.tls != nil && f.pass != nil {
		f.split = newSplit(ln, f.pass)
		ln = f.split
	}
	base := f.serveOn(ln, pipeline)
	if f.tls != nil && http3 {
		f.quic = listenQUIC(base, f, pipeline)
	}
	return nil
}

// refusing is the TLS configuration for visitors that can't be passed on: those of HTTP/3.
func (f *front) refusing() *tls.Config {
	if f.pass == nil {
		return f.tls
	}
	cfg := f.tls.Clone()
	next := cfg.GetConfigForClient
	cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if f.pass.Pass(hello.ServerName) != nil {
			return nil, errors.New("TLS of this host does not end here")
		}
		if next == nil {
			return nil, nil
		}
		return next(hello)
	}
	return cfg
}

// serveOn starts to serve what a listener accepts. It returns the context that all requests begin with.
func (f *front) serveOn(ln net.Listener, pipeline http.Handler) context.Context {
	base := context.WithValue(context.Background(), frontKey{}, f)
	f.server = &http.Server{
		Handler:           pipeline,
		BaseContext:       func(net.Listener) context.Context { return base },
		ConnContext:       withConn,
		ConnState:         f.fresh.note,
		ReadHeaderTimeout: f.limits.HeaderTime,
		IdleTimeout:       f.limits.IdleTime,
		MaxHeaderBytes:    f.limits.HeaderBytes,
		HTTP2:             &http.HTTP2Config{MaxReadFrameSize: http2FrameBytes},
		ErrorLog:          stdlog.New(serverLog{f.log}, "", 0),
	}
	if f.tls != nil {
		ln = tls.NewListener(ln, f.tls)
	}
	f.done.Go(func() {
		if err := f.server.Serve(ln); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			f.log.Error("the front stopped", "front", f.address, "error", err)
		}
	})
	return base
}

// serve is where Caddy's pipeline ends.
func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	delete(w.Header(), "Server") // Caddy names itself
	f.advertise(w, r)
	r, done := watched(r)
	f.handler.Load().ServeHTTP(w, r)
	done()
}

// direct is serve without the pipeline.
func (f *front) direct(w http.ResponseWriter, r *http.Request) {
	f.advertise(w, r)
	r, done := watched(r)
	guarded(f.handler.Load(), w, r, f.limits)
	done()
}

func (f *front) advertise(w http.ResponseWriter, r *http.Request) {
	if f.quic != nil && r.ProtoMajor < 3 {
		f.quic.advertise(w.Header())
	}
}

// closeIdle closes the connections that wait for a request, and those that have been new for more than five seconds.
func (f *front) closeIdle() {
	f.server.SetKeepAlivesEnabled(false)
	f.server.SetKeepAlivesEnabled(true)
}

// drain stops accepting, waits for the requests in flight until ctx ends, and closes what is left.
func (f *front) drain(ctx context.Context) error {
	if f.quic != nil {
		f.done.Go(func() { f.quic.drain(ctx) })
	}
	if f.split != nil {
		_ = f.split.Close() // net/http does so too, in its own time
		f.done.Go(func() { f.split.drain(ctx) })
	}
	over := make(chan struct{})
	f.done.Go(func() { settle(over, f.fresh.close) })
	err := f.server.Shutdown(ctx)
	close(over)
	if err != nil {
		_ = f.server.Close() // the connections are lost either way
	}
	f.done.Wait()
	return err
}

// serverLog takes what net/http has to say. Most of it is about clients that went away; a panic is about us.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Write(p []byte) (int, error) {
	level, text := slog.LevelDebug, strings.TrimSuffix(string(p), "\n")
	if strings.HasPrefix(text, "http: panic") {
		level = slog.LevelError
	}
	l.log.Log(context.Background(), level, text)
	return len(p), nil
}
