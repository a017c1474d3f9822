//go:build unix

package edge

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem/internal/farm"
)

// BenchmarkProxy compares the edge with httputil.ReverseProxy over http.Transport, both behind net/http and over TLS
// to a node in another process. cpu-µs/op is user and system time of the process that holds proxy and visitors; the
// visitors' share is the same for both, and "none" (visitors straight to a node without TLS) is an upper bound of it.
func BenchmarkProxy(b *testing.B) {
	node := benchNode(b)
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
	for _, size := range []int{1 << 10, 100 << 10} {
		for name, h := range map[string]http.Handler{
			"none":         nil,
			"edge":         benchEdge(b, dialer, node),
			"reverseproxy": benchReverseProxy(dialer, node),
		} {
			b.Run(name+"/"+strconv.Itoa(size>>10)+"KB", func(b *testing.B) {
				if h == nil {
					content := make([]byte, size)
					h = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
				}
				srv := httptest.NewServer(h)
				defer srv.Close()
				load(b, srv.Listener.Addr().String(), size)
			})
		}
	}
}

// load sends b.N requests over 32 connections.
func load(b *testing.B, addr string, size int) {
	request := []byte("GET /" + strconv.Itoa(size) + " HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\nCookie: a=b\r\n\r\n")
	var all sync.WaitGroup
	var left atomic.Int64
	left.Store(int64(b.N))
	b.ReportAllocs()
	begun := cpuTime()
	for range 32 {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				b.Error(err)
				return
			}
			defer c.Close()
			br := bufio.NewReaderSize(c, 64<<10)
			for left.Add(-1) >= 0 {
				if _, err := c.Write(request); err != nil {
					b.Error(err)
					return
				}
				if err := skipAnswer(br, size); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64((cpuTime()-begun).Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

func skipAnswer(br *bufio.Reader, size int) error {
	chunked := false
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		chunked = chunked || bytes.HasPrefix(line, []byte("Transfer-Encoding"))
		if len(line) == 2 {
			break
		}
	}
	if !chunked {
		_, err := br.Discard(size)
		return err
	}
	for {
		line, err := br.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(line)), 16, 64)
		if err != nil {
			return err
		}
		if _, err := br.Discard(int(n) + 2); err != nil || n == 0 {
			return err
		}
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

type dialTo struct {
	*tls.Dialer
	addr string
}

func (d dialTo) DialHTTP(ctx context.Context, _ farm.MemberID) (net.Conn, error) {
	return d.DialContext(ctx, "tcp", d.addr)
}

func benchEdge(b *testing.B, dialer *tls.Dialer, addr string) http.Handler {
	e := healthyEdge(dialTo{dialer, addr}, Config{}, "web1", "web2")
	b.Cleanup(func() { closeIdle(e) })
	return e
}

func benchReverseProxy(dialer *tls.Dialer, addr string) http.Handler {
	target := &url.URL{Scheme: "http", Host: addr}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		Transport:  &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: bufferPool{},
	}
}

type bufferPool struct{}

var proxyBuffers = sync.Pool{New: func() any { return new([copyBodyBytes]byte) }}

func (bufferPool) Get() []byte  { return proxyBuffers.Get().(*[copyBodyBytes]byte)[:] }
func (bufferPool) Put(p []byte) { proxyBuffers.Put((*[copyBodyBytes]byte)(p)) }

// benchNode runs this test's binary as a node and returns its address.
func benchNode(b *testing.B) string {
	cmd := exec.Command(os.Args[0], "-test.run=^TestBenchNode$", "-test.v")
	cmd.Env = append(os.Environ(), "TANDEM_BENCH_NODE=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if addr, ok := strings.CutPrefix(lines.Text(), "node at "); ok {
			return addr
		}
	}
	b.Fatal("the node did not start")
	return ""
}

// TestBenchNode is the node of BenchmarkProxy.
func TestBenchNode(t *testing.T) {
	if os.Getenv("TANDEM_BENCH_NODE") == "" {
		t.Skip("only runs as the node of a benchmark")
	}
	content := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = w.Write(content[:n])
	}))
	defer srv.Close()
	fmt.Println("node at " + srv.Listener.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin) // ends with the benchmark
}
