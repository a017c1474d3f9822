package shell

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/caddyserver/caddy/v2"

	"tandem/internal/farm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a shell with everything that it says.
type rig struct {
	*Shell
	t      *testing.T
	mu     sync.Mutex
	events []farm.Event
	log    bytes.Buffer
}

func (r *rig) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.Write(p)
}

func (r *rig) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.log.String()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	cert := selfSigned(t)
	r := &rig{t: t}
	r.Shell = New(Config{
		HTTP3:       true,
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert, nil },
		Minimum:     func(host string) uint16 { return map[string]uint16{"strict.test": tls.VersionTLS13}[host] },
		Log:         slog.New(slog.NewTextHandler(r, nil)),
		Sink: func(e farm.Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, e)
		},
	})
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return r
}

func (r *rig) apply(fronts ...Front) {
	r.t.Helper()
	if err := r.Apply(r.t.Context(), fronts); err != nil {
		r.t.Fatal(err)
	}
}

// url is where the i-th front answers.
func (r *rig) url(i int) string {
	st := r.Status()[i]
	if st.TLS {
		return "https://" + st.Listening
	}
	return "http://" + st.Listening
}

func selfSigned(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func text(s string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
}

func loopback(h http.Handler) Front { return Front{Name: "test", Address: "127.0.0.1:0", Handler: h} }

// browser keeps connections alive and says whether a request went over one that it had.
type browser struct {
	http.Client
	t *testing.T
}

func newClient(t *testing.T) *browser {
	tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{http.Client{Transport: tr}, t}
}

func (c *browser) get(url string) (body string, res *http.Response, reused bool) {
	c.t.Helper()
	trace := &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused }}
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(c.t.Context(), trace), "GET", url, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	res, err = c.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return string(b), res, reused
}

func TestHandlersAreSwappedOnOpenConnections(t *testing.T) {
	r, c := newRig(t), newClient(t)
	a := Front{Name: "a", Address: "127.0.0.1:0", Handler: text("one")}
	r.apply(a)
	url := r.url(0)
	if body, res, _ := c.get(url); body != "one" || res.Header.Get("Server") != "" {
		t.Fatalf("got %q with Server %q", body, res.Header.Get("Server"))
	}
	a.Handler = text("two")
	other := Front{Name: "b", Address: "127.0.0.2:0", Handler: text("other")}
	r.apply(other, a)
	if body, _, reused := c.get(url); body != "two" || !reused {
		t.Errorf("after a swap and a new front beside it: %q, same connection: %v", body, reused)
	}
	if body, _, _ := c.get(r.url(0)); body != "other" {
		t.Errorf("the new front says %q", body)
	}
	r.apply(a)
	if body, _, reused := c.get(url); body != "two" || !reused {
		t.Errorf("after the front beside it is gone: %q, same connection: %v", body, reused)
	}
}

func TestTLSFrontSpeaksHTTP2And3(t *testing.T) {
	for _, direct := range []bool{false, true} {
		t.Run(fmt.Sprint("direct ", direct), func(t *testing.T) { testSpeaksHTTP2And3(t, direct) })
	}
}

func testSpeaksHTTP2And3(t *testing.T, direct bool) {
	r, c := newRig(t), newClient(t)
	f := loopback(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto, " ", r.TLS != nil)
	}))
	f.TLS, f.Direct = true, direct
	r.apply(f)
	body, res, _ := c.get(r.url(0))
	if body != "HTTP/2.0 true" {
		t.Errorf("got %q", body)
	}
	if alt := res.Header.Get("Alt-Svc"); !strings.Contains(alt, `h3=":`) {
		t.Errorf("Alt-Svc is %q", alt)
	}
	tr := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	defer tr.Close()
	c.Transport = tr
	if body, _, _ := c.get(r.url(0)); body != "HTTP/3.0 true" {
		t.Errorf("over QUIC got %q", body)
	}
}

func TestLeastVersionByHost(t *testing.T) {
	r := newRig(t)
	if err := r.Apply(t.Context(), []Front{{Name: "a", Address: "127.0.0.1:0", TLS: true, Handler: http.NotFoundHandler()}}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		host string
		most uint16
		ok   bool
	}{
		{"any.test", tls.VersionTLS12, true},
		{"any.test", tls.VersionTLS11, false},
		{"strict.test", tls.VersionTLS12, false},
		{"strict.test", tls.VersionTLS13, true},
	} {
		conn, err := tls.Dial("tcp", r.Status()[0].Listening, &tls.Config{ServerName: tt.host, MinVersion: tls.VersionTLS10, MaxVersion: tt.most, InsecureSkipVerify: true})
		if err == nil {
			err = conn.Close()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%s with at most %s: %v", tt.host, tls.VersionName(tt.most), err)
		}
	}
}

func TestRemovedFrontLetsRequestsFinish(t *testing.T) {
	r, c := newRig(t), newClient(t)
	in, out := make(chan struct{}), make(chan struct{})
	r.apply(loopback(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(in)
		<-out
		_, _ = io.WriteString(w, "done")
	})))
	url := r.url(0)
	got := make(chan string)
	go func() {
		body, _, _ := c.get(url)
		got <- body
	}()
	<-in
	r.apply()
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("a removed front still accepts")
	}
	close(out)
	if body := <-got; body != "done" {
		t.Errorf("the request in flight got %q", body)
	}
}

func TestCloseCutsOffWhatDoesNotEnd(t *testing.T) {
	r, c := newRig(t), newClient(t)
	in := make(chan struct{})
	r.apply(loopback(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(in)
		<-r.Context().Done()
	})))
	url, failed := r.url(0), make(chan error)
	go func() {
		_, err := c.Get(url)
		failed <- err
	}()
	<-in
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Close(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("close says %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request got an answer")
	}
	if err := r.Apply(t.Context(), nil); farm.KindOf(err) != farm.Unavailable {
		t.Errorf("apply after close says %v", err)
	}
}

func TestBadAddressesRefuseNoOther(t *testing.T) {
	r, c := newRig(t), newClient(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	inUse := Front{Name: "in use", Address: taken.Addr().String(), Handler: text("late")}
	foreign := Front{Name: "foreign", Address: "192.0.2.1:80", Handler: text("never")}

	err = r.Apply(t.Context(), []Front{inUse, foreign, loopback(text("ok"))})
	var fe *FrontError
	if !errors.As(err, &fe) || fe.Front.Name != "in use" || farm.KindOf(err) != farm.Unavailable {
		t.Errorf("apply says %v", err)
	}
	if body, _, _ := c.get(r.url(2)); body != "ok" {
		t.Errorf("the good front says %q", body)
	}
	_ = taken.Close()
	r.retry(t.Context())
	if st := r.Status(); st[0].Err != nil || st[1].Err == nil {
		t.Errorf("after the address is free: %v, %v", st[0].Err, st[1].Err)
	}
	if body, _, _ := c.get(r.url(0)); body != "late" {
		t.Errorf("the late front says %q", body)
	}
	var ids []string
	for _, e := range r.events {
		ids = append(ids, string(e.Severity)+" "+e.Subject)
	}
	want := "fault " + inUse.Address + ",fault " + foreign.Address + ",healed " + inUse.Address
	if got := strings.Join(ids, ","); got != want {
		t.Errorf("events are %s, want %s", got, want)
	}
}

func TestTwoFrontsWithOneAddressAreRefused(t *testing.T) {
	r := newRig(t)
	f := Front{Name: "x", Address: "127.0.0.1:1", Handler: text("")}
	if err := r.Apply(t.Context(), []Front{f, f}); farm.KindOf(err) != farm.Exists {
		t.Errorf("apply says %v", err)
	}
}

func TestTLSOptionChangesOnTheSameAddress(t *testing.T) {
	r, c := newRig(t), newClient(t)
	r.apply(loopback(text("plain")))
	addr := r.Status()[0].Listening
	r.apply()
	f := Front{Name: "x", Address: addr, Handler: text("plain")}
	r.apply(f)
	c.get(r.url(0))
	f.TLS, f.Handler = true, text("secret")
	r.apply(f)
	if body, _, _ := c.get("https://" + addr); body != "secret" {
		t.Errorf("got %q", body)
	}
}

func TestHeadersThatCGICannotTellApartAreDropped(t *testing.T) {
	r := newRig(t)
	r.apply(loopback(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, len(r.Header), r.Header["X-Fine"])
	})))
	conn, err := net.Dial("tcp", r.Status()[0].Listening)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: a\r\nX_Real_ip: 6.6.6.6\r\nX-Fine: yes\r\nConnection: close\r\n\r\n")
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasSuffix(string(answer), "\r\n\r\n2 [yes]") {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestCaddyLogsAndKeepsStillElsewhere(t *testing.T) {
	before := exists(caddy.DefaultStorage)
	r, c := newRig(t), newClient(t)
	r.apply(loopback(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") })))
	if _, err := c.Get(r.url(0)); err == nil {
		t.Error("a panic was answered")
	}
	ctx, err := r.Caddy()
	if err != nil {
		t.Fatal(err)
	}
	ctx.Logger(new(frontHandler)).Warn("careful")
	if got := r.logged(); !strings.Contains(got, "boom") || !strings.Contains(got, "level=WARN msg=careful") {
		t.Errorf("the log is %s", got)
	}
	if !before && exists(caddy.DefaultStorage) {
		t.Errorf("Caddy made %s", caddy.DefaultStorage)
	}
}

func exists(storage certmagic.Storage) bool {
	fs, ok := storage.(*certmagic.FileStorage)
	if !ok {
		return false
	}
	_, err := os.Stat(fs.Path)
	return err == nil
}

func TestShellsAreIndependent(t *testing.T) {
	a, b, c := newRig(t), newRig(t), newClient(t)
	a.apply(loopback(text("a")))
	b.apply(loopback(text("b")))
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if body, _, _ := c.get(b.url(0)); body != "b" {
		t.Errorf("got %q", body)
	}
}

func TestLargePlainAnswersUseSendfile(t *testing.T) {
	file := t.TempDir() + "/large"
	if err := os.WriteFile(file, bytes.Repeat([]byte("x"), 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	r, c := newRig(t), newClient(t)
	var direct bool
	r.apply(loopback(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, direct = w.(io.ReaderFrom)
		http.ServeFile(w, req, file)
	})))
	if body, _, _ := c.get(r.url(0)); len(body) != 1<<20 || !direct {
		t.Errorf("%d bytes, direct: %v", len(body), direct)
	}
}
