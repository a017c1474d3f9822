package shell

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// byName passes on the connections of one host, while it is on.
type byName struct {
	on   atomic.Bool
	host string
	to   Passer
}

func (s *byName) Passes() bool { return s.on.Load() }
func (s *byName) Pass(host string) Passer {
	if host == s.host {
		return s.to
	}
	return nil
}

// closing says that a connection was closed.
type closing struct {
	net.Conn
	once sync.Once
	over chan struct{}
}

func (c *closing) Close() error {
	c.once.Do(func() { close(c.over) })
	return c.Conn.Close()
}

// passingRig is a front that passes the connections of passed.test on to another shell.
func passingRig(t *testing.T) (outer, inner *rig, to *byName) {
	outer, inner = newRig(t), newRig(t)
	to = &byName{host: "passed.test", to: func(c net.Conn) {
		over := &closing{Conn: c, over: make(chan struct{})}
		if err := inner.Take(over, text("inner")); err != nil {
			t.Error(err)
			return
		}
		<-over.over
	}}
	front := loopback(text("outer"))
	front.TLS, front.Pass = true, to
	outer.apply(front)
	return outer, inner, to
}

// visitorOf asks for a host.
func visitorOf(t *testing.T, at, host string) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: host}, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", at)
		}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func say(t *testing.T, c *http.Client, host string) (string, *http.Response) {
	t.Helper()
	resp, err := c.Get("https://" + host + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), resp
}

func TestPassByHost(t *testing.T) {
	outer, inner, to := passingRig(t)
	at := strings.TrimPrefix(outer.url(0), "https://")
	if body, _ := say(t, visitorOf(t, at, "passed.test"), "passed.test"); body != "outer" {
		t.Errorf("while nothing is passed on: %q", body)
	}
	to.on.Store(true)
	body, resp := say(t, visitorOf(t, at, "passed.test"), "passed.test")
	if body != "inner" || resp.ProtoMajor != 2 || resp.Header.Get("Alt-Svc") != "" {
		t.Errorf("passed on: %q by %s, %v", body, resp.Proto, resp.Header)
	}
	if want, _ := inner.cfg.Certificate(nil); !bytes.Equal(resp.TLS.PeerCertificates[0].Raw, want.Certificate[0]) {
		t.Error("the certificate is not that of whoever ends TLS")
	}
	if body, resp := say(t, visitorOf(t, at, "other.test"), "other.test"); body != "outer" || resp.Header.Get("Alt-Svc") == "" {
		t.Errorf("another host: %q, %v", body, resp.Header)
	}

	// Who speaks no TLS is told so, not passed on.
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: passed.test\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if b, _ := io.ReadAll(c); !strings.Contains(string(b), "400 Bad Request") {
		t.Errorf("without TLS: %q", b)
	}
	// HTTP/3 can't be passed on.
	refusing := outer.fronts[0].bound.refusing()
	if _, err := refusing.GetConfigForClient(&tls.ClientHelloInfo{ServerName: "passed.test"}); err == nil {
		t.Error("HTTP/3 for a host that is passed on is not refused")
	}
	if _, err := refusing.GetConfigForClient(&tls.ClientHelloInfo{ServerName: "other.test"}); err != nil {
		t.Errorf("HTTP/3 for another host: %v", err)
	}
}

// A connection that is idle, passed on or with nothing said on it, does not hold up the end.
func TestPassedOnEndsWhenQuiet(t *testing.T) {
	outer, _, to := passingRig(t)
	to.on.Store(true)
	at := strings.TrimPrefix(outer.url(0), "https://")
	say(t, visitorOf(t, at, "passed.test"), "passed.test")
	mute, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	begun := time.Now()
	if err := outer.Close(ctx); err != nil || time.Since(begun) > 10*time.Second {
		t.Errorf("closed after %v: %v", time.Since(begun), err)
	}
}

// What is heard to find the host out is heard again by whoever takes the connection, whatever it is.
func TestNothingHeardIsLost(t *testing.T) {
	for _, sent := range []string{"", "x", "\x16\x03\x01\x00\x05hello", strings.Repeat("\x16\x03\x01\x40\x00"+strings.Repeat("y", 1<<14), 8)} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		visitor, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(visitor, sent)
			_ = visitor.Close()
		}()
		server, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		defer ln.Close()
		p := &passed{Conn: server}
		host, err := p.hostWanted()
		if err != nil || host != "" || len(p.first) > maxPeekBytes {
			t.Errorf("%.10q: host %q, %v, %d bytes", sent, host, err, len(p.first))
		}
		got, err := io.ReadAll(p)
		if err != nil || string(got) != sent {
			t.Errorf("%.10q: %d of %d bytes are left, %v", sent, len(got), len(sent), err)
		}
	}
}
