//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/test/history"
)

const (
	ledgerDirEnv  = "TANDEM_E2E_LEDGER"   // the test program is the application, for the folder that it names
	ledgerDoneEnv = "TANDEM_E2E_EXECUTED" // file outside of the folder with the ids of the writes that it began
	ledgerAddress = "127.0.0.1:9200"
	ledgerHost    = "ledger.test"
)

// ledgerSite serves each key twice: by the application, and as a static file. Writes of keys with c are confirmed.
const ledgerSite = `http://ledger.test {
	root * {folder.www}
	read_your_writes www
	confirm /app/c* 1
	reverse_proxy /app/* ` + ledgerAddress + `
	file_server
}
`

const ledgerFarm = `
[folder.www]
path = "/var/www"
min_free = "4MiB"

[edge]
http = ":80"
https = []
`

// serveLedger is an application that keeps the last text of each key in a file. It notes each write before it does it.
func serveLedger(dir string) int {
	done, err := os.OpenFile(os.Getenv(ledgerDoneEnv), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /app/{key}", func(w http.ResponseWriter, r *http.Request) {
		b, err := os.ReadFile(filepath.Join(dir, "ledger", filepath.Base(r.PathValue("key"))))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		_, _ = w.Write(b)
	})
	mux.HandleFunc("POST /app/{key}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // whoever passed it on has died: nothing of it happens
		}
		if _, err := done.WriteString(r.URL.Query().Get("id") + "\n"); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if err := saveNote(filepath.Join(dir, "ledger"), filepath.Base(r.PathValue("key")), strings.NewReader(string(body))); err != nil {
			http.Error(w, err.Error(), http.StatusInsufficientStorage)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	err = http.ListenAndServe(ledgerAddress, mux)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (f *farmUnderTest) executedFile(n string) string {
	return filepath.Join(f.members[n].dir, "executed")
}

// startLedger runs the application on a node until the test ends.
func (f *farmUnderTest) startLedger(n string) {
	f.t.Helper()
	cmd := f.lan.command(n, os.Args[0])
	cmd.Env = append(os.Environ(), ledgerDirEnv+"="+f.folder(n), ledgerDoneEnv+"="+f.executedFile(n))
	cmd.Stderr = os.Stderr
	f.background(cmd)
	f.await(10*time.Second, "the application listens on "+n, func() error {
		c, err := f.lan.dial(n)(f.t.Context(), "tcp", ledgerAddress)
		if err == nil {
			err = c.Close()
		}
		return err
	})
}

// ledgerText is what a write puts into the file of a key. Some are larger than what travels along with a change.
func ledgerText(key string, number int) string {
	size := 100
	if number%8 == 0 {
		size = 100 << 10
	}
	line := fmt.Sprintf("%s %d\n", key, number)
	return line + strings.Repeat(line, size/len(line))
}

// ledgerNumber is the inverse of ledgerText.
func ledgerNumber(key, text string) int {
	var name string
	var number int
	if _, err := fmt.Sscanf(text, "%s %d\n", &name, &number); err != nil || text != ledgerText(key, number) {
		return history.Torn
	}
	return number
}

// ledgerCrowd are visitors who write keys of their own and read everybody's, and note all of it.
type ledgerCrowd struct {
	*crowd
	f      *farmUnderTest
	nodes  []string
	log    history.Log
	keys   atomic.Pointer[[]string] // that have been written
	spans  []history.Span
	told   map[string]bool // faults that were reported
	silent bool            // see history.Seen
}

// ledgerVisitor is one of them, with cookies.
type ledgerVisitor struct {
	*person
	crowd   *ledgerCrowd
	session int
	random  *rand.Rand
	to      []string // addresses, tried in turn if one refuses
	next    map[string]int
	own     []string
	writes  int
}

// dialPatience is how long a visitor tries to reach anybody: nothing of the request is on its way then.
const dialPatience = 8 * time.Second

// gatherLedger lets so many visitors come, by the addresses in the order that pick gives for each.
func (f *farmUnderTest) gatherLedger(nodes []string, visitors, rate int, pick func(int) []string) *ledgerCrowd {
	c := &ledgerCrowd{f: f, nodes: nodes, told: map[string]bool{}}
	c.keys.Store(&[]string{})
	steps := make([]func() error, visitors)
	for i := range steps {
		v := &ledgerVisitor{person: f.person(ledgerHost), crowd: c, session: i, random: rand.New(rand.NewPCG(7, uint64(i))), to: pick(i), next: map[string]int{}}
		steps[i] = v.step
	}
	c.crowd = gather(f.t, rate, steps)
	return c
}

func (v *ledgerVisitor) step() error {
	switch n := v.random.IntN(10); {
	case len(v.own) == 0 || n == 0 && len(v.own) < 8:
		key := fmt.Sprintf("%c%d-%d", "sc"[len(v.own)%2], v.session, len(v.own))
		v.own = append(v.own, key)
		v.write(key)
		v.crowd.addKey(key)
	case n < 3:
		v.write(v.own[v.random.IntN(len(v.own))])
	case n < 7:
		v.read(v.own[v.random.IntN(len(v.own))])
	default:
		if keys := *v.crowd.keys.Load(); len(keys) > 0 {
			v.read(keys[v.random.IntN(len(keys))])
		}
	}
	return nil // what is wrong is found afterwards
}

func (c *ledgerCrowd) addKey(key string) {
	for {
		old := c.keys.Load()
		now := append(append([]string{}, *old...), key)
		if c.keys.CompareAndSwap(old, &now) {
			return
		}
	}
}

func (v *ledgerVisitor) write(key string) {
	v.writes++
	v.next[key]++
	o := history.Op{Session: v.session, ID: fmt.Sprintf("%d.%d", v.session, v.writes), Key: key, Write: true, Number: v.next[key]}
	v.send(o, http.MethodPost, "/app/"+key+"?id="+o.ID, ledgerText(key, o.Number))
}

func (v *ledgerVisitor) read(key string) {
	path := "/app/" + key
	if v.random.IntN(2) == 0 {
		path = "/ledger/" + key
	}
	v.send(history.Op{Session: v.session, Key: key}, http.MethodGet, path, "")
}

// send makes the request and notes it when it returns. Addresses that refuse a connection are tried in turn.
func (v *ledgerVisitor) send(o history.Op, method, path, body string) {
	o.Start = time.Now()
	var a answer
	var err error
	for i := 0; ; i++ {
		a, err = v.do(method, v.to[i%len(v.to)], path, body)
		dial := (*net.OpError)(nil)
		if !errors.As(err, &dial) || dial.Op != "dial" || time.Since(o.Start) > dialPatience {
			break
		}
		if i%len(v.to) == len(v.to)-1 {
			<-time.After(50 * time.Millisecond)
		}
	}
	o.End, o.Status = time.Now(), a.status
	if err != nil {
		o.Status, o.Note = 0, err.Error()
	} else {
		o.Node = a.header.Get("Tandem-Node")
		o.Sure = o.Write && a.header.Get("Tandem-Confirmed") == "1/1"
		if a.status >= 500 {
			o.Note = fmt.Sprintf("%.80q", a.body)
		}
		if a.status == http.StatusOK && method == http.MethodGet {
			o.Number = ledgerNumber(o.Key, a.body)
		}
	}
	v.crowd.log.Add(o)
}

// outage says that from then until now an edge was dead: what was on its way there has no answer.
func (c *ledgerCrowd) outage(from time.Time) {
	c.spans = append(c.spans, history.Span{From: from, To: time.Now()})
}

// seen is what is known now. Executions are read after the operations, so that none is missed.
func (c *ledgerCrowd) seen() history.Seen {
	s := history.Seen{Ops: c.log.Ops(), Outages: c.spans, Silent: c.silent}
	for _, n := range c.nodes {
		b, err := os.ReadFile(c.f.executedFile(n))
		if err != nil {
			c.f.t.Fatal(err)
		}
		s.Executed = append(s.Executed, strings.Fields(string(b))...)
	}
	return s
}

// judge reports what has become wrong since the last call.
func (c *ledgerCrowd) judge(t *testing.T, s history.Seen) {
	t.Helper()
	v := history.Judge(s)
	t.Log(v)
	fresh := 0
	for _, fault := range v.Faults {
		if c.told[fault] {
			continue
		}
		c.told[fault] = true
		if fresh++; fresh <= 20 {
			t.Error(fault)
		}
	}
	if fresh > 20 {
		t.Errorf("and %d more faults", fresh-20)
	}
}

// end stops the visitors, waits until the nodes are in sync, and judges all of it with what is on their disks.
func (c *ledgerCrowd) end(t *testing.T) {
	t.Helper()
	c.leave()
	c.f.inSync(c.nodes...)
	for _, n := range c.nodes[1:] {
		c.f.equal(c.nodes[0], n)
	}
	s := c.seen()
	s.Final = map[string]map[string]int{}
	for _, n := range c.nodes {
		s.Final[n] = map[string]int{}
		for _, key := range *c.keys.Load() {
			b, err := os.ReadFile(filepath.Join(c.f.folder(n), "ledger", key))
			if err == nil {
				s.Final[n][key] = ledgerNumber(key, string(b))
			}
		}
	}
	c.judge(t, s)
}
