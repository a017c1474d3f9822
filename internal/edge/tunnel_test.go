package edge

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
)

func TestWebSocket(t *testing.T) {
	ended := make(chan bool, 1)
	echo := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Connection") != "Upgrade" {
			w.WriteHeader(http.StatusUpgradeRequired)
			return
		}
		c, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: k\r\n\r\nhello ")
		_, _ = io.Copy(c, brw)
		ended <- true
	}
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(echo))}
	_, srv := startEdge(t, network, Config{}, "web1")
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The first bytes of the new protocol may come with the request.
	_, _ = io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\nearly ")
	br := bufio.NewReader(c)
	w, err := http.ReadResponse(br, nil)
	if err != nil || w.StatusCode != 101 || w.Header.Get("Upgrade") != "websocket" || w.Header.Get("Sec-Websocket-Accept") != "k" {
		t.Fatalf("got %v, %v", w, err)
	}
	_, _ = io.WriteString(c, "late")
	_ = c.(*net.TCPConn).CloseWrite() // a clean end goes through, and back
	all, err := io.ReadAll(br)
	if string(all) != "hello early late" || err != nil {
		t.Errorf("got %q, %v", all, err)
	}
	<-ended
}

// Tunnels end with the edge.
func TestTunnelsEndWithRun(t *testing.T) {
	network := tcpNetwork{"web1": startNode(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, brw)
	}))}
	e, srv := startEdge(t, network, Config{}, "web1")
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	br := bufio.NewReader(c)
	if _, err := http.ReadResponse(br, nil); err != nil {
		t.Fatal(err)
	}
	e.end()
	if rest, _ := io.ReadAll(br); len(rest) > 0 {
		t.Errorf("got %q", rest)
	}
}
