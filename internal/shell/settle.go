package shell

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// A drain waits for requests, and for no visitor who has none. Of two kinds of connections the servers themselves can't tell
// that they are idle: net/http waits five seconds for the first request of a connection, which browsers open in advance, and the server
// of HTTP/3 waits for ever for visitors to close theirs, which not all do. Here they are closed.
const (
	// settleTime is how long after its beginning, or the end of its last request, a connection may count as busy: a request may
	// be on its way, or the end of an answer.
	settleTime = time.Second
	settleTick = settleTime / 20
)

// settle calls do every now and then until done is closed.
func settle(done <-chan struct{}, do func()) {
	tick := time.NewTicker(settleTick)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			do()
		}
	}
}

// fresh are the connections of an http.Server on which no request has begun yet. The zero value is ready to use.
type fresh struct {
	conns sync.Map // from net.Conn to the time.Time of its beginning
}

// note implements http.Server.ConnState.
func (f *fresh) note(c net.Conn, s http.ConnState) {
	switch s {
	case http.StateNew:
		f.conns.Store(c, time.Now())
	case http.StateActive, http.StateHijacked, http.StateClosed:
		f.conns.Delete(c)
	}
}

// close closes those that have been there for settleTime.
func (f *fresh) close() {
	f.conns.Range(func(c, since any) bool {
		if time.Since(since.(time.Time)) >= settleTime {
			_ = c.(net.Conn).Close()
		}
		return true
	})
}

// visits are the connections of an http3.Server. The zero value is ready to use.
type visits struct {
	mu   sync.Mutex
	open map[*visit]bool
}

// visit is a connection. Its fields are guarded by the mutex of visits.
type visit struct {
	conn   *quic.Conn
	active int       // requests
	since  time.Time // it has been idle, if none is active
}

type visitKey struct{}

// begin keeps the connection until it ends. The result is the context of its requests.
func (v *visits) begin(ctx context.Context, c *quic.Conn) context.Context {
	at := &visit{conn: c, since: time.Now()}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.open == nil {
		v.open = map[*visit]bool{}
	}
	v.open[at] = true
	context.AfterFunc(c.Context(), func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.open, at)
	})
	return context.WithValue(ctx, visitKey{}, at)
}

// counted counts the requests of each connection.
func (v *visits) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := r.Context().Value(visitKey{}).(*visit)
		v.add(at, 1)
		defer v.add(at, -1)
		h.ServeHTTP(w, r)
	})
}

func (v *visits) add(at *visit, n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at.active += n
	at.since = time.Now()
}

// close closes the connections that have been idle for settleTime.
func (v *visits) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for at := range v.open {
		if at.active == 0 && time.Since(at.since) >= settleTime {
			go at.conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") // it waits for what is written
			delete(v.open, at)
		}
	}
}
