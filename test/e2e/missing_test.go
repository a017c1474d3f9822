//go:build linux

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAnnouncedFilesAreServed: a file that is on its way to a node, by a slow line, is served there at once, whole and by
// ranges, as a stream from the node that has it.
func TestAnnouncedFilesAreServed(t *testing.T) {
	need(t)
	f := startNotesFarm(t, notesSite, "web1", "web2")
	path := filepath.Join(f.members["web1"].dir, "config", "farm.toml")
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f.write(path, strings.Replace(string(src), "[member.web2]\n", "[member.web2]\nbandwidth = \"8 Mbit/s\"\n", 1))
	f.await(10*time.Second, "the line is slow", func() error {
		if out := f.tandem("web1", "status"); !bytes.Contains(out, []byte("Mbit/s")) {
			return fmt.Errorf("status says %s", out)
		}
		return nil
	})

	const size = 256 << 20
	file, want := f.large("web1", "film.bin", size)
	p, web2 := f.person("notes.test"), f.members["web2"]
	f.await(30*time.Second, "web2 has heard of it", func() error {
		return p.head(web2.addr, "/film.bin", size)
	})
	before := peakMemory(t, web2)
	sum := sha256.New()
	n, err := p.stream(web2.addr, "/film.bin", "", sum)
	if err != nil || n != size || !bytes.Equal(sum.Sum(nil), want) {
		t.Errorf("got %d bytes, as they should be: %v; %v", n, bytes.Equal(sum.Sum(nil), want), err)
	}
	for _, at := range []int64{0, 1<<20 + 7, size - 1000} {
		var got bytes.Buffer
		wanted := make([]byte, 1000)
		if _, err := file.ReadAt(wanted, at); err != nil {
			t.Fatal(err)
		}
		if _, err := p.stream(web2.addr, "/film.bin", fmt.Sprintf("bytes=%d-%d", at, at+999), &got); err != nil || !bytes.Equal(got.Bytes(), wanted) {
			t.Errorf("the range at %d: %d bytes, %v", at, got.Len(), err)
		}
	}
	if grown := peakMemory(t, web2) - before; grown > size/4 {
		t.Errorf("web2 needed %d MiB more for it", grown>>20)
	}
	if _, err := os.Stat(filepath.Join(f.folder("web2"), "film.bin")); err == nil {
		t.Error("it had arrived: the test shows nothing")
	}
	began := time.Now()
	if err := p.head(web2.addr, "/film.bin", size); err != nil {
		t.Error(err)
	}
	t.Logf("%d MiB by ranges and whole from a node without it; its head took %s", size>>20, time.Since(began).Round(time.Millisecond))
}

// large makes a file of random content in a node's folder, and returns it and its digest.
func (f *farmUnderTest) large(n, name string, size int64) (*os.File, []byte) {
	f.t.Helper()
	tmp := filepath.Join(f.members[n].dir, name)
	file, err := os.Create(tmp)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = file.Close() })
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(file, sum), rand.NewChaCha8([32]byte{1}), size); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(f.folder(n), name)); err != nil {
		f.t.Fatal(err)
	}
	return file, sum.Sum(nil)
}

// head fails unless the server has a file of that size.
func (p *person) head(address, path string, size int64) error {
	a, err := p.do(http.MethodHead, address, path, "")
	if err == nil && (a.status != http.StatusOK || a.header.Get("Content-Length") != strconv.FormatInt(size, 10)) {
		err = fmt.Errorf("status %d, length %q", a.status, a.header.Get("Content-Length"))
	}
	return err
}

// stream copies a file, or a range of it.
func (p *person) stream(address, path, part string, to io.Writer) (int64, error) {
	req, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = p.host
	if part != "" {
		req.Header.Set("Range", part)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if want := map[bool]int{true: http.StatusOK, false: http.StatusPartialContent}[part == ""]; resp.StatusCode != want {
		return 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	return io.Copy(to, resp.Body)
}

var peak = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// peakMemory is the most that a daemon has had in memory, in bytes.
func peakMemory(t *testing.T, m *member) int64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := peak.FindSubmatch(b)
	if found == nil {
		t.Fatalf("no peak in %s", b)
	}
	kib, err := strconv.ParseInt(string(found[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}
