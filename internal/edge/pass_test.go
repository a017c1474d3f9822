package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"tandem/internal/config"
)

// takes is a node that takes connections and echoes what comes, after who came.
func takes(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != PassPath {
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+PassProtocol+"\r\n\r\n"+r.Header.Get(VisitorHeader)+"\n")
	_, _ = io.Copy(conn, buffered)
}

// pipe is a TCP connection by its two ends.
func pipe(t *testing.T) (visitor, server net.Conn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if visitor, err = net.Dial("tcp", ln.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = visitor.Close() })
	if server, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	_ = visitor.SetDeadline(time.Now().Add(10 * time.Second))
	return visitor, server
}

// A node that does not take a connection loses none: it goes to another one, byte for byte, and ends when either side ends.
func TestPass(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.NotFoundHandler()), "web2": startNode(t, http.HandlerFunc(takes)), "web3": startNode(t, http.HandlerFunc(takes))}
	o := &config.EdgeSite{Name: "s", Passthrough: true}
	e, _ := startEdge(t, network, Config{Site: func(host string) *config.EdgeSite {
		if host == "shop.test" {
			return o
		}
		return &config.EdgeSite{}
	}}, "web1", "web2", "web3")
	e.SetSites([]*config.EdgeSite{o})
	if !e.Passes() || e.Pass("other.test") != nil {
		t.Fatal("which sites pass through is not known")
	}
	for i := range 6 {
		if i == 3 {
			network["web3"].kill()
		}
		visitor, server := pipe(t)
		over := make(chan struct{})
		go func() {
			defer close(over)
			e.Pass("shop.test")(server)
		}()
		_, _ = io.WriteString(visitor, "hello")
		_ = visitor.(*net.TCPConn).CloseWrite()
		r := bufio.NewReader(visitor)
		from, err := r.ReadString('\n')
		rest, err2 := io.ReadAll(r)
		if err != nil || err2 != nil || from != visitor.LocalAddr().String()+"\n" || string(rest) != "hello" {
			t.Errorf("visitor %d: %q from %q, %v, %v", i, rest, from, err, err2)
		}
		<-over
	}
	e.SetGuard(Guard{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	visitor, server := pipe(t)
	e.Pass("shop.test")(server)
	if b, err := io.ReadAll(visitor); err != nil || len(b) > 0 {
		t.Errorf("an address that is denied gets %q, %v", b, err)
	}
	e.SetSites(nil)
	if e.Passes() {
		t.Error("nothing passes through any more")
	}
}
