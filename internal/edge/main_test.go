package edge

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tandem/internal/farm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// network is a Dialer whose nodes are functions that get the node's end of each connection.
type network struct {
	mu    sync.Mutex
	nodes map[farm.MemberID]func(net.Conn)
	dials map[farm.MemberID]int
}

func newNetwork() *network {
	return &network{nodes: map[farm.MemberID]func(net.Conn){}, dials: map[farm.MemberID]int{}}
}

// set makes a node answer by serve; nil: connections to it are refused.
func (n *network) set(id farm.MemberID, serve func(net.Conn)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[id] = serve
}

func (n *network) DialHTTP(_ context.Context, id farm.MemberID) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	serve := n.nodes[id]
	n.dials[id]++
	if serve == nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	go serve(theirs)
	return ours, nil
}

// serving is a node that is a correct HTTP server with the handler, and well.
func serving(h http.HandlerFunc) func(net.Conn) {
	mux := http.NewServeMux()
	mux.HandleFunc(HealthPath, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("/", h)
	return func(c net.Conn) {
		_ = (&http.Server{Handler: mux}).Serve(&oneConn{Conn: c})
	}
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	net.Conn
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	err := io.EOF
	l.once.Do(func() { err = nil })
	return l.Conn, err
}
func (l *oneConn) Close() error   { return nil }
func (l *oneConn) Addr() net.Addr { return l.Conn.LocalAddr() }

// named answers with the node's name.
func named(name string) func(net.Conn) {
	return serving(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
}

// scripted is a node that reads one request per connection and then does as told. It counts requests that it got
// whole as far as their header goes.
func scripted(seen *int, mu *sync.Mutex, do func(net.Conn, *http.Request)) func(net.Conn) {
	return func(c net.Conn) {
		defer c.Close()
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		mu.Lock()
		*seen++
		mu.Unlock()
		do(c, r)
	}
}

// events is a Sink that keeps what it gets.
type events struct {
	mu  sync.Mutex
	all []farm.Event
}

func (l *events) sink(ev farm.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, ev)
}

func (l *events) ids() (ids []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range l.all {
		ids = append(ids, string(ev.ID)+" "+ev.Subject+" "+ev.Fields["state"])
	}
	return ids
}

func (l *events) count(id farm.EventID) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ev := range l.all {
		if ev.ID == id {
			n++
		}
	}
	return n
}

// healthyEdge is an edge whose nodes have been found healthy, without Run.
func healthyEdge(d Dialer, cfg Config, ids ...farm.MemberID) *Edge {
	cfg.Dialer = d
	e := New(cfg)
	var nodes []Node
	for _, id := range ids {
		nodes = append(nodes, Node{ID: id})
	}
	e.SetNodes(nodes)
	for _, id := range ids {
		e.Link(id, true)
		e.report(id, probeOK, "test")
	}
	return e
}

// healthy counts the nodes that take new visitors.
func healthy(v *view) (n int) {
	for _, tier := range v.tiers {
		if tier[0].rank != rankDraining {
			n += len(tier)
		}
	}
	return n
}

// pass lets virtual time pass in a synctest bubble.
func pass(d time.Duration) { <-time.After(d) }

// get asks e as a visitor would.
func get(e *Edge, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	return w
}

func visit(method, target string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, target, body)
	r.Host = "shop.test"
	return r
}

func closeIdle(e *Edge) {
	for _, n := range e.nodes {
		n.pool.close()
	}
}

// tcpNode is a node on a real socket that can be killed: its connections are reset and its port closed.
type tcpNode struct {
	h    http.Handler
	mu   sync.Mutex
	ln   net.Listener
	all  map[net.Conn]bool
	done sync.WaitGroup
}

func startNode(tb testing.TB, h http.Handler) *tcpNode {
	tb.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc(HealthPath, func(http.ResponseWriter, *http.Request) {})
	mux.Handle("/", h)
	n := &tcpNode{h: mux, all: map[net.Conn]bool{}}
	n.start(tb)
	tb.Cleanup(n.kill)
	return n
}

func (n *tcpNode) start(tb testing.TB) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ln = ln
	srv := &http.Server{Handler: n.h, ConnState: func(c net.Conn, s http.ConnState) {
		n.mu.Lock()
		defer n.mu.Unlock()
		switch s {
		case http.StateNew:
			n.all[c] = true
			if n.ln != ln {
				_ = c.Close()
			}
		case http.StateClosed, http.StateHijacked:
			delete(n.all, c)
		}
	}}
	n.done.Go(func() { _ = srv.Serve(ln) })
}

func (n *tcpNode) kill() {
	n.mu.Lock()
	if n.ln != nil {
		_ = n.ln.Close()
		n.ln = nil
	}
	for c := range n.all {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	n.mu.Unlock()
	n.done.Wait()
}

// tcpNetwork dials tcpNodes.
type tcpNetwork map[farm.MemberID]*tcpNode

func (t tcpNetwork) DialHTTP(ctx context.Context, id farm.MemberID) (net.Conn, error) {
	n := t[id]
	n.mu.Lock()
	ln := n.ln
	n.mu.Unlock()
	if ln == nil {
		return nil, errors.New("connection refused")
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
}

// startEdge runs an edge with its nodes on real sockets and waits until they are healthy. It returns its URL.
func startEdge(tb testing.TB, d Dialer, cfg Config, ids ...farm.MemberID) (*Edge, *httptest.Server) {
	tb.Helper()
	cfg.Dialer = d
	e := New(cfg)
	ctx, stop := context.WithCancel(tb.Context())
	var run sync.WaitGroup
	run.Go(func() { _ = e.Run(ctx) })
	srv := httptest.NewServer(e)
	tb.Cleanup(func() {
		srv.Close()
		stop()
		run.Wait()
	})
	var nodes []Node
	for _, id := range ids {
		e.Link(id, true)
		nodes = append(nodes, Node{ID: id})
	}
	e.SetNodes(nodes)
	for deadline := time.After(10 * time.Second); ; {
		v := e.view.Load()
		if healthy(v) == len(ids) {
			return e, srv
		}
		select {
		case <-v.next:
		case <-deadline:
			tb.Fatal("the nodes did not become healthy")
		}
	}
}
