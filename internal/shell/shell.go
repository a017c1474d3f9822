package shell

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/quic-go/quic-go"

	"tandem/internal/farm"
)

const (
	// DrainTime is how long the requests in flight on a removed front may take.
	DrainTime = 30 * time.Second
	// RetryTime is the pause between attempts to listen on an address that is in use or not local (yet).
	RetryTime = 3 * time.Second
)

// GetCertificate gives the certificate for a TLS handshake.
type GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// Config is what a Shell needs. Certificate may be nil when there are no TLS fronts.
type Config struct {
	Certificate GetCertificate
	Protocols   []string                 // that a TLS handshake may agree on besides HTTP's: Certificate sees to them
	Minimum     func(host string) uint16 // least version of TLS for a host, where it is more than 1.2; may be nil
	Resets      *[32]byte                // of HTTP/3: machines with the same one tell each other's visitors at once that a connection is lost; may be nil
	HTTP3       bool                     // also on TLS fronts, on the UDP port of the same number
	Log         *slog.Logger
	Sink        farm.Sink
}

// Front is an address on which visitors come in.
type Front struct {
	Name    string // for people: "edge", "sites"
	Network string // "tcp", "tcp4" or "tcp6"; "" is "tcp"
	Address string // "127.0.0.11:8080", ":443"
	TLS     bool
	Limits  Limits
	Pass    Switch // of TLS: which connections are passed on before it ends; nil: none. That of the first front at an address stays
	Direct  bool   // the handler gets requests as net/http has them, not by Caddy's pipeline: it must do without what that does
	Moves   bool   // its addresses may move to another machine while requests are under way
	Handler http.Handler
}

// Status is how a front fares.
type Status struct {
	Front
	Listening string // the address in use, with the port that the system chose for port 0; empty while Err is not nil
	Err       error  // why it is not listened on; it is retried
}

// FrontError says that an address can't be listened on now.
type FrontError struct {
	Front Front
	Err   error
}

func (e *FrontError) Error() string { return "listen on " + e.Front.Address + ": " + e.Err.Error() }

// Unwrap gives the system's error.
func (e *FrontError) Unwrap() error { return e.Err }

// As lets farm.KindOf see the kind Unavailable.
func (e *FrontError) As(target any) bool {
	f, ok := target.(**farm.Error)
	if ok {
		*f = &farm.Error{Op: "listen", Path: e.Front.Address, Kind: farm.Unavailable, Err: e.Err}
	}
	return ok
}

// Shell holds the fronts and the Caddy instance of a process.
type Shell struct {
	cfg Config
	tls *tls.Config // shared by all TLS fronts, and with it the keys of session tickets

	door *door

	mu     sync.Mutex
	caddy  *instance // nil until it is needed
	fronts []*slot
	takes  *handed // see Take; nil until it is needed
	taken  *front
	closed bool

	drains   sync.WaitGroup
	drainCtx context.Context // ends when Close has no more time
	hurry    context.CancelFunc
}

// slot is a front that is wanted; bound is nil while its address can't be listened on.
type slot struct {
	want  Front
	bound *front
	err   error
}

// New returns a Shell that does nothing yet.
func New(cfg Config) *Shell {
	s := &Shell{cfg: cfg, door: newDoor(cfg.Sink), tls: &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     append([]string{"h2", "http/1.1"}, cfg.Protocols...),
		GetCertificate: cfg.Certificate,
	}}
	if cfg.Minimum != nil {
		strict := s.tls.Clone()
		strict.MinVersion = tls.VersionTLS13
		s.tls.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if cfg.Minimum(hello.ServerName) == tls.VersionTLS13 {
				return strict, nil
			}
			return nil, nil
		}
	}
	s.door.relieve = s.closeIdle
	s.drainCtx, s.hurry = context.WithCancel(context.Background())
	return s
}

// Caddy is the context in which sites load their Caddy modules. It ends with Close.
func (s *Shell) Caddy() (caddy.Context, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		return caddy.Context{}, err
	}
	return s.caddy.ctx, nil
}

func (s *Shell) start() error {
	if s.closed {
		return farm.Errorf("serve", "", farm.Unavailable, "the shell is closed")
	}
	if s.caddy != nil {
		return nil
	}
	in, err := startCaddy(s.cfg.Log)
	if err != nil {
		return farm.Errorf("serve", "", farm.Internal, "start Caddy: %w", err)
	}
	s.caddy = in
	return nil
}

// Apply makes the fronts those that are wanted: keeps what is the same, swaps handlers, closes what is not wanted any
// more and listens on what is new. Its error joins one *FrontError for each address that can't be listened on now; the
// others serve, and Run tries again. Two fronts with one address are refused before anything is changed.
func (s *Shell) Apply(ctx context.Context, want []Front) error {
	want = slices.Clone(want)
	for i, f := range want {
		if f.Network == "" {
			want[i].Network = "tcp"
		}
		for _, g := range want[:i] {
			if f.Address == g.Address && want[i].Network == g.Network {
				return farm.Errorf("listen", f.Address, farm.Exists, "%q and %q want the same address", g.Name, f.Name)
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.start(); err != nil {
		return err
	}
	fronts := make([]*slot, len(want))
	for i, f := range want {
		fronts[i] = s.take(f)
	}
	// What is left of the old ones goes before anything is bound: the new may want the same port.
	for _, old := range s.fronts {
		s.release(old)
	}
	s.fronts = fronts
	return s.bind(ctx)
}

// SetDoor says who may connect from now on.
func (s *Shell) SetDoor(d Door) { s.door.rules.Store(&d) }

// closeIdle makes room for new connections.
func (s *Shell) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sl := range s.fronts {
		if sl.bound != nil {
			sl.bound.closeIdle()
		}
	}
}

// take returns the slot that already serves f, with the handler swapped, or else a new one.
func (s *Shell) take(f Front) *slot {
	for i, old := range s.fronts {
		if old.want.Network == f.Network && old.want.Address == f.Address && old.want.TLS == f.TLS && (old.want.Pass == nil) == (f.Pass == nil) && old.want.Direct == f.Direct && old.want.Moves == f.Moves && old.want.Limits == f.Limits {
			s.fronts = slices.Delete(s.fronts, i, i+1)
			old.want = f
			if old.bound != nil {
				old.bound.handler.Store(&handler{f.Handler})
			}
			return old
		}
	}
	return &slot{want: f}
}

// release stops a front, which may take until its last request is through.
func (s *Shell) release(old *slot) {
	if old.bound == nil {
		return
	}
	_ = old.bound.listener.Close() // at once, so that the address is free; draining closes it again
	s.drains.Go(func() {
		ctx, cancel := context.WithTimeout(s.drainCtx, DrainTime)
		defer cancel()
		if err := old.bound.drain(ctx); err != nil {
			s.cfg.Log.Warn("requests were cut off on a removed front", "front", old.want.Address, "error", err)
		}
	})
}

// bind listens on what is not listened on yet.
func (s *Shell) bind(ctx context.Context) error {
	var errs []error
	for _, sl := range s.fronts {
		if sl.bound == nil {
			s.bindOne(ctx, sl)
		}
		if sl.err != nil {
			errs = append(errs, &FrontError{sl.want, sl.err})
		}
	}
	return errors.Join(errs...)
}

func (s *Shell) bindOne(ctx context.Context, sl *slot) {
	f := s.newFront(sl.want)
	pipeline := s.caddy.plain
	if sl.want.TLS {
		f.tls, pipeline = s.tls, s.caddy.tls
	}
	if sl.want.Direct {
		pipeline = http.HandlerFunc(f.direct)
	}
	before := sl.err
	if sl.err = f.listen(ctx, pipeline, s.cfg.HTTP3); sl.err == nil {
		sl.bound = f
		s.prepareMove(sl)
	}
	switch {
	case sl.err != nil && before == nil:
		s.event(farm.Fault, sl.want.Address, "can't listen: "+sl.err.Error(),
			"free the address, or take it out of the configuration; it is tried again every few seconds")
	case sl.err == nil && before != nil:
		s.event(farm.Healed, sl.want.Address, "listening", "")
	}
}

// prepareMove does what can be done for answers under way when the front's address moves. Without it the front serves as well.
func (s *Shell) prepareMove(sl *slot) {
	if !sl.want.Moves {
		return
	}
	if err := mayMove(sl.bound.listener); err != nil {
		s.cfg.Log.Warn("answers under way will be lost when this address moves", "front", sl.want.Address, "error", err)
	}
}

func (s *Shell) newFront(want Front) *front {
	f := &front{network: want.Network, address: want.Address, pass: want.Pass, limits: want.Limits.orDefault(), door: s.door, resets: (*quic.StatelessResetKey)(s.cfg.Resets), log: s.cfg.Log}
	f.handler.Store(&handler{want.Handler})
	return f
}

func (s *Shell) event(severity farm.Severity, address, message, next string) {
	s.cfg.Sink(farm.Event{ID: farm.EventBindingFailed, Severity: severity, Subject: address, Message: message, Next: next})
}

// Run tries the addresses again that can't be listened on, until ctx ends. The fronts serve whether it runs or not.
func (s *Shell) Run(ctx context.Context) error {
	tick := time.NewTicker(RetryTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.retry(ctx)
		}
	}
}

func (s *Shell) retry(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		_ = s.bind(ctx) // each slot keeps its own error
	}
}

// Status is how each front fares, in the order of Apply.
func (s *Shell) Status() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Status, len(s.fronts))
	for i, sl := range s.fronts {
		all[i] = Status{Front: sl.want, Err: sl.err}
		if sl.bound != nil {
			all[i].Listening = sl.bound.listener.Addr().String()
		}
	}
	return all
}

// Close stops accepting, waits for the requests in flight until ctx ends, cuts off what is left, and ends Caddy. Its
// error says that something was cut off.
func (s *Shell) Close(ctx context.Context) error {
	s.mu.Lock()
	fronts, in := s.fronts, s.caddy
	if s.taken != nil {
		fronts = append(fronts, &slot{bound: s.taken})
	}
	s.fronts, s.taken, s.caddy, s.closed = nil, nil, nil, true
	s.mu.Unlock()

	defer s.hurry()
	defer context.AfterFunc(ctx, s.hurry)()
	errs := make([]error, len(fronts))
	var wg sync.WaitGroup
	for i, sl := range fronts {
		if sl.bound != nil {
			wg.Go(func() { errs[i] = sl.bound.drain(ctx) })
		}
	}
	wg.Wait()
	s.drains.Wait()
	s.door.close(ctx)
	if in != nil {
		in.stop()
	}
	return errors.Join(errs...)
}
