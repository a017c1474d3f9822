package shell

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Passer carries a visitor's connection, of which nothing has been answered, to whoever ends its TLS. It returns when the
// connection is over, and closes it.
type Passer func(net.Conn)

// Switch says which connections are passed on. It is asked for each one, and must be quick.
type Switch interface {
	// Passes tells whether any is. While none is, nobody listens to what visitors say.
	Passes() bool
	// Pass is who takes the connections of visitors who ask for the host; nil: TLS ends here.
	Pass(host string) Passer
}

const (
	// peekTime is how long a visitor may take until it has said which host it wants; maxPeekBytes how much, since keys of
	// post-quantum handshakes and session tickets make it long.
	peekTime     = 10 * time.Second
	maxPeekBytes = 64 << 10
	// quietTime is how long nothing must move on a connection that was passed on, until it is closed for a drain.
	quietTime = time.Second
)

// split is a TLS front's listener that passes connections on by the host name that their visitors ask for. What is not passed
// on is accepted as it came.
type split struct {
	net.Listener
	to    Switch
	ready chan accepted
	done  chan struct{} // closed with the listener
	once  sync.Once

	mu     sync.Mutex
	open   map[*passed]bool
	closed bool
	all    sync.WaitGroup
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

// newSplit begins to accept connections. Its owner closes it, and then drains it.
func newSplit(ln net.Listener, to Switch) *split {
	s := &split{Listener: ln, to: to, ready: make(chan accepted), done: make(chan struct{}), open: map[*passed]bool{}}
	s.all.Go(s.accept)
	return s
}

func (s *split) accept() {
	for {
		c, err := s.Listener.Accept()
		if err != nil || !s.to.Passes() {
			if !s.give(accepted{c, err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		p := &passed{Conn: c}
		p.touch()
		if !s.track(p) {
			return
		}
		s.all.Go(func() {
			s.sort(p)
			s.forget(p)
		})
	}
}

// give waits for Accept, which is called again after an error that may pass. False: the listener is closed.
func (s *split) give(a accepted) bool {
	select {
	case s.ready <- a:
		return true
	case <-s.done:
		if a.conn != nil {
			_ = a.conn.Close()
		}
		return false
	}
}

// sort gives a connection to who is to have it.
func (s *split) sort(p *passed) {
	host, err := p.hostWanted()
	if err != nil {
		_ = p.Close()
		return
	}
	if pass := s.to.Pass(host); pass != nil {
		p.passing.Store(true)
		pass(p)
		return
	}
	s.give(accepted{conn: &replayed{Conn: p.Conn, first: p.first}})
}

// Accept implements net.Listener.
func (s *split) Accept() (net.Conn, error) {
	select {
	case a := <-s.ready:
		return a.conn, a.err
	case <-s.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (s *split) Close() error {
	s.once.Do(func() {
		close(s.done)
		_ = s.Listener.Close() // it may be closed already, see Shell.release
	})
	return nil
}

func (s *split) track(p *passed) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = p.Close()
		return false
	}
	s.open[p] = true
	return true
}

func (s *split) forget(p *passed) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, p)
}

// drain closes the connections that are passed on once they are quiet, since what is under way on them can't be seen, and
// all that are left when ctx ends. It returns when the last one is closed. Close comes first.
func (s *split) drain(ctx context.Context) {
	tick := time.NewTicker(quietTime / 10)
	defer tick.Stop()
	over := make(chan struct{})
	go func() {
		s.all.Wait()
		close(over)
	}()
	for {
		s.mu.Lock()
		s.closed = true
		for p := range s.open {
			if ctx.Err() != nil || !p.passing.Load() || p.quietFor() >= quietTime {
				_ = p.Close()
			}
		}
		s.mu.Unlock()
		select {
		case <-over:
			return
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// passed is a visitor's connection that is looked at.
type passed struct {
	net.Conn
	first   []byte // that was read to find out the host, and not read again yet
	passing atomic.Bool
	moved   atomic.Int64 // when something moved last, in nanoseconds of Unix time
}

func (p *passed) touch()                  { p.moved.Store(time.Now().UnixNano()) }
func (p *passed) quietFor() time.Duration { return time.Since(time.Unix(0, p.moved.Load())) }

// Read implements net.Conn.
func (p *passed) Read(b []byte) (int, error) {
	if len(p.first) > 0 {
		n := copy(b, p.first)
		p.first = p.first[n:]
		return n, nil
	}
	n, err := p.Conn.Read(b)
	p.touch()
	return n, err
}

// Write implements net.Conn.
func (p *passed) Write(b []byte) (int, error) {
	p.touch()
	return p.Conn.Write(b)
}

// CloseWrite ends one direction.
func (p *passed) CloseWrite() error { return closeWrite(p.Conn) }

var errHeard = errors.New("the visitor has said which host it wants")

// hostWanted reads as much as it takes to know the host name of a TLS handshake, in lower case; empty: it names none, or is
// no handshake, which whoever accepts the connection says to the visitor. The error is that of the connection.
func (p *passed) hostWanted() (host string, err error) {
	var first bytes.Buffer
	ear := &ear{Conn: p.Conn, heard: &first}
	if err := p.Conn.SetReadDeadline(time.Now().Add(peekTime)); err != nil {
		return "", err
	}
	_ = tls.Server(ear, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		host = hello.ServerName
		return nil, errHeard
	}}).Handshake() // its error is errHeard, or what is wrong with the handshake, or with the connection
	p.first = first.Bytes()
	if ear.err != nil {
		return "", ear.err
	}
	return host, p.Conn.SetReadDeadline(time.Time{})
}

// ear is a connection that is only listened to.
type ear struct {
	net.Conn
	heard *bytes.Buffer
	err   error // of the connection
}

// Read implements net.Conn.
func (e *ear) Read(b []byte) (int, error) {
	room := maxPeekBytes - e.heard.Len()
	if room <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := e.Conn.Read(b[:min(len(b), room)])
	e.heard.Write(b[:n])
	if err != nil && err != io.EOF { // who ends early is told by the handshake that follows
		e.err = err
	}
	return n, err
}

// Write implements net.Conn: nothing is said to the visitor.
func (e *ear) Write(b []byte) (int, error) { return len(b), nil }

// replayed is a connection of which something was read already.
type replayed struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (r *replayed) Read(b []byte) (int, error) {
	if len(r.first) > 0 {
		n := copy(b, r.first)
		r.first = r.first[n:]
		return n, nil
	}
	return r.Conn.Read(b)
}

// CloseWrite ends one direction.
func (r *replayed) CloseWrite() error { return closeWrite(r.Conn) }

func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// handed is the listener of connections that come from elsewhere.
type handed struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept implements net.Listener.
func (h *handed) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handed) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handed) Addr() net.Addr { return &net.UnixAddr{Name: "passed on", Net: "unix"} }

// Take serves a connection that begins with a TLS handshake and was accepted elsewhere, as if it had come in by a front, and
// returns at once. The handler of the first one serves all. The error says that the shell is closed; c is not closed then.
func (s *Shell) Take(c net.Conn, h http.Handler) error {
	s.mu.Lock()
	if err := s.start(); err != nil {
		s.mu.Unlock()
		return err
	}
	if s.taken == nil {
		s.takes = &handed{conns: make(chan net.Conn), done: make(chan struct{})}
		s.taken = s.newFront(Front{Name: "passed on", Address: "passed on", TLS: true, Handler: h})
		s.taken.tls = s.tls
		s.taken.serveOn(s.takes, s.caddy.tls)
	}
	takes := s.takes
	s.mu.Unlock()
	select {
	case takes.conns <- c:
		return nil
	case <-takes.done:
		return net.ErrClosed
	}
}
