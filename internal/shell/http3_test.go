package shell

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// relayed is an address whose datagrams go to a machine that can be another one from one moment to the next.
func relayed(t *testing.T, to *atomic.Pointer[net.UDPAddr]) net.Addr {
	t.Helper()
	here, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = here.Close() })
	go func() {
		var visitor *net.UDPAddr
		b := make([]byte, 64<<10)
		for {
			n, from, err := here.ReadFromUDP(b)
			if err != nil {
				return
			}
			at := to.Load()
			if from.Port == at.Port {
				_, _ = here.WriteToUDP(b[:n], visitor)
				continue
			}
			visitor = from
			_, _ = here.WriteToUDP(b[:n], at)
		}
	}()
	return here.LocalAddr()
}

// When an address moves to another machine of the farm, visitors by HTTP/3 hear at once that their connections are lost.
func TestOtherMachinesResetHTTP3(t *testing.T) {
	var at [2]*net.UDPAddr
	resets := [32]byte{7}
	for i := range at {
		cert := selfSigned(t)
		s := New(Config{HTTP3: true, Resets: &resets, Log: newRig(t).cfg.Log, Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil }})
		front := loopback(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "page") }))
		front.TLS = true
		if err := s.Apply(t.Context(), []Front{front}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			_ = s.Close(ctx)
		})
		tcp, err := net.ResolveUDPAddr("udp4", s.Status()[0].Listening)
		if err != nil {
			t.Fatal(err)
		}
		at[i] = tcp
	}
	var to atomic.Pointer[net.UDPAddr]
	to.Store(at[0])
	address := relayed(t, &to)
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.Close()
	c := &http.Client{Transport: tr, Timeout: 20 * time.Second}
	get := func() error {
		res, err := c.Get("https://" + address.String())
		if err == nil {
			err = res.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	to.Store(at[1])
	begin := time.Now()
	err := get()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("the visitor noticed after %s: %v", took, err)
	}
	var reset *quic.StatelessResetError
	if err != nil && !errors.As(err, &reset) {
		t.Errorf("the visitor was told %v", err)
	}
	if err := get(); err != nil {
		t.Errorf("by a new connection: %v", err)
	}
}
