package shell

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// Visitors who have no request under way don't hold up a drain, whatever they do or don't do about it.
func TestDrainWaitsForNoIdleVisitor(t *testing.T) {
	insecure := func(proto string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}}
	}
	for _, tt := range []struct {
		name string
		come func(t *testing.T, addr string) io.Closer
	}{
		{"a connection in advance", func(t *testing.T, addr string) io.Closer {
			return must(net.Dial("tcp", addr))(t)
		}},
		{"one with TLS", func(t *testing.T, addr string) io.Closer {
			return must(tls.Dial("tcp", addr, insecure("http/1.1")))(t)
		}},
		{"HTTP/1.1", func(t *testing.T, addr string) io.Closer {
			c := must(tls.Dial("tcp", addr, insecure("http/1.1")))(t)
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			must(c.Read(make([]byte, 1)))(t)
			return c
		}},
		{"HTTP/2", func(t *testing.T, addr string) io.Closer {
			c := must(tls.Dial("tcp", addr, insecure("h2")))(t)
			fmt.Fprint(c, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
			must(c.Read(make([]byte, 1)))(t)
			return c
		}},
		{"HTTP/3, deaf to GOAWAY", func(t *testing.T, addr string) io.Closer {
			c := must(quic.DialAddr(t.Context(), addr, insecure(http3.NextProtoH3), nil))(t)
			s := must(c.OpenUniStream())(t)
			must(s.Write([]byte{0, 4, 0}))(t) // a control stream with no settings
			return closer(func() error { return c.CloseWithError(0, "") })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			f := loopback(text("ok"))
			f.TLS = true
			r.apply(f)
			defer tt.come(t, r.Status()[0].Listening).Close()
			if took := drained(t, r.Shell); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// What is under way by HTTP/3 is finished, and then nothing is waited for.
func TestDrainFinishesHTTP3(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	begun, goOn := make(chan struct{}), make(chan struct{})
	f := loopback(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-goOn
		fmt.Fprint(w, "all of it")
	}))
	f.TLS = true
	r.apply(f)
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.Close()
	var all sync.WaitGroup
	defer all.Wait()
	all.Go(func() {
		res, err := (&http.Client{Transport: tr}).Get("https://" + r.Status()[0].Listening)
		if err != nil {
			t.Error(err)
			return
		}
		defer res.Body.Close()
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "all of it" {
			t.Errorf("got %q, %v", body, err)
		}
	})
	<-begun
	time.AfterFunc(2*settleTime, func() { close(goOn) })
	if took := drained(t, r.Shell); took < 2*settleTime-settleTick || took > 5*settleTime {
		t.Errorf("it took %v", took)
	}
}

// drained closes the shell and tells how long that took.
func drained(t *testing.T, s *Shell) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	begin := time.Now()
	if err := s.Close(ctx); err != nil {
		t.Error(err)
	}
	return time.Since(begin)
}

type closer func() error

func (c closer) Close() error { return c() }

func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
