package shell

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// connIDBytes are too many to guess the id of a connection, from which who knows Config.Resets has what ends it; the library's 4 are not.
const connIDBytes = 8

// quicFront is the UDP twin of a TLS front.
type quicFront struct {
	server    *http3.Server
	conn      net.PacketConn
	transport *quic.Transport
	listener  *quic.EarlyListener
	visits    visits
	done      chan struct{}
}

// listenQUIC serves HTTP/3 on the UDP port of the same number. A failure is no failure of the front: the visitors'
// browsers stay with HTTP/2, so it returns nil.
func listenQUIC(base context.Context, f *front, pipeline http.Handler) *quicFront {
	at, log := f.listener.Addr(), f.log
	conn, err := net.ListenPacket("udp", at.String())
	if err != nil {
		log.Warn("no HTTP/3 on this front", "front", at.String(), "error", err)
		return nil
	}
	q := &quicFront{conn: conn, transport: &quic.Transport{Conn: conn, StatelessResetKey: f.resets, ConnectionIDLength: connIDBytes}, done: make(chan struct{})}
	if q.listener, err = q.transport.ListenEarly(http3.ConfigureTLSConfig(f.refusing()), &quic.Config{Allow0RTT: true}); err != nil {
		log.Warn("no HTTP/3 on this front", "front", at.String(), "error", err)
		_ = conn.Close()
		return nil
	}
	q.server = &http3.Server{
		Handler:        q.visits.counted(pipeline),
		IdleTimeout:    f.limits.IdleTime,
		MaxHeaderBytes: f.limits.HeaderBytes,
		Logger:         slog.New(slog.DiscardHandler),
		ConnContext: func(ctx context.Context, c *quic.Conn) context.Context {
			f.door.enterQUIC(c)
			return q.visits.begin(context.WithValue(ctx, frontKey{}, base.Value(frontKey{})), c)
		},
	}
	go func() {
		defer close(q.done)
		if err := q.server.ServeListener(q.listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			log.Warn("HTTP/3 stopped on this front", "front", at.String(), "error", err)
		}
	}()
	return q
}

// enterQUIC is enter for a connection of QUIC, which is closed if it may not stay.
func (d *door) enterQUIC(c *quic.Conn) {
	a := addrOf(c.RemoteAddr())
	if !d.enter(a) {
		_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeExcessiveLoad), "")
		return
	}
	context.AfterFunc(c.Context(), func() { d.leave(a) })
}

// advertise adds Alt-Svc. It does nothing while the server is not ready yet.
func (q *quicFront) advertise(h http.Header) { _ = q.server.SetQUICHeaders(h) }

// drain tells visitors to begin no more requests, waits for those in flight until ctx ends, and closes what is left.
func (q *quicFront) drain(ctx context.Context) {
	_ = q.listener.Close() // what is established goes on
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := q.server.Shutdown(ctx); err != nil {
			_ = q.server.Close()
		}
	}()
	settle(over, q.visits.close)
	<-q.done
	_ = q.transport.Close()
	_ = q.conn.Close() // nobody writes to it any more
}
