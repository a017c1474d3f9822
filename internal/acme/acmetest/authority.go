// Package acmetest runs a real certificate authority for tests: Let's Encrypt's Pebble, with a DNS server of its own, so
// that its questions go where a test wants them. For tests only.
package acmetest

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/letsencrypt/challtestsrv"
	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
)

// Options say how the authority behaves.
type Options struct {
	HTTPPort, TLSPort int           // on which it asks
	Lasts             time.Duration // a certificate; 0: five years
	BadNonces         int           // percent of requests that it refuses at first
	Patient           bool          // it takes some seconds before it asks
	Blocked           []string      // domains for which it refuses orders
	KeyID, MAC        string        // of the external account that it wants; empty: none
}

// Authority is one that runs until the test ends.
type Authority struct {
	Directory string // URL
	Roots     []byte // PEM, of its HTTPS
	DNS       *challtestsrv.ChallSrv
	Down      atomic.Bool // nothing is answered

	orders atomic.Int64
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Orders is how many orders were made.
func (a *Authority) Orders() int { return int(a.orders.Load()) }

// Start starts an authority. Hosts are at 127.0.0.1 unless its DNS says otherwise.
func Start(t *testing.T, o Options) *Authority {
	t.Helper()
	if !o.Patient {
		t.Setenv("PEBBLE_VA_NOSLEEP", "1")
	} else {
		t.Setenv("PEBBLE_VA_SLEEPTIME", "3")
	}
	t.Setenv("PEBBLE_WFE_NONCEREJECT", strconv.Itoa(o.BadNonces))
	t.Setenv("PEBBLE_AUTHZREUSE", "0")
	quiet := log.New(io.Discard, "", 0)
	a := &Authority{}

	resolver := freeAddress(t)
	dns, err := challtestsrv.New(challtestsrv.Config{Log: quiet, DNSAddrs: []string{resolver}})
	if err != nil {
		t.Fatal(err)
	}
	dns.SetDefaultDNSIPv6("")
	dns.Run()
	t.Cleanup(dns.Shutdown)
	a.DNS = dns

	store := db.NewMemoryStore()
	for _, d := range o.Blocked {
		if err := store.AddBlockedDomain(d); err != nil {
			t.Fatal(err)
		}
	}
	if o.KeyID != "" {
		if err := store.AddExternalAccountKeyByID(o.KeyID, o.MAC); err != nil {
			t.Fatal(err)
		}
	}
	profiles := map[string]ca.Profile{"default": {ValidityPeriod: uint64(o.Lasts / time.Second)}}
	signer := ca.New(quiet, store, "", "ecdsa", 0, 1, profiles)
	validator := va.New(quiet, o.HTTPPort, o.TLSPort, false, resolver, store)
	front := wfe.New(quiet, store, validator, signer, []string{"pebble.test"}, false, o.KeyID != "", 1, 1)
	handler := front.Handler()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		seen := &statusWriter{ResponseWriter: w}
		handler.ServeHTTP(seen, r)
		if strings.HasSuffix(r.URL.Path, "/order-plz") && seen.status == http.StatusCreated {
			a.orders.Add(1)
		}
	}))
	srv.Config.ErrorLog = quiet
	srv.StartTLS()
	t.Cleanup(srv.Close)
	a.Directory = srv.URL + wfe.DirectoryPath
	a.Roots = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return a
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Port is one of 127.0.0.1 on which nobody listens for now.
func Port(t *testing.T) int {
	t.Helper()
	_, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
