//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// startNotesFarm runs a farm of nodes with the application that keeps notes.
func startNotesFarm(t *testing.T, site string, nodes ...string) *farmUnderTest {
	f := newFarm(t, nodes...)
	for _, n := range nodes {
		if err := os.MkdirAll(f.folder(n), 0o755); err != nil {
			t.Fatal(err)
		}
		f.startNotes(n)
	}
	f.found(notesFarm, map[string]string{"notes.caddy": site})
	f.inSync(nodes...)
	return f
}

// TestConfirmedWritesSurvive: the node that has answered a confirmed write dies in the next moment. The file is on another.
func TestConfirmedWritesSurvive(t *testing.T) {
	need(t)
	site := strings.Replace(notesSite, "read_your_writes www", "read_your_writes www\n\tconfirm /notes/* 1 {\n\t\ton_timeout fail\n\t}", 1)
	nodes := []string{"web1", "web2", "web3"}
	f := startNotesFarm(t, site, nodes...)
	lost, written := 0, 0
	for round := range 6 {
		n, p := nodes[round%3], f.person("notes.test")
		for i := range 5 {
			name := fmt.Sprintf("note-%d-%d", round, i)
			a, err := p.do(http.MethodPost, f.members[n].addr, "/notes/"+name, name)
			if err != nil || a.status != http.StatusNoContent || a.header.Get("Tandem-Confirmed") != "1/1" {
				t.Fatalf("saving on %s: status %d, confirmed %q, %v: %.200q", n, a.status, a.header.Get("Tandem-Confirmed"), err, a.body)
			}
			if i == 4 {
				f.kill(n)
			}
			written++
		}
		for i := range 5 {
			if name := fmt.Sprintf("note-%d-%d", round, i); !f.elsewhere(n, "notes/"+name, name) {
				t.Errorf("%s, which %s had confirmed, is on no other node", name, n)
				lost++
			}
		}
		f.start(n)
		f.inSync(nodes...)
	}
	t.Logf("%d confirmed writes, 6 nodes killed right after an answer: %d lost", written, lost)

	// Nobody is left to confirm: the visitor hears of that, at once.
	f.kill("web2")
	f.kill("web3")
	f.await(10*time.Second, "web1 knows that it is alone", func() error {
		a, err := f.person("notes.test").do(http.MethodPost, f.members["web1"].addr, "/notes/alone", "alone")
		if err == nil && (a.status != http.StatusServiceUnavailable || a.header.Get("Tandem-Confirmed") != "0/1") {
			err = fmt.Errorf("status %d, confirmed %q", a.status, a.header.Get("Tandem-Confirmed"))
		}
		return err
	})
	began := time.Now()
	if _, err := f.person("notes.test").do(http.MethodPost, f.members["web1"].addr, "/notes/alone", "alone"); err != nil || time.Since(began) > time.Second {
		t.Errorf("alone, a write takes %s, %v", time.Since(began), err)
	}
}

// elsewhere tells whether any other node's disk has the file.
func (f *farmUnderTest) elsewhere(not, name, text string) bool {
	for n := range f.members {
		if n == not {
			continue
		}
		b, err := os.ReadFile(filepath.Join(f.folder(n), name))
		if err == nil && string(b) == text {
			return true
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.t.Fatal(err)
		}
	}
	return false
}

// TestReadersNeverGoBack: visitors who only read go from node to node, with no edge in between, while another one writes,
// and while a node is away for some time. None sees an older text than before.
func TestReadersNeverGoBack(t *testing.T) {
	need(t)
	nodes := []string{"web1", "web2", "web3"}
	f := startNotesFarm(t, notesSite, nodes...)
	writer := f.person("notes.test")
	write := func(i int) error {
		a, err := writer.do(http.MethodPost, f.members[nodes[i%2]].addr, "/notes/count", strconv.Itoa(i))
		if err == nil && a.status != http.StatusNoContent {
			err = fmt.Errorf("status %d: %.200q", a.status, a.body)
		}
		return err
	}
	if err := write(1); err != nil {
		t.Fatal(err)
	}
	f.inSync(nodes...)

	stop := make(chan struct{})
	var readers sync.WaitGroup
	reads, cookies := make([]int, 4), make([]int, 4)
	for r := range 4 {
		p := f.person("notes.test")
		readers.Go(func() {
			for last, i := 0, r; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				n := nodes[i%3]
				a, err := p.do(http.MethodGet, f.members[n].addr, "/notes/count", "")
				if err != nil {
					continue // it is away
				}
				now, err := strconv.Atoi(a.body)
				if err != nil || now < last {
					t.Errorf("%s shows %.200q (status %d) after %d", n, a.body, a.status, last)
				}
				if a.header.Get("Tandem-Position") != "" {
					cookies[r]++
				}
				last = max(last, now)
				reads[r]++
			}
		})
	}
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for i := 2; i < 400; i++ {
		if i == 150 {
			f.kill("web3")
		}
		if i == 250 {
			f.start("web3")
		}
		if err := write(i); err != nil {
			t.Errorf("write %d: %v", i, err)
		}
		<-pace.C
	}
	close(stop)
	readers.Wait()
	t.Logf("400 writes; reads by four visitors: %v, of which gave a position: %v", reads, cookies)
}
