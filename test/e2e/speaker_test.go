//go:build linux

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
	"golang.org/x/net/websocket"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	speakerEnv  = "TANDEM_E2E_SPEAKER" // the test program is the application, on the node that it names
	speakerDir  = "TANDEM_E2E_SPEAKER_DIR"
	speakerHTTP = "127.0.0.1:9300"
	speakerGRPC = "127.0.0.1:9301"
	speakerHAP  = "127.0.0.1:9302" // takes PROXY headers
)

// speaker is an application that speaks all that applications speak. It knows on which node it runs.
type speaker struct {
	testgrpc.UnimplementedTestServiceServer
	node, dir string
	gone      atomic.Int64 // readers of events who left
	busy      atomic.Int64 // requests for /wait
	most      atomic.Int64 // of them at once
}

func serveSpeaker(node string) int {
	s := &speaker{node: node, dir: os.Getenv(speakerDir)}
	ended := make(chan error, 3)
	go func() { ended <- http.ListenAndServe(speakerHTTP, s.routes()) }()
	go func() { ended <- s.serveGRPC() }()
	go func() { ended <- s.serveProxied() }()
	fmt.Fprintln(os.Stderr, <-ended)
	return 1
}

func (s *speaker) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ws", websocket.Server{Handler: s.echo})
	mux.HandleFunc("GET /events", s.events)
	mux.HandleFunc("GET /gone", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.gone.Load()) })
	mux.HandleFunc("GET /most", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, s.most.Load()) })
	mux.HandleFunc("POST /upload", upload)
	mux.HandleFunc("GET /download", download)
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Sum", strconv.FormatInt(n, 10))
	})
	mux.HandleFunc("/refuse/{status}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("status"))
		http.Error(w, "the application does not want it", code)
	})
	mux.HandleFunc("/wait/{ms}", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.PathValue("ms"))
		defer s.busy.Add(-1)
		for n := s.busy.Add(1); ; {
			if most := s.most.Load(); n <= most || s.most.CompareAndSwap(most, n) {
				break
			}
		}
		select {
		case <-time.After(time.Duration(ms) * time.Millisecond):
		case <-r.Context().Done():
		}
		fmt.Fprint(w, s.node)
	})
	mux.HandleFunc("/who", s.who)
	mux.HandleFunc("/", s.answer)
	return mux
}

// answer is what a file of the node says, named after the site's host: a status and a text.
func (s *speaker) answer(w http.ResponseWriter, r *http.Request) {
	b, err := os.ReadFile(filepath.Join(s.dir, r.Host))
	if err != nil {
		fmt.Fprint(w, s.node)
		return
	}
	code, text := http.StatusOK, ""
	_, _ = fmt.Sscanf(string(b), "%d %s", &code, &text)
	w.WriteHeader(code)
	fmt.Fprint(w, s.node, " ", text)
}

func (s *speaker) who(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(whoCame{Node: s.node, Remote: r.RemoteAddr, Header: r.Header})
}

// whoCame is what the application knows of a visitor.
type whoCame struct {
	Node, Remote string
	Header       http.Header
}

// echo says the node's name, and then all that it is told.
func (s *speaker) echo(c *websocket.Conn) {
	err := websocket.Message.Send(c, s.node)
	for err == nil {
		var text string
		if err = websocket.Message.Receive(c, &text); err == nil {
			err = websocket.Message.Send(c, text)
		}
	}
}

// events tells one event at once, and then one a second, until the reader leaves.
func (s *speaker) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for i := 0; ; i++ {
		fmt.Fprintf(w, "data: %d of %s\n\n", i, s.node)
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			s.gone.Add(1)
			return
		case <-tick.C:
		}
	}
}

func upload(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d %x", n, sum.Sum(nil))
}

func download(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.ParseInt(r.FormValue("bytes"), 10, 64)
	w.Header().Set("Content-Type", "application/octet-stream")
	if r.FormValue("length") != "" {
		w.Header().Set("Content-Length", strconv.FormatInt(n, 10))
	}
	_, _ = io.Copy(w, blocks(n))
}

// blocks are n bytes, always the same.
func blocks(n int64) io.Reader { return io.LimitReader(&block{}, n) }

type block struct{ at int64 }

func (b *block) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte((b.at + int64(i)) * 0x9E3779B1 >> 24)
	}
	b.at += int64(len(p))
	return len(p), nil
}

// serveProxied serves connections that begin with a PROXY header.
func (s *speaker) serveProxied() error {
	ln, err := net.Listen("tcp", speakerHAP)
	if err != nil {
		return err
	}
	return http.Serve(&proxyproto.Listener{Listener: ln, ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
		return proxyproto.REQUIRE, nil
	}}, http.HandlerFunc(s.who))
}

func (s *speaker) serveGRPC() error {
	ln, err := net.Listen("tcp", speakerGRPC)
	if err != nil {
		return err
	}
	g := grpc.NewServer()
	testgrpc.RegisterTestServiceServer(g, s)
	return g.Serve(ln)
}

// UnaryCall answers with what it got, or with the error that was asked for, and a trailer.
func (s *speaker) UnaryCall(ctx context.Context, in *testgrpc.SimpleRequest) (*testgrpc.SimpleResponse, error) {
	_ = grpc.SetTrailer(ctx, metadata.Pairs("x-node", s.node))
	if code := in.GetResponseStatus().GetCode(); code != 0 {
		return nil, status.Error(codes.Code(code), in.GetResponseStatus().GetMessage())
	}
	return &testgrpc.SimpleResponse{Payload: in.GetPayload()}, nil
}

// FullDuplexCall answers each message before it reads the next one.
func (s *speaker) FullDuplexCall(stream grpc.BidiStreamingServer[testgrpc.StreamingOutputCallRequest, testgrpc.StreamingOutputCallResponse]) error {
	stream.SetTrailer(metadata.Pairs("x-node", s.node))
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = stream.Send(&testgrpc.StreamingOutputCallResponse{Payload: in.GetPayload()})
		}
		if err != nil {
			return err
		}
	}
}

// startSpeaker runs the application on a node until the test ends.
func (f *farmUnderTest) startSpeaker(n string) {
	f.t.Helper()
	cmd := f.lan.command(n, os.Args[0])
	cmd.Env = append(os.Environ(), speakerEnv+"="+n, speakerDir+"="+f.members[n].dir)
	cmd.Stderr = os.Stderr
	f.background(cmd)
	for _, address := range []string{speakerHTTP, speakerGRPC, speakerHAP} {
		f.await(10*time.Second, "the application listens on "+n, func() error {
			c, err := f.lan.dial(n)(f.t.Context(), "tcp", address)
			if err == nil {
				err = c.Close()
			}
			return err
		})
	}
}

// says makes the application on a node answer so for a host.
func (f *farmUnderTest) says(n, host, what string) {
	f.t.Helper()
	f.write(filepath.Join(f.members[n].dir, host), what)
}
