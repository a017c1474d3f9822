//go:build linux

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"tandem/internal/control"
)

// viaTLS is a client for HTTP/1.1 by connections that somebody else opens.
func viaTLS(t *testing.T, roots *x509.CertPool, dial func() (net.Conn, error)) *http.Client {
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: func(context.Context, string, string) (net.Conn, error) { return dial() }}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// socket is a WebSocket to the application on a node.
type socket struct {
	*websocket.Conn
	node string
}

// open opens WebSockets until one is at the node.
func (f *protocols) open(t *testing.T, node string) socket {
	t.Helper()
	for range 20 {
		s := f.visit("visitor").socket(t)
		if s.node == node {
			f.whole.Cleanup(func() { _ = s.Close() })
			return s
		}
		_ = s.Close()
	}
	t.Fatalf("no WebSocket is at %s", node)
	return socket{}
}

// socket opens a WebSocket.
func (b browser) socket(t *testing.T) socket {
	t.Helper()
	cfg, err := websocket.NewConfig("wss://app.test/ws", "https://app.test")
	if err != nil {
		t.Fatal(err)
	}
	c, err := websocket.NewClient(cfg, b.tls(t, "app.test"))
	if err != nil {
		t.Fatal(err)
	}
	s := socket{Conn: c}
	s.node = s.hear(t)
	return s
}

func (s socket) hear(t *testing.T) (text string) {
	t.Helper()
	_ = s.SetReadDeadline(time.Now().Add(10 * time.Second))
	if err := websocket.Message.Receive(s.Conn, &text); err != nil {
		t.Fatalf("WebSocket at %s: %v", s.node, err)
	}
	return text
}

func (s socket) echoes(t *testing.T, text string) {
	t.Helper()
	if err := websocket.Message.Send(s.Conn, text); err != nil {
		t.Fatalf("WebSocket at %s: %v", s.node, err)
	}
	if got := s.hear(t); got != text {
		t.Fatalf("WebSocket at %s: %.80q came back for %.80q", s.node, got, text)
	}
}

// ends waits until the WebSocket does, and returns how long that takes.
func (s socket) ends(t *testing.T, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	_ = s.SetReadDeadline(began.Add(limit))
	var text string
	err := websocket.Message.Receive(s.Conn, &text)
	if ne := net.Error(nil); err == nil || errors.As(err, &ne) && ne.Timeout() {
		t.Errorf("WebSocket at %s: %q, %v after %s; want that it ends", s.node, text, err, time.Since(began))
	}
	return time.Since(began)
}

// websockets stay open over a revision and over drains.
func (f *protocols) websockets(t *testing.T) {
	first, second := f.open(t, "web1"), f.open(t, "web2")
	began := time.Now()
	for i := range 300 {
		text := fmt.Sprint("message ", i)
		if i%100 == 0 {
			text = strings.Repeat("x", 200<<10)
		}
		first.echoes(t, text)
		second.echoes(t, text)
	}
	t.Logf("600 messages to and fro in %s", time.Since(began).Round(time.Millisecond))

	c := f.visit("visitor").speaking(t, "2")
	f.write(filepath.Join(f.members["web1"].dir, "config", "sites", "app.caddy"), strings.Replace(f.site, "read_your_writes www", "read_your_writes www\n\theader X-Revision 2", 1))
	for range 4 { // both nodes
		f.await(10*time.Second, "the revision is live", func() error {
			if got := must(t, c, http.MethodGet, "https://app.test/", nil).Header.Get("X-Revision"); got != "2" {
				return fmt.Errorf("X-Revision is %q", got)
			}
			return nil
		})
	}
	first.echoes(t, "after a revision")
	second.echoes(t, "after a revision")

	if _, err := f.try("web1", "drain", "web2", "--timeout", "1s"); exitCode(err) != 6 {
		t.Errorf("drain of a node with a WebSocket: %v", err)
	}
	second.echoes(t, "while its node drains")
	_ = second.Close()
	f.tandem("web1", "drain", "web2")
	first.echoes(t, "while the other node drains")
	f.tandem("web1", "undrain", "web2")
	f.edgeReady("edge1", 2)
}

// websocketsEnd with their nodes, at once.
func (f *protocols) websocketsEnd(t *testing.T) {
	first, second := f.open(t, "web1"), f.open(t, "web2")
	f.kill("web2")
	t.Logf("it ends %s after its node was killed", second.ends(t, 5*time.Second).Round(time.Millisecond))
	first.echoes(t, "after the other node died")
	f.start("web2")
	f.edgeReady("edge1", 2)

	began := time.Now()
	done := make(chan time.Duration, 1)
	go func() { done <- first.ends(t, 20*time.Second) }()
	f.stop("web1")
	t.Logf("it ends %s after its node was told to stop, which took %s", (<-done).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	f.start("web1")
	f.edgeReady("edge1", 2)
}

// cutNetwork cuts that of a node, which closes no connection. Until mendNetwork the other one has all visitors.
func (f *protocols) cutNetwork(t *testing.T) {
	f.slow.Wait()
	s := f.open(t, "web2")
	f.cut = make(chan time.Duration, 1)
	f.lan.cut("web2")
	f.slow.Go(func() { f.cut <- s.ends(f.whole, 10*time.Second) })
	f.awaitState("edge1", "web2", control.HealthFailing)
}

// mendNetwork waits until a WebSocket at the node has ended.
func (f *protocols) mendNetwork(t *testing.T) {
	t.Logf("a WebSocket ends %s after its node's network was cut", (<-f.cut).Round(time.Millisecond))
	f.lan.mend("web2")
	f.edgeReady("edge1", 2)
}

// exitCode is how a command ended.
func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// grpc: calls, streams in both directions at once, errors, and what comes behind answers.
func (f *protocols) grpc(t *testing.T) {
	conn, err := grpc.NewClient("passthrough:///app.test", grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: f.roots, ServerName: "app.test"})),
		grpc.WithAuthority("app.test"), grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return f.visit("visitor").dial(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := testgrpc.NewTestServiceClient(conn)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	payload := func(n int) *testgrpc.Payload { return &testgrpc.Payload{Body: make([]byte, n)} }

	var behind metadata.MD
	for _, size := range []int{0, 10, 1 << 20} {
		got, err := client.UnaryCall(ctx, &testgrpc.SimpleRequest{Payload: payload(size)}, grpc.Trailer(&behind))
		if err != nil || len(got.GetPayload().GetBody()) != size || len(behind.Get("x-node")) != 1 {
			t.Errorf("a call with %d bytes: %d bytes, trailers %v, %v", size, len(got.GetPayload().GetBody()), behind, err)
		}
	}
	_, err = client.UnaryCall(ctx, &testgrpc.SimpleRequest{ResponseStatus: &testgrpc.EchoStatus{Code: 9, Message: "not now, %"}}, grpc.Trailer(&behind))
	if status.Code(err) != codes.FailedPrecondition || status.Convert(err).Message() != "not now, %" || len(behind.Get("x-node")) != 1 {
		t.Errorf("an error arrives as %v, trailers %v", err, behind)
	}

	stream, err := client.FullDuplexCall(ctx)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range 200 {
		if err := stream.Send(&testgrpc.StreamingOutputCallRequest{Payload: payload(i)}); err != nil {
			t.Fatal(err)
		}
		got, err := stream.Recv()
		if err != nil || len(got.GetPayload().GetBody()) != i {
			t.Fatalf("message %d: %d bytes, %v", i, len(got.GetPayload().GetBody()), err)
		}
	}
	_ = stream.CloseSend()
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) || len(stream.Trailer().Get("x-node")) != 1 {
		t.Errorf("the stream ends with %v, trailers %v", err, stream.Trailer())
	}
	t.Logf("200 messages to and fro in %s, by %v", time.Since(began).Round(time.Millisecond), stream.Trailer().Get("x-node"))
}
