package shell

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"tandem/internal/farm"
)

// hall is a shell with one plain front, whose handler says from where the visitor is.
type hall struct {
	*Shell
	addr   string
	mu     sync.Mutex
	events []farm.Event
}

func newHall(t *testing.T, d Door, l Limits) *hall {
	t.Helper()
	h := &hall{}
	h.Shell = New(Config{Log: slog.New(slog.DiscardHandler), Sink: func(e farm.Event) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, e)
	}})
	h.SetDoor(d)
	front := Front{Name: "edge", Address: "127.0.0.1:0", Direct: true, Limits: l, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RemoteAddr)
	})}
	if err := h.Apply(t.Context(), []Front{front}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(t.Context()) })
	h.addr = h.Status()[0].Listening
	return h
}

// visit opens a connection and asks once; "" if it was turned away.
func (h *hall) visit(t *testing.T, before string) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", h.addr)
	if err != nil {
		return nil, "" // turned away before the system told
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, ask(c, before)
}

func ask(c net.Conn, before string) string {
	_, _ = io.WriteString(c, before+"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return ""
	}
	b, _ := io.ReadAll(r.Body)
	return string(b)
}

var local = netip.MustParsePrefix("127.0.0.0/8")

func TestConnectionsOfOneAddress(t *testing.T) {
	h := newHall(t, Door{MaxPerAddress: 2}, Limits{})
	first, got := h.visit(t, "")
	_, second := h.visit(t, "")
	if got == "" || second == "" {
		t.Fatal("they are turned away")
	}
	if _, got := h.visit(t, ""); got != "" {
		t.Error("a third is let in")
	}
	if got := ask(first, ""); got == "" {
		t.Error("one that is in can't ask again")
	}
	_ = first.Close()
	for range 1000 {
		if _, got = h.visit(t, ""); got != "" {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	if got == "" {
		t.Error("there is no room after one has left")
	}
	h.SetDoor(Door{MaxPerAddress: 2, Exempt: []netip.Prefix{local}})
	for range 5 {
		if _, got := h.visit(t, ""); got == "" {
			t.Error("a proxy is turned away")
		}
	}
}

// Connections that wait for nothing in particular make room for others.
func TestIdleConnectionsMakeRoom(t *testing.T) {
	h := newHall(t, Door{MaxConnections: 8}, Limits{})
	for range 8 {
		if _, got := h.visit(t, ""); got == "" {
			t.Fatal("turned away too early")
		}
	}
	got := ""
	for range 100 { // the first is turned away
		if _, got = h.visit(t, ""); got != "" {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if got == "" {
		t.Error("idle connections keep others out")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 || h.events[0].ID != farm.EventEdgeCrowded || h.events[0].Severity != farm.Warning {
		t.Errorf("events %v", h.events)
	}
}

func TestProxyProtocol(t *testing.T) {
	v2 := func(command proxyproto.ProtocolVersionAndCommand) string {
		b, err := (&proxyproto.Header{
			Version: 2, Command: command, TransportProtocol: proxyproto.TCPv6,
			SourceAddr: &net.TCPAddr{IP: net.ParseIP("2001:db8::7"), Port: 4711}, DestinationAddr: &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 80},
		}).Format()
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const v1 = "PROXY TCP4 203.0.113.9 192.0.2.1 4711 80\r\n"
	for _, c := range []struct {
		name, before string
		from         []netip.Prefix
		want         string // "" turned away, "self" the connection's own address
	}{
		{"version 1", v1, []netip.Prefix{local}, "203.0.113.9:4711"},
		{"version 1 of IPv6", "PROXY TCP6 2001:db8::9 2001:db8::1 4711 80\r\n", []netip.Prefix{local}, "[2001:db8::9]:4711"},
		{"version 1 that does not know", "PROXY UNKNOWN\r\n", []netip.Prefix{local}, "self"},
		{"version 2", v2(proxyproto.PROXY), []netip.Prefix{local}, "[2001:db8::7]:4711"},
		{"version 2 of the proxy's own", v2(proxyproto.LOCAL), []netip.Prefix{local}, "self"},
		{"none although there must be one", "", []netip.Prefix{local}, ""},
		{"one of somebody else", v1, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, "400 Bad Request"},
		{"half of one", "PROXY TCP4 203.0.113.9 192", []netip.Prefix{local}, ""},
		{"nobody is to send one", "", nil, "self"},
	} {
		h := newHall(t, Door{ProxyFrom: c.from}, Limits{})
		conn, got := h.visit(t, c.before)
		want := c.want
		if want == "self" {
			want = conn.LocalAddr().String()
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", c.name, got, want)
		}
		if addr, err := netip.ParseAddrPort(got); err == nil && ask(conn, "") != addr.String() {
			t.Errorf("%s: another request on the connection has another address", c.name)
		}
	}
}

// A connection that sends its head slowly ends; others do not notice.
func TestSlowHeads(t *testing.T) {
	h := newHall(t, Door{}, Limits{HeaderTime: 300 * time.Millisecond, IdleTime: 300 * time.Millisecond})
	var slow []net.Conn
	for i := range 50 {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: shop.test\r\nX-%d:", i)
		}
		slow = append(slow, c)
	}
	if _, got := h.visit(t, ""); got == "" {
		t.Error("another visitor gets no answer")
	}
	for _, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, err := io.Copy(io.Discard, c)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Fatal("it is still open")
		}
	}
}
