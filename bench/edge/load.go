package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kind is how visitors connect.
type kind int

const (
	plain  kind = iota // HTTP/1.1, connections kept
	secure             // the same with TLS
	fresh              // with TLS and a new connection for each request, without resumption
	h2                 // HTTP/2
)

// result is a figure.
type result struct {
	cpu      time.Duration // of the server, per request
	p50, p99 time.Duration
}

var tlsConfig = &tls.Config{ServerName: host, InsecureSkipVerify: true}

// measure runs a workload for a time.
func measure(ctx context.Context, s *server, w workload, o options) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, o.time)
	defer cancel()
	var mu sync.Mutex
	var all []time.Duration
	var failed error
	var wg sync.WaitGroup
	before := cpu(s.pids())
	var pace time.Duration
	if w.rate > 0 {
		pace = time.Duration(o.conns) * time.Second / time.Duration(w.rate)
	}
	for range o.conns {
		wg.Go(func() {
			took, err := visit(ctx, s, w, pace)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			if err != nil && failed == nil {
				failed = err
			}
		})
	}
	wg.Wait()
	spent := cpu(s.pids()) - before
	if failed != nil {
		return result{}, failed
	}
	if len(all) == 0 {
		return result{}, errors.New("no request was answered")
	}
	slices.Sort(all)
	return result{spent / time.Duration(len(all)), all[len(all)/2], all[len(all)*99/100]}, nil
}

// visit is one visitor, who asks until ctx ends.
func visit(ctx context.Context, s *server, w workload, pace time.Duration) (took []time.Duration, err error) {
	ask, end := asker(s, w)
	defer end()
	next := time.Now()
	for ctx.Err() == nil {
		if pace > 0 {
			next = next.Add(pace)
			time.Sleep(time.Until(next))
		}
		begun := time.Now()
		if err := ask(); err != nil {
			return took, err
		}
		took = append(took, time.Since(begun))
	}
	return took, nil
}

// asker returns what sends a request and reads the answer.
func asker(s *server, w workload) (ask func() error, end func()) {
	if w.kind == h2 {
		t := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: tlsConfig.Clone()}
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP2(true)
		c := &http.Client{Transport: t}
		return func() error { return askH2(c, s, w) }, t.CloseIdleConnections
	}
	var conn *wireConn
	request := []byte("GET " + w.path + " HTTP/1.1\r\nHost: " + hostOf(w) + "\r\nUser-Agent: bench\r\n\r\n")
	return func() error {
			if conn == nil {
				c, err := dial(s, w)
				if err != nil {
					return err
				}
				conn = c
			}
			err := conn.ask(request)
			if w.kind == fresh {
				conn.Close()
				conn = nil
			}
			return err
		}, func() {
			if conn != nil {
				conn.Close()
			}
		}
}

// hostOf is the site's name and port as the visitor's browser would send it.
func hostOf(w workload) string {
	if w.kind == plain {
		return host + ":8080"
	}
	return host + ":8443"
}

func askH2(c *http.Client, s *server, w workload) error {
	r, err := http.NewRequest(http.MethodGet, "https://"+s.https+w.path, nil)
	if err != nil {
		return err
	}
	r.Host = hostOf(w)
	a, err := c.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if _, err := io.Copy(io.Discard, a.Body); err != nil {
		return err
	}
	if a.StatusCode != http.StatusOK || a.ProtoMajor != 2 {
		return fmt.Errorf("%s %s", a.Proto, a.Status)
	}
	return nil
}

// wireConn speaks just enough HTTP/1.1 to cost little.
type wireConn struct {
	net.Conn
	br *bufio.Reader
}

func dial(s *server, w workload) (*wireConn, error) {
	var c net.Conn
	var err error
	if w.kind == plain {
		c, err = net.Dial("tcp", s.http)
	} else {
		c, err = tls.Dial("tcp", s.https, tlsConfig)
	}
	if err != nil {
		return nil, err
	}
	return &wireConn{c, bufio.NewReaderSize(c, 64<<10)}, nil
}

func (c *wireConn) ask(request []byte) error {
	if _, err := c.Write(request); err != nil {
		return err
	}
	length := -1
	for first := true; ; first = false {
		line, err := c.br.ReadSlice('\n')
		if err != nil {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer %q", line)
		}
		if len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("content-length")) {
			if length, err = strconv.Atoi(strings.TrimSpace(string(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("an answer without a length")
	}
	_, err := c.br.Discard(length)
	return err
}

// awaitAll waits until a server answers both ways.
func awaitAll(s *server) error {
	var err error
	for range 300 {
		err = nil
		for _, k := range []kind{plain, fresh} {
			ask, end := asker(s, workload{path: "/1k", kind: k})
			err = errors.Join(err, ask())
			end()
		}
		if err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s does not serve: %w", s.name, err)
}

// cpu is the time that the processes have spent, in steps of the clock's ticks of 10 ms.
func cpu(pids []int) (spent time.Duration) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		for _, ticks := range f[11:13] {
			n, _ := strconv.Atoi(ticks)
			spent += time.Duration(n) * 10 * time.Millisecond
		}
	}
	return spent
}
