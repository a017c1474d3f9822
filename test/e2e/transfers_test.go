//go:build linux

package e2e

import (
	"bufio"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var transferBytes = flag.Int64("transfer", 64<<20, "bytes of each upload and download of TestProtocols")

// slowUploads: who sends a body too slowly is cut off and told so, who sends steadily is not. It goes on while other parts run.
func (f *protocols) slowUploads(*testing.T) {
	f.slow.Go(func() { f.slowByHand(f.whole) })
	for _, version := range []string{"1", "2", "3"} {
		for piece, want := range map[int]int{100: http.StatusRequestTimeout, 10_000: http.StatusOK} {
			if version == "1" && want != http.StatusOK {
				continue
			}
			f.slow.Go(func() {
				began := time.Now()
				a, err := ask(f.visit("visitor").speaking(f.whole, version), http.MethodPost, "https://app.test/upload", &drip{piece: piece, left: 4500 * time.Millisecond}, "Content-Type", "text/plain")
				took := time.Since(began).Round(time.Millisecond)
				if err != nil || a.StatusCode != want {
					f.whole.Errorf("HTTP/%s, %d bytes a tenth of a second: %s after %s, %v; want %d", version, piece, a.said(), took, err, want)
					return
				}
				f.whole.Logf("HTTP/%s, %d bytes a tenth of a second: %s after %s", version, piece, a.said(), took)
			})
		}
	}
}

func (a reply) said() string {
	if a.Response == nil {
		return "no answer"
	}
	return fmt.Sprintf("status %d, %.80q", a.StatusCode, a.text)
}

// slowByHand is slowUploads for HTTP/1.1 by somebody who listens while he sends: Go's client drops an answer that comes meanwhile.
func (f *protocols) slowByHand(t *testing.T) {
	c := f.visit("visitor").tls(t, "app.test")
	defer c.Close()
	began := time.Now()
	go func() {
		fmt.Fprint(c, "POST /upload HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000000\r\n\r\n")
		_, _ = io.Copy(c, &drip{piece: 100, left: 4500 * time.Millisecond})
	}()
	w, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || w.StatusCode != http.StatusRequestTimeout || !w.Close {
		f.whole.Errorf("HTTP/1.1 by hand: %v, %v", w, err)
		return
	}
	f.whole.Logf("HTTP/1.1 by hand, 100 bytes a tenth of a second: %s after %s", w.Status, time.Since(began).Round(time.Millisecond))
}

// drip gives so many bytes each tenth of a second, for a time.
type drip struct {
	piece int
	left  time.Duration
}

func (d *drip) Read(p []byte) (int, error) {
	const pause = 100 * time.Millisecond
	if d.left -= pause; d.left < 0 {
		return 0, io.EOF
	}
	<-time.After(pause)
	return min(len(p), d.piece), nil
}

// earlyRefusals: who is refused before the body has come reads why.
func (f *protocols) earlyRefusals(t *testing.T) {
	const size = 10 << 20
	must(t, f.visit("visitor").speaking(t, "1"), http.MethodGet, "https://often.test/", nil)
	var all sync.WaitGroup
	for url, status := range map[string]int{
		"https://small.test/upload": 413, "https://denied.test/upload": 403, "https://often.test/upload": 429, // by the edge
		"https://node.test/upload": 413, "https://app.test/refuse/403": 403, // by the node, by the application
	} {
		all.Go(func() { f.refusedWhileDeaf(t, url, status, size) })
		for _, version := range []string{"1", "2", "3"} {
			for _, length := range []int64{size, -1} {
				all.Go(func() { f.refused(t, url, status, version, length, size) })
			}
		}
	}
	all.Wait()
}

func (f *protocols) refused(t *testing.T, url string, status int, version string, length, size int64) {
	r, err := http.NewRequest(http.MethodPost, url, blocks(size))
	if err != nil {
		t.Error(err)
		return
	}
	r.ContentLength = length
	w, err := f.visit("visitor").speaking(t, version).Do(r)
	if err != nil {
		t.Errorf("%s by HTTP/%s, length %d: %v", url, version, length, err)
		return
	}
	b, err := io.ReadAll(w.Body)
	_ = w.Body.Close()
	if w.StatusCode != status || err != nil {
		t.Errorf("%s by HTTP/%s, length %d: status %d, %.80q, %v; want %d", url, version, length, w.StatusCode, b, err, status)
	}
}

// refusedWhileDeaf sends a whole body before it listens, as simple clients do.
func (f *protocols) refusedWhileDeaf(t *testing.T, url string, status int, size int64) {
	host, path, _ := strings.Cut(strings.TrimPrefix(url, "https://"), "/")
	c := f.visit("visitor").tls(t, host)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	began := time.Now()
	fmt.Fprintf(c, "POST /%s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", path, host, size)
	if _, err := io.Copy(c, blocks(size)); err != nil {
		t.Errorf("%s: the connection broke while the body was sent: %v", url, err)
	}
	sent := time.Since(began)
	w, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Errorf("%s: no answer after the whole body: %v", url, err)
		return
	}
	b, err := io.ReadAll(w.Body)
	t.Logf("%s, sent whole first: status %d, %.60q, %v; sent within %s", url, w.StatusCode, b, err, sent.Round(time.Millisecond))
	if w.StatusCode != status || err != nil {
		t.Errorf("%s, sent whole first: status %d, %.80q, %v", url, w.StatusCode, b, err)
	}
}

// sumOf is what the application says of an upload of blocks.
func sumOf(n int64) string {
	sum := sha256.New()
	_, _ = io.Copy(sum, blocks(n))
	return fmt.Sprintf("%d %x", n, sum.Sum(nil))
}

// largeTransfers: whatever the size, edge and nodes need no more memory.
func (f *protocols) largeTransfers(t *testing.T) {
	const most = 64 << 20
	size := *transferBytes
	want := sumOf(size)
	for _, version := range []string{"1", "2", "3"} {
		c := f.visit("visitor").speaking(t, version)
		c.Timeout = 10 * time.Minute
		before, began := map[string]int64{}, time.Now()
		for n, m := range f.members {
			before[n] = m.restPeak(t)
		}
		must(t, c, http.MethodPost, "https://app.test/upload", blocks(size)).is(t, 200, want)
		up := time.Since(began)
		began = time.Now()
		w, err := c.Get("https://app.test/download?bytes=" + strconv.FormatInt(size, 10))
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.New()
		n, err := io.Copy(sum, w.Body)
		_ = w.Body.Close()
		if got := fmt.Sprintf("%d %x", n, sum.Sum(nil)); got != want || err != nil {
			t.Errorf("HTTP/%s: got %s, %v; want %s", version, got, err, want)
		}
		down, grown := time.Since(began), ""
		for _, n := range f.order {
			more := f.members[n].peak(t) - before[n]
			grown += fmt.Sprintf(" %s %.1f to %.1f MB;", n, float64(before[n])/1e6, float64(before[n]+more)/1e6)
			if more > most {
				t.Errorf("HTTP/%s: %s has grown by %d bytes", version, n, more)
			}
		}
		t.Logf("HTTP/%s, %d MB: up in %s, down in %s; peak memory:%s", version, size>>20, up.Round(time.Millisecond), down.Round(time.Millisecond), grown)
	}
}

// restPeak forgets the peak of a daemon's memory, and returns what it uses now, in bytes.
func (m *member) restPeak(t *testing.T) int64 {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", m.cmd.Process.Pid), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	return m.peak(t)
}

// peak is the most that a daemon's memory has been, in bytes.
func (m *member) peak(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmHWM:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
